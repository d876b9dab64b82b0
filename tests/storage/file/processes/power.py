"""A disk as a loss of power leaves it: what was synced, and of all else any part.

`Recorder` notes, after each system call of the store, which names and which bytes there are, and which of them were
synced; `Moment.disks` are the directories that may be found if the power failed then.
"""

from __future__ import annotations

import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

PAGE = 4_096
_CALLS = ("open", "link", "replace", "rename", "unlink", "mkdir", "rmdir", "ftruncate", "write", "pwrite")
_SYNCS = ("fsync", "fdatasync")


class Node(NamedTuple):
    """A file or folder; inode numbers come back, so each use of one counts."""

    inode: int
    use: int


Names = dict[Node, dict[str, Node]]
Contents = dict[Node, bytes]


@dataclass(frozen=True)
class Disk:
    """Which names lead where, and what is in the files."""

    top: Node
    names: Names
    contents: Contents

    def write(self, directory: Path) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        self._write(self.top, directory)

    def files(self) -> dict[str, bytes]:
        """Return what is in the files, by path."""
        return dict(self._files(self.top, ""))

    def _files(self, node: Node, path: str) -> Iterator[tuple[str, bytes]]:
        if node not in self.names:
            yield path, self.contents[node]
        for name, below in self.names.get(node, {}).items():
            yield from self._files(below, f"{path}/{name}")

    def _write(self, node: Node, path: Path) -> None:
        if node not in self.names:
            path.write_bytes(self.contents[node])
            return
        path.mkdir()
        for name, below in self.names[node].items():
            self._write(below, path / name)


@dataclass(frozen=True)
class Moment:
    """The disk as running processes see it, and what of it is synced; `done` tells how far the work had come."""

    call: str
    done: int
    seen: Disk
    synced: Disk

    def plain_disks(self) -> Iterator[Disk]:
        """Yield what is left when all of a kind is lost: names, bytes, both, none."""
        for names in (self.seen.names, self.synced.names):
            for lost in ("nothing", "bytes", "size"):
                yield self._disk(names, {node: self._lost(node, lost) for node in self._nodes()})

    def single_losses(self) -> Iterator[Disk]:
        """Yield what is left when one page, or one change of a name, is lost."""
        contents = {node: self._lost(node, "nothing") for node in self._nodes()}
        for node, data in contents.items():
            for start in self._unsynced_pages(node):
                yield self._disk(self.seen.names, contents | {node: _zeroed(data, start)})
        for folder, name in self._changed_names():
            yield self._disk(self._with_old(self.seen.names, folder, name), contents)

    def random_disk(self, chance: random.Random) -> Disk:
        """Return what is left when any of the unsynced pages and names are lost."""
        contents = {}
        for node in self._nodes():
            data = self._lost(node, "nothing")
            for start in self._unsynced_pages(node):
                if chance.random() < 0.5:
                    data = _zeroed(data, start)
            contents[node] = data if chance.random() < 0.8 else data[: len(self.synced.contents.get(node, b""))]
        names = self.seen.names
        for folder, name in self._changed_names():
            if chance.random() < 0.5:
                names = self._with_old(names, folder, name)
        return self._disk(names, contents)

    def _disk(self, names: Names, contents: Contents) -> Disk:
        return Disk(self.seen.top, names, contents)

    def _nodes(self) -> list[Node]:
        return [*self.seen.contents]

    def _lost(self, node: Node, what: str) -> bytes:
        data, synced = self.seen.contents[node], self.synced.contents.get(node, b"")
        if what == "nothing":
            return data
        return synced if what == "size" else synced[: len(data)] + bytes(max(len(data) - len(synced), 0))

    def _unsynced_pages(self, node: Node) -> list[int]:
        data, synced = self.seen.contents[node], self.synced.contents.get(node, b"")
        pages = range(0, len(data), PAGE)
        starts = [start for start in pages if data[start : start + PAGE] != synced[start : start + PAGE]]
        # A page that was synced in part keeps that part.
        return [max(start, min(len(synced), start + PAGE)) for start in starts if len(synced) < start + PAGE] + [
            start for start in starts if len(synced) >= start + PAGE
        ]

    def _changed_names(self) -> list[tuple[Node, str]]:
        return [
            (folder, name)
            for folder, now in self.seen.names.items()
            for before in [self.synced.names.get(folder, {})]
            for name in sorted(now.keys() | before.keys())
            if now.get(name) != before.get(name)
        ]

    def _with_old(self, names: Names, folder: Node, name: str) -> Names:
        entries = dict(names[folder])
        entries.pop(name, None)
        old = self.synced.names.get(folder, {}).get(name)
        return names | {folder: entries if old is None else entries | {name: old}}


def _zeroed(data: bytes, start: int) -> bytes:
    end = min(len(data), start // PAGE * PAGE + PAGE)
    return data[:start] + bytes(end - start) + data[end:]


class Recorder:
    """Notes the moments of whatever happens below `top` while it is in use; nothing is really synced meanwhile."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moments: list[Moment] = []
        self.done = 0
        self._top = top
        self._lock = threading.RLock()
        self._uses: dict[int, int] = {}
        self._present: set[int] = set()
        self._contents: Contents = {}
        self._synced_contents: Contents = {}
        self._synced_names: Names = {}
        for name in _CALLS:
            monkeypatch.setattr(os, name, self._noted(name, getattr(os, name)))
        for name in _SYNCS:
            monkeypatch.setattr(os, name, self._synced)

    def _noted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                try:
                    return call(*args, **kwargs)
                finally:
                    if name != "open" or (len(args) > 1 and args[1] & (os.O_CREAT | os.O_TRUNC)):
                        self._look(name)

        return noted

    def _synced(self, fd: int) -> None:
        with self._lock:
            self._look("before a sync")
            node = self._node(os.fstat(fd).st_ino)
            names, contents = self._read()
            if node in names:
                self._synced_names[node] = names[node]
            elif node in contents:
                self._synced_contents[node] = contents[node]
            self._look("sync")

    def _look(self, call: str) -> None:
        names, contents = self._read()
        self._contents |= contents
        top = self._node(self._top.stat().st_ino)
        seen = Disk(top, names | {n: e for n, e in self._synced_names.items() if n not in names}, dict(self._contents))
        synced_names = {node: self._synced_names.get(node, {}) for node in seen.names}
        moment = Moment(call, self.done, seen, Disk(top, synced_names, dict(self._synced_contents)))
        if not self.moments or self.moments[-1].seen != moment.seen or self.moments[-1].synced != moment.synced:
            self.moments.append(moment)

    def _read(self) -> tuple[Names, Contents]:
        paths = [self._top, *sorted(self._top.rglob("*"))]
        inodes = {path: path.lstat().st_ino for path in paths}
        for inode in set(inodes.values()) - self._present:
            self._uses[inode] = self._uses.get(inode, 0) + 1
        self._present = set(inodes.values())
        nodes = {path: self._node(inode) for path, inode in inodes.items()}
        names: Names = {nodes[path]: {} for path in paths if path.is_dir()}
        for path in paths[1:]:
            names[nodes[path.parent]][path.name] = nodes[path]
        return names, {nodes[path]: path.read_bytes() for path in paths if not path.is_dir()}

    def _node(self, inode: int) -> Node:
        return Node(inode, self._uses.get(inode, 0))
