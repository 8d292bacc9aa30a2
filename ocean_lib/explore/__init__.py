"""Explore: interactive figures with sliders and clicks; each function returns a notebook widget."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "explorer": [
            "explore_denoising",
            "explore_file",
            "explore_masks",
            "explore_reconstruction",
            "explore_run",
            "explore_runs",
        ],
        "reconstruction_view": ["still_figure"],
    },
)
