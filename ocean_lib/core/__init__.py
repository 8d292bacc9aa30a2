"""Core: general tools that all other folders use; they know nothing about oceanography.

Atomic writes and locks, arrays larger than memory, months and splits, seeds, and geometry.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "arrays": ["canvas", "seeded"],
        "atomic": ["atomic_write"],
        "chunks": ["on_scheduler"],
        "geometry": ["is_ring", "sphere"],
        "lock": ["acquire_lock"],
        "months": ["choose_split", "from_months", "neighbouring_dates", "to_months"],
        "resumable": ["Construction", "under_construction"],
    },
)
