"""Which namespace a folder is of: its name says so, or where that is a hash, the logs in it do."""

from __future__ import annotations

from pathlib import Path

from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage.file.atomic_files import read_regular
from a2a_session_manager.storage.file.commit_lines import decode_line
from a2a_session_manager.storage.file.framing import read_frames
from a2a_session_manager.storage.file.names import file_name, identifier_of
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.stored_shapes import NONSENSE


def namespace_of(directory: StoreDirectory, folder: Path) -> Namespace | None:
    """Return the namespace that lies in `folder`; None where nothing tells."""
    if folder == directory.folder((), "logs").parent:
        return ()
    parts = folder.relative_to(directory.path).parts
    folders = [directory.path.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
    names = [name_of(directory, each, depth) for depth, each in enumerate(folders)]
    namespace = tuple(name for name in names if name is not None)
    return namespace if len(namespace) == len(names) else None


def name_of(directory: StoreDirectory, folder: Path, depth: int) -> str | None:
    """Return the name that `folder`, which lies in so many others, stands for; None where nothing tells."""
    stem = folder.name.removeprefix("@")
    name = identifier_of(stem)
    if name is not None:
        return name if name and file_name(name) == stem else None
    return _name_inside(directory, folder, depth)


def _name_inside(directory: StoreDirectory, folder: Path, depth: int) -> str | None:
    for path in folder.glob("**/logs/*/*.log"):
        try:
            frames = read_frames(read_regular(path), 0)
            creation = decode_line(frames[0].payload).creation if frames else None
        except (OSError, *NONSENSE):
            continue  # the next one says it as well
        if creation is not None and directory.log_path(creation.key) == path:
            return creation.key.namespace[depth]
    return None
