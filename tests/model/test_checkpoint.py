"""The file of a model: what comes back, and what is refused."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ocean_lib import __version__
from ocean_lib.model import checkpoint
from ocean_lib.model.checkpoint import read_checkpoint, write_checkpoint

SETTINGS = {"mode": "residual", "gamma": 5.0, "words": ["Grüße", "a"], "none": None}


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(4, 3, 2, 2, generator=generator)
    return {
        "weight": weight.contiguous(memory_format=torch.channels_last),
        "other weight": torch.randn(4, 3, 2, 2, generator=generator),
        "half": weight.half(),
        "mask": weight > 0,
        "empty": torch.zeros(0),
        "number": torch.tensor(3.0, dtype=torch.float64),
    }


@pytest.fixture
def path(tmp_path, tensors):
    write_checkpoint(tmp_path / "checkpoint.safetensors", SETTINGS, tensors)
    return tmp_path / "checkpoint.safetensors"


def test_settings_and_tensors_come_back(path, tensors):
    settings, again = read_checkpoint(path)
    assert settings == SETTINGS and again.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert again[name].dtype == tensor.dtype and torch.equal(again[name], tensor)


def test_the_file_is_plain_safetensors_with_the_usual_rights(path, tensors, tmp_path):
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert torch.equal(load_file(path)["weight"], tensors["weight"])
    (tmp_path / "another").touch()
    assert path.stat().st_mode == (tmp_path / "another").stat().st_mode


def test_every_byte_that_is_changed_is_found_or_harmless(path, tensors):
    """Bytes of the padding between header and tensors may change, and nothing else."""
    whole = path.read_bytes()
    generator = torch.Generator().manual_seed(0)
    refused = 0
    for index in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[index] ^= 1 << int(torch.randint(8, (), generator=generator))
        path.write_bytes(damaged)
        try:
            settings, again = read_checkpoint(path)
        except ValueError as error:
            refused += 1
            assert path.name in str(error)
        else:
            assert settings == SETTINGS
            assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())
    assert refused > 0.95 * len(whole) / 7


@pytest.mark.parametrize("length", [0, 1, 8, 100, -1])
def test_a_file_that_ends_early_is_refused(path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match="checkpoint.safetensors .*is not a whole checkpoint"):
        read_checkpoint(path)


def test_two_tensors_that_changed_places_are_refused(path, tensors):
    with checkpoint.safe_open(path, "pt") as file:
        about = file.metadata()
    swapped = {"weight": tensors["other weight"], "other weight": tensors["weight"].contiguous()}
    save_file({**tensors, **swapped}, path, about)
    with pytest.raises(ValueError, match="is damaged.*SHA-256.*copy it again"):
        read_checkpoint(path)


def test_settings_that_changed_are_refused(path, tensors):
    with checkpoint.safe_open(path, "pt") as file:
        about = file.metadata()
    about["settings"] = json.dumps(SETTINGS | {"gamma": 6.0})
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, about)
    with pytest.raises(ValueError, match="is damaged"):
        read_checkpoint(path)


def test_other_files_are_refused_by_name(tmp_path):
    path = tmp_path / "other.safetensors"
    for content in (b"", b"plain text", b"\x00" * 100):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="other.safetensors .*is not a whole checkpoint"):
            read_checkpoint(path)
    for about in (None, {"kind": "another"}):
        save_file({"weights": torch.zeros(2)}, path, about)
        with pytest.raises(ValueError, match="other.safetensors is not a densifier.*training"):
            read_checkpoint(path)
    with pytest.raises(FileNotFoundError, match="none.safetensors.*03_training"):
        read_checkpoint(tmp_path / "none.safetensors")


def test_another_format_is_refused_with_its_version(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT", "99")
        patch.setattr(checkpoint, "__version__", "7.8")
        write_checkpoint(path, {}, {"weight": torch.zeros(2)})
    message = rf"format 99 \(ocean_lib 7.8\).*{__version__}, reads {checkpoint.FORMAT}"
    with pytest.raises(ValueError, match=message):
        read_checkpoint(path)


class Malicious:
    """Unpickled by a careless reader, it leaves a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("way", ["torch", "pickle"])
def test_nothing_in_a_file_is_executed(tmp_path, way):
    path, trace = tmp_path / "checkpoint.pt", tmp_path / "executed"
    content = {"kind": "ocean_lib densifier", "state": Malicious(trace)}
    if way == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(ValueError, match="checkpoint.pt .*(may hold code|not a whole checkpoint)"):
        read_checkpoint(path)
    assert not trace.exists()
    if way == "pickle":  # the trap works
        pickle.loads(path.read_bytes())
        assert trace.exists()


def test_saving_leaves_the_old_file_whole_when_it_fails(path, monkeypatch):
    before = path.read_bytes()

    def broken(tensors, file, about):
        Path(file).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint, "save_file", broken)
    with pytest.raises(OSError, match="disk full"):
        write_checkpoint(path, {}, {"weight": torch.zeros(2)})
    assert path.read_bytes() == before
