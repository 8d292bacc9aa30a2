"""Classical methods: the rivals of the network and its first guess.

Climatology, linear interpolation, regression on the surface, optimal interpolation and reduced
space, tuned on validation months through one call.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "optimal_interpolation": ["OptimalInterpolation"],
        "reduced_space": ["ReducedSpace"],
        "regression": ["Regression", "fit_local_regression"],
        "simple": ["climatology", "linear"],
        "tuning": ["tune_methods"],
    },
)
