"""Tasks against what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradbook import data


@given(st.integers(2, 40), st.integers(1, 20), st.integers(0, 5))
def test_sequences(length, examples, seed):
    x, y = data.adding(length, examples, seed)
    assert x.shape == (length, examples, 2) and y.shape == (examples, 1)
    assert (x[: length // 2, :, 1].sum(0) == 1).all() and (x[length // 2 :, :, 1].sum(0) == 1).all()
    np.testing.assert_allclose(
        y[:, 0], [x[x[:, k, 1] == 1, k, 0].sum() for k in range(examples)], rtol=1e-6
    )
    x, y = data.recall(length, 5, examples, seed)
    assert (x.sum(2) == 1).all() and (x[0].argmax(1) == y).all()
    x, y = data.copying(2 * length, length, 5, examples, seed)
    codes = x.argmax(2)
    assert (
        (codes[:length].T == y).all()
        and (codes[length] == 6).all()
        and codes[length + 1 :].min() == 5
    )


def test_adding_by_guessing():
    _, y = data.adding(50, 200_000)
    assert ((y - 1) ** 2).mean() == pytest.approx(1 / 6, rel=0.01)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: data.adding(1), "length is 1"),
        (lambda: data.recall(5, symbols=1), "symbols is 1"),
        (lambda: data.copying(9, keep=5), "length is 9"),
        (lambda: data.copying(9, keep=0), "keep is 0"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()
