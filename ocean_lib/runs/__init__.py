"""Runs: one folder per experiment, filled by executing the notebooks.

Strict parameters, the lock, papermill, progress, the manifest, and the doctor.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "parameters": ["RunError", "load_parameters"],
        "paths": ["Run", "device_name", "folder_name", "open_run", "workspace"],
        "progress_bar": ["progress"],
        "runner": ["execute_run"],
    },
)
