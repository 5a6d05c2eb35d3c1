"""What a sweep is asked for, and what it refuses."""

import math

import pytest

import gradbook as gb
from gradbook import data

DIGITS = data.digits()


@pytest.mark.parametrize(
    "bad, says",
    [
        ({"depth": 0}, "depth is 0"),
        ({"width": -3}, "width is -3"),
        ({"lr": math.nan}, "lr is nan"),
        ({"lr": "fast"}, "lr is 'fast'"),
        ({"activation": "swish"}, "choose from linear, sigmoid, tanh"),
        ({"init": "zero"}, "choose from zeros"),
        ({"seed": []}, "seed is empty"),
        ({"sigma_w": -1.0}, "sigma_w is -1.0"),
        ({"steps": -1}, "steps is -1"),
        ({"batch": 0}, "batch is 0"),
        ({"record_every": 0}, "record_every is 0"),
        ({"depth": True}, "depth is True"),
        ({"sigma_w": None}, "sigma_w is None"),
        ({"seed": [1, 1]}, "may stand in it once"),
    ],
)
def test_bad_input_is_told_what_would_be_right(bad, says):
    with pytest.raises(ValueError, match=says):
        gb.sweep(**bad)


@pytest.mark.parametrize(
    "bad, says",
    [
        ({"rule": gb.rules.sgd(0.1)}, r"not gb.sgd\(0.1\)"),
        ({"net": "mlp"}, "must be a function"),
        ({"rule": {}}, "must be a function"),
        ({"data": gb.line()}, "float32 inputs and int64 labels"),
        ({"data": DIGITS._replace(x_train=DIGITS.x_train.astype(float))}, "float32 inputs"),
    ],
)
def test_bad_nets_and_rules(bad, says):
    with pytest.raises(ValueError, match=says):
        gb.sweep(**bad)
