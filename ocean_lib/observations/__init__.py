"""Observations: what was measured, and how it becomes the batch that a network sees.

Mask patterns, Argo floats, tables of profiles, profiles on a field's grid, gridded observations.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "argo": ["fetch_argo"],
        "batch": ["observe", "select_statistics", "standardise"],
        "gridded": ["open_observations"],
        "gridding": ["observe_profiles", "to_cells"],
        "profiles": ["describe_use", "open_profiles"],
        "specification": ["check_patterns", "draw_masks"],
    },
)
