"""Recurrent layers are deep in time: their gradients, time step by time step."""

from functools import partial

import torch

from .norms import row_norms

__all__ = ["RECURRENT", "IN_TIME", "InTime"]

RECURRENT = (torch.nn.RNNBase, torch.nn.RNNCellBase)
IN_TIME = ("input_signal_in_time", "signal_in_time")  # |∂L/∂x_t| and |∂L/∂h_t|
CELLS = {
    "RNN_TANH": torch.rnn_tanh_cell,
    "RNN_RELU": torch.rnn_relu_cell,
    "LSTM": torch.lstm_cell,
    "GRU": torch.gru_cell,
}


class InTime:
    """Hooks on recurrent layers, and what they saw.

    ``guard`` makes a hook safe, ``root`` gives √(examples).  ``sequences`` are the inputs whose
    gradient is wanted.
    """

    def __init__(self, guard, root):
        self.guard, self.root = guard, root
        self.clear()

    def clear(self):
        self.sequences, self.seen, self.runs = [], {}, {}

    def before(self, name, module, inputs, named):
        """The same numbers in a tensor of its own, whose gradient is that by way of this layer."""
        x = inputs[0] if inputs else named.get("input")
        if not torch.is_grad_enabled() or not isinstance(x, torch.Tensor):
            return None
        x = x.view_as(x) if x.requires_grad else x.detach().requires_grad_()
        self.sequences.append(x)
        whole = isinstance(module, torch.nn.RNNBase)
        if whole and self.runs.get(name) is None and x.ndim == 3:
            state = inputs[1] if len(inputs) > 1 else named.get("hx")
            self.runs[name] = Run(module, x.detach(), state)
            x.register_hook(self.guard(name, partial(self._keep_sequence, name, module)).call)
        elif not whole:
            place = self._next(name, IN_TIME[0])
            x.register_hook(self.guard(name, partial(self._keep, name, IN_TIME[0], place)).call)
        return ((x, *inputs[1:]), named) if inputs else (inputs, named | {"input": x})

    def after(self, name, module, output):
        """Of a cell, h_t is its output; of a whole layer, what comes back to its outputs is kept
        for :meth:`replay`.
        """
        if isinstance(module, torch.nn.RNNCellBase):
            h = output[0] if isinstance(output, tuple) else output
            if h.requires_grad:
                place = self._next(name, IN_TIME[1])
                h.register_hook(self.guard(name, partial(self._keep, name, IN_TIME[1], place)).call)
        elif (run := self.runs.get(name)) and not run.backward:
            run.watch(output, partial(self.guard, name))

    def forget(self):
        """What came back to the outputs of whole layers in a pass by the way."""
        for run in self.runs.values():
            run.backward = dict.fromkeys(run.backward, 0.0)

    def _next(self, name, quantity):
        values = self.seen.setdefault(name, {}).setdefault(quantity, [])
        values.append(None)
        return len(values) - 1

    def _keep(self, name, quantity, place, delta):
        if delta is not None:
            self.seen[name][quantity][place] = (
                row_norms(delta.detach().reshape(1, -1))[0] * self.root()
            )

    def _keep_sequence(self, name, module, delta):
        self.seen.setdefault(name, {})[IN_TIME[0]] = list(self._by_time(module, delta))

    def _by_time(self, module, delta):
        delta = delta.detach().transpose(0, 1) if module.batch_first else delta.detach()
        return row_norms(delta.reshape(len(delta), -1)) * self.root()

    def replay(self):
        """∂L/∂h_t of whole layers, which keep it to themselves: their steps once more, one by
        one.
        """
        for name, run in self.runs.items():
            if run.can_be_replayed():
                deltas = run.replayed()
                sizes = row_norms(deltas.reshape(len(deltas), -1)) * self.root()
                self.seen.setdefault(name, {})[IN_TIME[1]] = list(sizes)

    def table(self):
        """{layer: {quantity: [number of every time step]}}; 0 where no gradient came."""
        return {
            name: {q: [float(v) if v is not None else 0.0 for v in vs] for q, vs in found.items()}
            for name, found in self.seen.items()
        }


class Run:
    """One call of a whole recurrent layer: its input, and the gradient of what it gave."""

    def __init__(self, module, x, state):
        self.module, self.x, self.backward = module, x, {}
        state = state if isinstance(state, tuple) else () if state is None else (state,)
        self.state = [s.detach() for s in state]

    def watch(self, output, safe):
        out, state = output
        if isinstance(out, torch.Tensor):
            state = state if isinstance(state, tuple) else (state,)
            for k, t in enumerate((out, *state)):
                if t.requires_grad:
                    self.backward[k] = 0.0
                    t.register_hook(safe(partial(self._add, k)).call)

    def _add(self, k, delta):
        if delta is not None:  # of an output that nobody used
            self.backward[k] = self.backward[k] + delta.detach()

    def can_be_replayed(self):
        """Not what drops, projects or goes both ways."""
        m = self.module
        dropped = m.dropout and m.num_layers > 1 and m.training
        plain = not (m.bidirectional or m.proj_size or dropped)
        return plain and any(isinstance(g, torch.Tensor) for g in self.backward.values())

    def replayed(self):
        """∂L/∂h_t of the last layer, (time, batch, units)."""
        m, cell = self.module, CELLS[self.module.mode]
        xs = self.x.transpose(0, 1) if m.batch_first else self.x
        nothing = xs.new_zeros(m.num_layers, xs.shape[1], m.hidden_size)
        states = self.state or [nothing] * (2 if m.mode == "LSTM" else 1)
        ends = []
        with torch.enable_grad():
            h = list(xs)
            for k, weights in enumerate(m.all_weights):
                weights = [w.detach() for w in weights]
                if not m.bias:
                    weights += [None, None]
                state, outputs = [s[k].requires_grad_() for s in states], []
                for x in h:
                    state = cell(x, state if m.mode == "LSTM" else state[0], *weights)
                    state = list(state) if m.mode == "LSTM" else [state]
                    outputs.append(state[0])
                h = outputs
                ends.append(state)
            loss = self._weighed(h, ends)
            return torch.stack(torch.autograd.grad(loss, h))

    def _weighed(self, h, ends):
        """A function of the outputs whose gradient in them is the one that came back."""
        loss = 0.0
        for k, delta in self.backward.items():
            if not isinstance(delta, torch.Tensor):
                continue
            if k == 0:
                by_time = delta.transpose(0, 1) if self.module.batch_first else delta
                loss = loss + sum((g * z).sum() for g, z in zip(by_time, h))
            else:
                loss = loss + sum((g * end[k - 1]).sum() for g, end in zip(delta, ends))
        return loss
