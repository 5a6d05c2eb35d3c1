"""What should be seen: mean-field theory, growth per layer, rates on quadratics, number formats.

Closed forms and integrals, to be laid over measurements.  Nothing is drawn by chance, and nothing
is trained.
"""

from .correlations import correlation_map, depth_scale, fixed_correlation
from .formats import FORMATS, format_depth
from .growth import (
    batch_norm_growth,
    dropout_growth,
    lyapunov_exponent,
    normalized_growth,
    residual_growth,
)
from .meanfield import chi, edge_of_chaos, fixed_point, gaussian_mean, length_map
from .profiles import gradient_profile, predicted_profiles
from .quadratics import best_step, convergence_rate, sgd_variance, stability_limit

__all__ = [
    "gaussian_mean",
    "length_map",
    "correlation_map",
    "fixed_point",
    "fixed_correlation",
    "chi",
    "edge_of_chaos",
    "depth_scale",
    "gradient_profile",
    "predicted_profiles",
    "residual_growth",
    "batch_norm_growth",
    "normalized_growth",
    "dropout_growth",
    "lyapunov_exponent",
    "convergence_rate",
    "stability_limit",
    "best_step",
    "sgd_variance",
    "FORMATS",
    "format_depth",
]
