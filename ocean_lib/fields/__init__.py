"""Fields: read any gridded file of ocean temperature as one canonical dataset.

This folder recognises names, axes, dates, packing and units, selects regions and levels, derives
heat content and its like, and writes and reads the file of a reconstruction.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "canonical": ["further_variables", "open_fields", "open_levels", "to_canonical"],
        "conventions": ["named"],
        "derived": ["column_names", "derive"],
        "description": ["describe_fields"],
        "files": ["find_files", "open_file"],
        "reconstruction_file": [
            "assemble_cases",
            "assemble_observations",
            "observations_of_case",
            "open_reconstruction",
            "read_reconstruction",
            "select",
            "write_reconstruction",
        ],
        "seawater": ["to_potential"],
        "surfaces": ["open_surfaces"],
    },
)
