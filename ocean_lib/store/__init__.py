"""Store: fields as an int16 memory map of standardised anomalies, read at memory speed.

`build_store` writes a store from canonical fields, `Store` reads it, and `climatology_at` evaluates
the climatology that was subtracted.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "climatology": ["climatology_at", "harmonics"],
        "store": ["Store", "build_store", "existing_store"],
    },
)
