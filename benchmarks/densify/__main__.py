"""Verify the frozen cases and print the table of our methods: `python -m benchmarks.densify`.

Reconstructions in `outputs/benchmark` are scored again; the other scores are those kept in git. The
last column of each table says which.
"""

from .cases import CASES
from .fitted import FITTED
from .hashes import verify
from .results import combined, measured, published, tables
from .sections import SECTIONS

names = [name for folder in (CASES, FITTED) for name in verify(folder / "SHA256SUMS", folder)]
print(f"verified by SHA-256: {', '.join(names)}")
if SECTIONS.is_dir():
    print(f"verified: {', '.join(verify(CASES / 'sections.sha256', SECTIONS))}")
else:
    print(f"no sections in {SECTIONS}; their scores are those published")
scores = combined(measured(), published())
print(tables(scores) if len(scores) else "no scores yet: python -m benchmarks.densify.methods")
