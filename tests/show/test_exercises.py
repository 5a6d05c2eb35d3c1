"""Exercises that answer."""

import pytest

import gradbook as gb


def test_exercises_answer_mistakes_too():
    assert gb.check("layers-to-a-million", 212).right
    assert "twice as long" in gb.check("layers-to-a-million", "105.92").text
    assert "not a finite number" in gb.check("layers-to-a-million", float("nan")).text
    assert "The answer is one number" in gb.check("layers-to-a-million", [1, 2]).text
    assert not gb.check("layers-to-a-million", 3).right
    with pytest.raises(ValueError, match="choose from loss-of-linear-chain"):
        gb.check("nothing", 1)
