"""Reconstruct: dense fields of a whole domain from its observations.

Tiles, ensemble members and what follows from them, the self-check, files in and out, and scores at
withheld profiles.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "convergence": ["score_by_evaluations"],
        "derived": ["check_derived", "default_derived", "derive_cases"],
        "ensemble": ["denoising_steps", "reconstruct"],
        "from_files": ["reconstruct_files"],
        "gridded_profiles": ["assemble_profiles", "prepare_profiles"],
        "sampling": ["Sampling"],
        "self_check": ["run_self_check"],
        "withheld": ["choose_withheld", "score_withheld"],
    },
)
