"""Which sessions surely exist, told from the first bytes of their files: listings ask for thousands.

Where these bytes do not tell, because something was deleted, cut off or damaged, the log and its tree are read.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any, Literal

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.storage.file.creation_records import FORK_FORMAT, FORMAT, CreationRecord, creation_from
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.records import SessionKey

# The first record of most logs, and the whole tree file of a session without children, are shorter.
_FIRST_BYTES = 1_024
_LONE_ROOT = re.compile(rb'\n[0-9a-f]{8} (?:[0-9a-f@]+ )?\{"\+":\[(".*"),null,"([0-9a-f]+)"\],"v":1\}\n')
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class FolderScan:
    """The sessions of one folder of logs, and of the folder of trees that belongs to it."""

    def __init__(self, directory: StoreDirectory, namespace: Namespace, shard: str) -> None:
        self._directory = directory
        self._namespace = namespace
        self._logs = f"{directory.folder(namespace, 'logs')}/{shard}/"
        self._trees = f"{directory.folder(namespace, 'trees')}/{shard}/"
        # No symlink may lead out of the store's directory: the log and its tree are read the careful way then.
        self._is_plain = all(os.path.realpath(folder) == folder[:-1] for folder in (self._logs, self._trees))

    def kind_of(self, session_id: str, stem: str) -> Literal["root", "child"] | None:
        """Return what the session is whose files are called `stem`; None where these bytes do not tell."""
        if not self._is_plain:
            return None
        try:
            log = _first_bytes(f"{self._logs}{stem}.log")
            if self._is_lone_root(session_id, stem, log):
                return "root"
            creation = _creation_in(log)
            is_named = creation.key == SessionKey(self._namespace, session_id) and self._is_named(creation)
        except (OSError, ValueError, KeyError, TypeError, IndexError, CorruptSession):
            return None
        if not is_named:
            return None
        return "root" if creation.parent_id is None else "child"

    def _is_lone_root(self, session_id: str, stem: str, log: bytes) -> bool:
        """Tell whether the tree file says that this root was created, as its log does, and nothing else.

        The checksum may be wrong: a session whose tree is damaged is listed as well, for damage is not absence.
        """
        try:
            found = _LONE_ROOT.fullmatch(_first_bytes(f"{self._trees}{stem}.tree"))
        except FileNotFoundError:
            return False
        return found is not None and found[1] == json.dumps(session_id).encode() and b'"%b"' % found[2] in log

    def _is_named(self, creation: CreationRecord) -> bool:
        """Tell whether the tree that a creation names names it."""
        tree = self._directory.tree(SessionKey(self._namespace, creation.root_id))
        with tree:
            return tree.is_current() and tree.names(creation)


def _first_bytes(path: str) -> bytes:
    fd = os.open(path, _FLAGS)
    try:
        return os.read(fd, _FIRST_BYTES)
    finally:
        os.close(fd)


def _creation_in(log: bytes) -> CreationRecord:
    """Return what the first record of a log says, unchecked."""
    line = log.split(b"\n", 2)[1].partition(b"\t")[0]
    header: Mapping[str, Any] = parsed(line[line.index(b"{") :])
    if header["v"] not in (FORMAT, FORK_FORMAT):
        raise ValueError("another format")
    return creation_from(header["birth"], header.get("fork"))
