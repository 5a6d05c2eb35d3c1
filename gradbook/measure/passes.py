"""One forward and backward pass, as probe and watch see it.

The data go one way: ``Pass.attach`` sets the hooks, the user's code runs, ``Pass.calls`` holds one
:class:`Call` for every call of a layer, ``reduce`` makes rows of numbers of them.
"""

from functools import partial

import torch

from .calls import Call, calls_before, count_not_finite, nodes_of
from .hooks import Hook, is_suspended, is_wrapped
from .inputs import about_statistics, all_tensors, input_of
from .norms import SMALL, row_norms
from .raw import entries_into_graph
from .recurrent import RECURRENT, InTime

__all__ = ["Pass"]

MANY = 8  # examples that are not the same by chance


class Pass:
    """Hooks on ``layers`` of ``model`` that fill ``calls``, one for each with a gradient.

    ``count`` has every entry looked at for NaN and infinity.  ``finished`` is called at the end of
    a backward pass, ``again`` when the model is called after one.  A hook never raises: what it
    cannot measure is written to ``failed``.
    """

    def __init__(self, layers, model, count=True, finished=None, again=None):
        self.layers, self.model, self.count = layers, model, count
        self.finished, self.started = finished, lambda: None
        self.again = again or self.started  # what came before is over
        self.filled = lambda: True  # whether the pass that ends now has changed .grad
        self.counts = finished is not None  # of a probe, only the last backward pass counts
        self.follow = True  # which call comes after which
        self.look_alike = True
        self.hooks, self.failed, self.told = [], {}, {}
        # torch's recurrent and attention layers put time first unless told otherwise
        sequential = (torch.nn.RNNBase, torch.nn.MultiheadAttention)
        modules = (m for m in model.modules() if isinstance(m, sequential))
        self.time_first = not all(m.batch_first for m in modules)
        self.in_time = InTime(self._guarded, lambda: (self.examples or 1) ** 0.5)
        self.clear()

    def attach(self):
        begin = self._guarded("(model)", self._begin)
        self.hooks.append(self.model.register_forward_pre_hook(begin, with_kwargs=True))
        for name, layer in self.layers.items():
            if isinstance(layer.module, RECURRENT):
                again = self._guarded(name, lambda *_, n=name: self._comes_again(n))
                self.hooks.append(layer.module.register_forward_pre_hook(again))
                before = self._guarded(name, partial(self.in_time.before, name))
                self.hooks.append(layer.module.register_forward_pre_hook(before, with_kwargs=True))
                after = self._guarded(name, partial(self._after, name))
                self.hooks.append(layer.module.register_forward_hook(after))
            hook = self._raw(name, layer) if layer.raw else self._forward(name)
            safe = self._guarded(name, hook)
            try:
                self.hooks.append(layer.module.register_forward_hook(safe, with_kwargs=True))
            except RuntimeError as error:  # a scripted module takes none
                self.failed[name] = str(error)

    def detach(self):
        while self.hooks:
            self.hooks.pop().remove()

    def clear(self):
        self.calls, self.waiting, self.stale, self.examples = [], True, False, None
        self.pending = []  # (call, k, delta) of the backward pass that runs
        self.alike = None  # whether all examples are the same
        self.rank, self.checkpointed, self.training = 0, {}, True
        self.in_time.clear()

    def _guarded(self, name, hook):
        """``hook``, but an error of ours stays with us."""

        def safe(*given):
            if self.finished and is_suspended():
                return None
            try:
                return hook(*given)
            except Exception as error:  # anything: it is the user's own pass
                self.failed[name] = f"{type(error).__name__}: {error}"

        return Hook(safe)

    def _begin(self, module, inputs, named):
        """The model as a whole is called: how many examples does it get?"""
        self.training = torch.is_grad_enabled()
        if self.training and self.stale:
            self.again()
            self.clear()
        given = [t for t in all_tensors((inputs, named)) if t.ndim]
        axes = [int(self.time_first and t.ndim > 1) for t in given]
        sizes = [t.shape[axis] for t, axis in zip(given, axes)]
        if not sizes:
            return
        sizes = [n for n in sizes if n > 1] or sizes
        self.examples = max(max(sizes, key=sizes.count), 1)  # most of the inputs have as many
        if self.examples < MANY or not self.look_alike:
            return
        for t, axis in zip(given, axes):
            if t.shape[axis] == self.examples:
                alike = (t == t.narrow(axis, 0, 1)).all()
                self.alike = alike if self.alike is None else self.alike & alike

    def _comes_again(self, name):
        """A layer is called after a backward pass: another pass, of a model called in pieces."""
        if self.stale and torch.is_grad_enabled() and any(c.module == name for c in self.calls):
            self.again()
            self.clear()

    def _forward(self, name):
        def hook(module, inputs, named, output):
            self._comes_again(name)
            self.rank += 1
            if self.rank == 1:
                self.told["first_called"] = name
            if note := about_statistics(module, inputs, self.model):
                self.told.setdefault(note, {})[name] = None
            zs = [z for z in all_tensors(output) if z.requires_grad]
            if any(map(is_wrapped, zs)):  # by torch.func, which makes gradients of its own
                return
            if not zs:  # under no_grad: checkpointing comes back to it, in another order
                if self.training:
                    self.checkpointed.setdefault(name, []).append(self.rank)
                return
            places = self.checkpointed.get(name)
            call = Call(name, self._batch(zs[0]), rank=places.pop(0) if places else self.rank)
            self.calls.append(call)
            if self.count:
                call.forward, call.backward = sum(count_not_finite(z) for z in zs), 0
            if self.follow:
                call.after = calls_before(nodes_of([*all_tensors((inputs, named)), *zs]), self)
            for k, z in enumerate(zs):
                # the hook stays with z's own gradient, even if an in-place activation overwrites z
                z.register_hook(self._guarded(name, partial(self._backward, call, k)).call)
                if self.follow and z.grad_fn is not None:
                    z.grad_fn.metadata[self] = call.rank
            call.input = input_of(module, inputs, named)
            if self.follow and call.input and call.input.kind:
                self.told.setdefault("activations", {})[call.input.kind] = None
            if call.input and call.input.h.numel() >= SMALL:
                call.input = call.input.looked_at()

        return hook

    def _raw(self, name, layer):
        """The same for a weight that its module uses by itself: z is what it meets an activation
        in."""

        def hook(module, inputs, named, output):
            self._comes_again(name)
            self.rank += 1
            zs, given = all_tensors(output), all_tensors((inputs, named))
            for _, node in entries_into_graph(zs, given, layer.weights):
                self.rank += 1
                call = Call(name, self._batch(zs[0]), rank=self.rank)
                if self.count:
                    call.forward = call.backward = 0
                call.after = calls_before([node], self)
                node.metadata[self] = call.rank
                self.calls.append(call)
                node.register_prehook(self._guarded(name, partial(self._node, call)).call)

        return hook

    def _node(self, call, deltas):
        self._backward(call, 0, deltas[0])

    def _backward(self, call, k, delta):
        if self.finished and self.waiting:
            self.waiting = False
            self.started()
            torch.autograd.Variable._execution_engine.queue_callback(self._finish)
        if delta is None or not self.counts:  # of an output that nobody used, or by the way
            return
        if self.finished:
            self.pending.append((call, k, delta.detach()))
        else:
            self._add(call, k, delta.detach())

    def drop(self):
        """The gradients seen so far were cleared again."""
        self.in_time.forget()
        for call in self.calls:
            call.deltas = {}

    def _add_all(self, deltas):
        for call, k, delta in deltas:
            self._add(call, k, delta)

    def _add(self, call, k, delta):
        """To what is known of this output, from a pass that counts."""
        if self.count:
            call.backward = call.backward + count_not_finite(delta)
        small = delta.numel() < SMALL
        seen = delta if small else row_norms(delta.reshape(1, -1))
        if k in call.deltas:  # another backward pass through the same graph
            seen = call.deltas[k] + seen if small else torch.hypot(call.deltas[k], seen)
            if not small:
                self.failed[call.module] = (
                    "several backward passes through one large output: its signal is that of "
                    "gradients at right angles"
                )
        call.deltas[k] = seen

    def begin_counting(self):
        """What passes came by the way, inside the loss, is over."""
        self.counts = True
        self.in_time.forget()

    def attributes(self):
        """What was seen of the whole, for a data set."""
        found = {name: list(v) if isinstance(v, dict) else v for name, v in self.told.items()}
        if self.alike is not None and self.alike:
            found["alike"] = 1
        found["raw"] = [name for name, layer in self.layers.items() if layer.raw]
        if self.failed:
            found["not_measured"] = [f"{name}: {said}" for name, said in self.failed.items()]
        return found

    def _after(self, name, module, inputs, output):
        if torch.is_grad_enabled():
            self.in_time.after(name, module, output)

    def replay(self):
        """What recurrent layers keep to themselves, before their weights change."""
        self._guarded("time", self.in_time.replay)()

    def _finish(self):
        """Of passes by the way, which leave .grad as it is, nothing is kept."""
        self.waiting, pending = True, self.pending
        self.pending = []
        if not self.filled():
            self.in_time.forget()
            return
        self._guarded("backward", self._add_all)(pending)
        self.stale = True  # there may be another backward pass in this step
        self.replay()
        self.finished()

    def _batch(self, z):
        """How many examples the model got; where it is called in pieces, how many ``z`` holds."""
        if self.examples:
            return self.examples
        return max(z.shape[1 if self.time_first and z.ndim == 3 else 0], 1) if z.ndim else 1
