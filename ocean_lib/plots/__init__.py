"""Plots: maps, sections, profiles and curves.

Functions take labelled arrays and return figures; with `axes` they draw on those. Nothing is
downloaded.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "curves": ["error_by_depth", "loss_curve"],
        "maps": ["field_map", "occlusion", "reconstruction_maps", "small_multiples"],
        "profiles": ["profile"],
        "sections": ["hovmoller", "section"],
    },
)
