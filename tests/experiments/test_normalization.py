"""Measured signals beside their predictions."""

import numpy as np

from gradbook import experiments


def test_measured_as_predicted():
    made = experiments.compare_normalizations([4, 20], ["relu", "sigmoid"], places=4)
    off = abs(np.log(made.signal / made.signal_theory)).where(made.normalization != "group")
    assert off.max() < 1.0 and off.median() < 0.2
