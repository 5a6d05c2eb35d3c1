"""The experiments behind the chapters, one module for each, named as the chapter is.

They put the other rooms together and are imported by none of them.  What two chapters need belongs
elsewhere.
"""

from .adaptive_methods import RULES, compare_rules, in_odd_units
from .backpropagation import difference_errors
from .clipping import clipped_descent, clipped_means, clipping_map
from .digits import FAILURES, REMEDIES, dropout, remedy_matrix
from .floating_point import keep_weights, layer_factors, leaving
from .gradient_descent import descent_paths, valley_paths
from .initialization import SCHEMES, compare_schemes
from .learning_rate import NETWORKS, first_sharpness, learning_rates, small_transformers
from .measuring_gradients import gradient_correlation, shattered_gradients
from .minibatches import batch_sizes, steps_to
from .normalization import NORMALIZATIONS, compare_normalizations
from .recurrent_networks import memory_map
from .replication import fingerprint, twins
from .signal_propagation import trainability
from .skip_connections import SCALES, branch_scales, delete_blocks
from .why_gradients_vanish import gradient_profiles

__all__ = [
    "descent_paths",
    "valley_paths",
    "difference_errors",
    "batch_sizes",
    "steps_to",
    "gradient_profiles",
    "trainability",
    "gradient_correlation",
    "shattered_gradients",
    "keep_weights",
    "layer_factors",
    "leaving",
    "memory_map",
    "SCHEMES",
    "compare_schemes",
    "NORMALIZATIONS",
    "compare_normalizations",
    "clipped_descent",
    "clipped_means",
    "clipping_map",
    "SCALES",
    "branch_scales",
    "delete_blocks",
    "NETWORKS",
    "learning_rates",
    "first_sharpness",
    "small_transformers",
    "RULES",
    "compare_rules",
    "in_odd_units",
    "FAILURES",
    "REMEDIES",
    "dropout",
    "remedy_matrix",
    "twins",
    "fingerprint",
]
