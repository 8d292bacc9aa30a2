"""A disk that forgets what was not flushed: it watches `os.fsync` and `os.replace`."""

import os
from pathlib import Path


class ForgetfulDisk:
    """Remembers what has reached the disk, and lists what a loss of power would spoil.

    Attributes:
        contents: {inode: content when the file was flushed}.
        names: {folder: {name: inode} when the folder was flushed}.
        early: files that got a new name before their content was on the disk.
        moved: new names so far.
    """

    def __init__(self, monkeypatch):
        self.contents: dict[int, bytes] = {}
        self.names: dict[Path, dict[str, int]] = {}
        self.early: list[Path] = []
        self.moved: list[Path] = []
        self._fsync, self._replace = os.fsync, os.replace
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(os, "replace", self.replace)

    def fsync(self, number):
        self._fsync(number)
        path = Path(os.readlink(f"/proc/self/fd/{number}"))
        if path.is_dir():
            self.names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}
        else:
            self.contents[path.stat().st_ino] = path.read_bytes()

    def replace(self, source, target):
        source, target = Path(source), Path(target)
        files = [path for path in source.rglob("*") if path.is_file()] or [source]
        self.early += [target for path in files if source.exists() and not self._kept(path)]
        self._replace(source, target)
        self.moved.append(target)

    def _kept(self, path: Path) -> bool:
        return path.is_dir() or self.contents.get(path.stat().st_ino) == path.read_bytes()

    def spoiled(self) -> list[Path]:
        """Moved files that are there now, and would be absent or broken after a loss of power."""
        there = {path for path in self.moved if path.exists()}
        return [
            path
            for path in there
            if self.names.get(path.parent, {}).get(path.name) != path.stat().st_ino
            or not all(self._kept(below) for below in (path, *path.rglob("*")))
        ]
