"""Classical methods: baselines for the network, and its first guess.

Climatology, linear interpolation, regression on the surface, optimal interpolation and reduced
space; `tune_methods` tunes all of them on validation months.
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
