"""Weights that a module uses by itself, as ``x @ self.w``: where they enter autograd's graph."""

__all__ = ["entries_into_graph"]

FAR = 20_000  # nodes after which the search is given up


def entries_into_graph(outputs, inputs, weights):
    """[(weight, node)] in the order of the forward pass: the node in which it meets an activation.

    On the way it may be transposed, scaled or reshaped.  ``outputs`` and ``inputs`` are the tensors
    that a module returned and was given: the search stays between them.
    """
    border = {t.grad_fn for t in inputs if t.grad_fn is not None}
    wanted, alone, found, seen = {id(w): w for w in weights}, {}, [], set()
    stack = [(t.grad_fn, False) for t in reversed(outputs) if t.grad_fn is not None]
    while stack and len(seen) < FAR:
        node, done = stack.pop()
        before = [f for f, _ in node.next_functions]
        if not done:
            if node in seen or node in border:
                continue
            seen.add(node)
            stack.append((node, True))
            stack += [(f, False) for f in reversed(before) if f is not None and f not in seen]
        elif hasattr(node, "variable"):
            alone[node] = [node.variable] if id(node.variable) in wanted else []
        else:
            of_weights = [w for f in before for w in alone.get(f, [])]
            if before and all(f in alone for f in before):  # only weights so far
                alone[node] = of_weights
            else:
                found += [(w, node) for w in of_weights]
    return found
