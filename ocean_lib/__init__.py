"""Densify sparse ocean depth observations with a conditional diffusion model in pixel space."""

import os

__version__ = "0.1.0"

# Threads that spin for long while they wait lose a factor of ten as soon as another process wants a
# core; those that never do, a tenth where none does.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "4000")
