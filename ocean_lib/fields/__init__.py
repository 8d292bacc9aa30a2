"""Fields: any gridded file of ocean temperature as one canonical dataset.

Names, axes, dates, packing and units are recognised here, regions and levels selected, and the file
of a reconstruction is written and read.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "canonical": ["open_fields", "seen_from_above", "to_canonical"],
        "conventions": ["named"],
        "files": ["find_files", "open_file"],
        "reconstruction_file": [
            "assemble_cases",
            "observations_of_case",
            "read_reconstruction",
            "select",
            "write_reconstruction",
        ],
        "seawater": ["to_potential"],
    },
)
