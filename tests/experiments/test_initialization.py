"""Initializations side by side against torch's own, closed forms and themselves."""

import numpy as np
import pytest
import torch

from gradbook import data, experiments
from gradbook.nets import initializations

MADE = experiments.compare_schemes([3, 12], ["tanh", "relu"], width=128, seed=range(4), places=3)


@pytest.mark.parametrize(
    "scheme, theirs",
    [
        ("PyTorch's default", lambda w: torch.nn.init.kaiming_uniform_(w, a=5**0.5)),
        ("Xavier", torch.nn.init.xavier_normal_),
        ("He", lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="relu")),
        ("orthogonal", torch.nn.init.orthogonal_),
        ("small: std 0.01", lambda w: torch.nn.init.normal_(w, std=0.01)),
        ("std √(dᵢ/dₒ)", lambda w: torch.nn.init.normal_(w, std=(w.shape[0] / w.shape[1]) ** 0.5)),
    ],
)
def test_variances_are_torchs(scheme, theirs):
    torch.manual_seed(0)
    init, scale = experiments.SCHEMES[scheme]
    ours = scale(200) * initializations.initialization(init)(
        np.random.default_rng(0), 200, 200
    ).astype(float)
    assert ours.std() == pytest.approx(theirs(torch.empty(200, 200)).std().item(), rel=0.02)


def test_theory_in_closed_form():
    here = MADE.sel(activation="relu", depth=12)
    square = np.square(data.digits().x_train.astype(float)).mean()
    for scheme, factor in (("He", 1.0), ("Xavier", 0.5), ("PyTorch's default", 1 / 6)):
        last = here.sel(scheme=scheme).dropna("place").isel(place=-1)
        assert last.activation_rms_theory.item() == pytest.approx(
            (square * factor**12) ** 0.5, rel=1e-6
        )
        assert here.sel(scheme=scheme).signal_theory.isel(place=0).item() == pytest.approx(
            factor ** (11 / 2), rel=1e-6
        )
    lsuv = here.sel(scheme="LSUV").dropna("place")
    np.testing.assert_allclose(lsuv.activation_rms_theory, 0.5**0.5, rtol=1e-9)


def test_measured_as_predicted():
    known = MADE.where(MADE.signal_theory > 1e-15)
    off = abs(np.log(known.signal / known.signal_theory))
    assert off.sel(activation="tanh").max() < 0.4 and off.max() < 1.2
    lsuv = MADE.sel(scheme="LSUV", activation="tanh", depth=12)
    assert lsuv.signal_theory.isel(place=0).item() == pytest.approx(1.177807**5.5, rel=1e-4)
    assert abs(np.log(known.activation_rms / known.activation_rms_theory)).median() < 0.1


@pytest.mark.parametrize(
    "bad, says",
    [
        ({"scheme": "Glorot"}, "choose from small"),
        ({"width": 0}, "width is 0"),
        ({"depth": 0}, "depth is 0"),
        ({"activation": "swish"}, "does not exist"),
    ],
)
def test_bad_input(bad, says):
    with pytest.raises(ValueError, match=says):
        experiments.compare_schemes(**{"depth": 2, "activation": "relu", **bad})
