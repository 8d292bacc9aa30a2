"""Densify sparse ocean depth observations with a conditional diffusion model in pixel space."""

import os

__version__ = "0.1.0"

# Threads that spin while they wait lose a factor of ten as soon as another process wants a core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
