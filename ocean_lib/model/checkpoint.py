"""The file of a model: tensors and settings in safetensors, with a digest of all of it.

    tensors    the weights and buffers by their names; `statistics.…` with the model's statistics
    metadata   kind, format, version, settings (JSON), and the SHA-256 of the rest

The format holds no code, so nothing in a file can be executed. Tensors are mapped into memory:
statistics as large as the globe stay in the file until they are used.

Reference: https://huggingface.co/docs/safetensors (format).
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ocean_lib import __version__
from ocean_lib.core.atomic import atomic_write

__all__ = ["read_checkpoint", "write_checkpoint"]


KIND = "ocean_lib densifier"  # tells a checkpoint from other files of tensors
FORMAT = "10"  # a file of another format is refused
REMEDY = "copy it again, or give a checkpoint.safetensors that training wrote"
PIECE = 2**26  # bytes that the digest takes at a time


def write_checkpoint(
    path: Path | str, settings: dict[str, Any], tensors: dict[str, Tensor]
) -> None:
    """Write a file that `read_checkpoint` reads; it appears whole or not at all.

    Args:
        path: file to write.
        settings: convertible to JSON.
        tensors: by name.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    about = {"kind": KIND, "format": FORMAT, "version": __version__}
    about["settings"] = json.dumps(settings, allow_nan=False)
    about["sha256"] = _digest(about, tensors)
    with atomic_write(path) as beside:
        beside.touch()
        usual = beside.stat().st_mode
        save_file(tensors, beside, about)
        beside.chmod(usual)  # safetensors lets the owner alone read


def read_checkpoint(path: Path | str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings and tensors of a file, which are what was written.

    Args:
        path: file to read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a checkpoint, has another format, or is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}; run notebook 03_training first")
    with path.open("rb") as start:
        if start.read(2) == b"PK":
            raise ValueError(
                f"{path} is an archive of PyTorch, as earlier versions of ocean_lib wrote them; it "
                f"may hold code and is not opened; train again, or give a file of format {FORMAT}"
            )
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, ValueError, RuntimeError, OSError) as error:
        raise ValueError(
            f"{path} ({path.stat().st_size} bytes) is not a whole checkpoint ({error}); {REMEDY}"
        ) from error
    if about.get("kind") != KIND:
        raise ValueError(f"{path} is not a densifier; {REMEDY}")
    if about.get("format") != FORMAT:
        raise ValueError(
            f"{path} has format {about.get('format')} (ocean_lib {about.get('version')}), this "
            f"version, {__version__}, reads {FORMAT}; train again or install that version"
        )
    if about.pop("sha256", None) != _digest(about, tensors):
        raise ValueError(
            f"{path} is damaged: its content does not have the SHA-256 stated in it; {REMEDY}"
        )
    return json.loads(about["settings"]), tensors


def _digest(about: dict[str, str], tensors: dict[str, Tensor]) -> str:
    """SHA-256 of the metadata and of the name, type, shape and values of every tensor."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        values = tensor.reshape(-1).view(torch.uint8).numpy()
        for first in range(0, len(values), PIECE):
            digest.update(values[first : first + PIECE].data)
    return digest.hexdigest()
