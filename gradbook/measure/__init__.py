"""Measure a PyTorch model, and say in words what is wrong.

One pass, a whole training, its curvature, its steps.  The model
stays as it was.  Nothing here draws a figure or builds a network.
"""

from .callbacks import for_hugging_face, for_lightning, to_tensorboard, to_wandb
from .curvature import jacobian_spectrum, sharpness
from .diagnosis import THRESHOLDS, Diagnosis, Finding, diagnose
from .probe import probe
from .report import Report, report
from .tuning import GradientNoise, gradient_noise, lr_range
from .watch import watch

__all__ = [
    "probe",
    "watch",
    "diagnose",
    "report",
    "Report",
    "Diagnosis",
    "Finding",
    "THRESHOLDS",
    "sharpness",
    "jacobian_spectrum",
    "lr_range",
    "gradient_noise",
    "GradientNoise",
    "for_lightning",
    "for_hugging_face",
    "to_tensorboard",
    "to_wandb",
]
