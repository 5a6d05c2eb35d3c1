"""Maps of recurrent networks against the trainings that they are made of."""

import numpy as np
import pytest

from gradbook import experiments, sweeps


def test_a_map_is_made_of_trainings():
    found = experiments.memory_map(
        [0.5, 1.0], [3, 6], weights="orthogonal", drive=[0.1, 1.0], units=5, steps=30, seed=[0, 1]
    )
    assert dict(found.loss.sizes) == {"weights": 1, "drive": 2, "length": 2, "gain": 2}
    alone = sweeps.learn_sequences(
        "orthogonal", 3, gain=0.5, drive=1.0, units=5, steps=30, seed=[0, 1]
    )
    here = found.sel(drive=1.0, gain=0.5).squeeze()
    end = alone.loss.isel(step=slice(10, None)).mean("step").median()
    assert here.loss.sel(length=3).item() == pytest.approx(end.item(), rel=1e-4)
    longest = sweeps.learn_sequences(
        "orthogonal", 6, gain=0.5, drive=1.0, units=5, steps=30, seed=[0, 1]
    )
    np.testing.assert_allclose(here.signal, longest.signal.median("seed").squeeze(), rtol=1e-4)
    np.testing.assert_allclose(here.signal_theory, here.factor.item() ** np.arange(6))


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: experiments.memory_map(1.0, [5], weights="identity"), "weights has"),
        (lambda: experiments.memory_map(1.0, []), "length is empty"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()
