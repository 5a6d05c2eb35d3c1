"""Any rule as a torch.optim.Optimizer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch

from .algebra import Rule

__all__ = ["as_torch"]


def as_torch(
    rule: Callable[..., Rule], params: Iterable[Any], lr: float, **hyperparameters: Any
) -> torch.optim.Optimizer:
    """A ``torch.optim.Optimizer`` that follows ``rule``.

    ``rule`` is a function ``rule(lr, **hyperparameters) -> Rule``, such as ``gb.adam`` or ``lambda
    lr: gb.chain(gb.clip_norm(1.0), gb.sgd(lr))``.  ``params`` are parameters or groups of them as
    torch takes them; a group may have its own ``lr`` and hyperparameters, which schedulers and
    users may change at any step.  A parameter without gradient is left alone, as torch does. In a
    joint rule (:func:`gradbook.rules.clip_norm`) what belongs together is a group, and a parameter
    without gradient counts as one with gradient zero that is not moved.

    >>> import torch
    >>> model = torch.nn.Linear(2, 1)
    >>> optimizer = gb.as_torch(gb.adam, model.parameters(), lr=0.01, eps=1e-6)
    >>> optimizer.param_groups[0]["betas"]
    (0.9, 0.999)
    """
    if isinstance(rule, Rule) or not callable(rule):
        raise TypeError(
            f"rule is a {type(rule).__name__}; give the function "
            f"that makes one, gb.adam and not gb.adam(0.1), "
            "so that every group can have its own learning rate"
        )
    known = inspect.signature(rule).parameters
    if unknown := sorted(set(hyperparameters) - set(known)):
        raise TypeError(f"{_name(rule)} has no argument {unknown[0]!r}; it has {', '.join(known)}")
    own = {
        name: p.default for name, p in known.items() if name != "lr" and p.default is not p.empty
    }
    rule(lr, **hyperparameters)  # complains now about a bad value
    return RuleOptimizer(rule, params, {"lr": lr, **own, **hyperparameters})


class RuleOptimizer(torch.optim.Optimizer):
    """What :func:`as_torch` returns.

    State of separate rules stands with each parameter, of joint ones with the group.
    """

    def __init__(self, rule, params, defaults):
        self._rule, self._names = rule, list(defaults)
        super().__init__(params, defaults)

    def __getstate__(self):
        return super().__getstate__() | {"_rule": self._rule, "_names": self._names}

    @torch.no_grad()
    def step(self, closure=None):
        """One step.

        ``closure``, if given, computes the loss and its gradients, and its value is returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            rule = self._rule(**{name: group[name] for name in self._names})
            params = [p for p in group["params"] if p.grad is not None]
            for p in params:
                if p.grad.is_sparse or p.is_complex():
                    raise ValueError(
                        f"a parameter of shape {tuple(p.shape)} "
                        f"is complex or has a sparse gradient; "
                        "rules need dense real ones"
                    )
            if rule.joint and params:
                self._together(rule, group)
            else:
                for p in params:
                    self._alone(rule, p)
        return loss

    def _alone(self, rule, p):
        state = self.state[p]
        if "rule" not in state:
            state["rule"] = rule.init(p)
        update, state["rule"] = rule.update(p.grad, state["rule"], p)
        p.add_(update)

    def _together(self, rule, group):
        params = group["params"]
        if "rule_state" not in group:
            group["rule_state"] = rule.init(params)
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in params]
        updates, group["rule_state"] = rule.update(grads, group["rule_state"], params)
        for p, u in zip(params, updates):
            if p.grad is not None:
                p.add_(u)


def _name(rule):
    return getattr(rule, "__name__", "rule")
