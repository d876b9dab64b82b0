"""BundleFile: a bundle as a file of lines, which are refused by their numbers. It runs in threads."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final, NoReturn, TypeVar

from a2a_session_manager.bundles.line_reading import record_of_line, run_of_line, value_of_line
from a2a_session_manager.bundles.lines import HEADER_START, MANIFEST_START, VERSION
from a2a_session_manager.bundles.records import SessionRecord
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionManagerError
from a2a_session_manager.identifiers import shown, shown_path
from a2a_session_manager.limits import StoreLimits

ResultT = TypeVar("ResultT")

_KNOWN: Final = f"known are bundles of a2a_session_manager, version {VERSION}"
_BESIDE_BYTES: Final = 1_000_000


class BundleFile:
    """The bundle at `path`, for a store with these limits.

    Attributes:
        line: the number of the line that was read last, for errors.
        digest: of all lines that `next` has returned, but for the last one of the file.
    """

    def __init__(self, path: Path, limits: StoreLimits) -> None:
        self.limits = limits
        self.line = 0
        self.digest = hashlib.sha256()
        self._path = path
        self._file: IO[bytes] | None = None

    def open(self) -> None:
        """Open the file, and look at how it begins. Raises InvalidSessionOperation for what is no bundle."""
        try:
            if self._path.is_dir():
                raise InvalidSessionOperation(f"{shown_path(self._path)} is a directory: {_KNOWN}")
            if self._path.exists() and not self._path.is_file():
                text = "is no file that is read twice, such as a pipe: write it into one first"
                raise InvalidSessionOperation(f"{shown_path(self._path)} {text}")
            self._file = open(self._path, "rb")  # noqa: SIM115  closed by `close`
            first = self._file.readline(len(HEADER_START) + 64)
        except OSError as error:
            raise InvalidSessionOperation(
                f"{shown_path(self._path)} cannot be read: {error.strerror or error}"
            ) from error
        self.line = 1
        self.digest.update(first)
        if not first:
            raise InvalidSessionOperation(f"{shown_path(self._path)} is empty: {_KNOWN}")
        if not first.startswith(HEADER_START):
            seen = shown(first[:40].decode(errors="replace"))
            raise InvalidSessionOperation(f"{shown_path(self._path)} begins with {seen}, which is no bundle: {_KNOWN}")
        version = first[len(HEADER_START) :].rstrip(b"}\n")
        if version != b"%d" % VERSION:
            raise InvalidSessionOperation(
                f"{shown_path(self._path)} is a bundle of version {shown(version.decode(errors='replace'))}: {_KNOWN}; "
                "upgrade a2a_session_manager"
            )

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    @property
    def offset(self) -> int:
        """Where the next line begins."""
        return self._opened.tell()

    def next(self) -> tuple[int, bytes]:
        """Return the next line, and where it begins."""
        offset = self.offset
        line = self.read_line()
        self.line += 1
        if len(line) == self._longest and not line.endswith(b"\n"):
            self.refuse(f"it has more than {self._longest} bytes: this store takes {self.limits.event_bytes} an event")
        if not line.endswith(b"\n"):
            self.refuse("the file ends here, before its last line: it was cut off")
        if not line.startswith(MANIFEST_START):
            self.digest.update(line)
        return offset, line

    def read_line(self) -> bytes:
        """Return the line that comes next, of a part that was looked at before."""
        return self._opened.readline(self._longest)

    def go_to(self, offset: int, line: int) -> None:
        """Go on with the line after number `line`, which begins at `offset`."""
        self._opened.seek(offset)
        self.line = line

    def is_at_end(self) -> bool:
        """Tell whether nothing comes any more."""
        return not self._opened.read(1)

    def head(self, line: bytes) -> tuple[SessionRecord, dict[str, int]]:
        """Return what the first line of a session says, and how many values and runs are to come."""
        return self.checked(record_of_line, line)

    def add_values(self, record: SessionRecord, counts: dict[str, int], next_line: Callable[[], bytes]) -> None:
        """Add the properties, the state and the runs that come next."""
        for kind, what, values in (("property", "properties", record.properties), ("state", "state", record.state)):
            for _ in range(counts[what]):
                name, value = self.checked(value_of_line, next_line(), kind, self.limits)
                if name in values:
                    self.refuse(f"the {kind} {shown(name)} comes twice")
                values[name] = value
        for _ in range(counts["runs"]):
            run_id, run = self.checked(run_of_line, next_line(), record.id, self.limits)
            if run_id in record.runs:
                self.refuse(f"the run {shown(run_id)} comes twice")
            record.runs[run_id] = run

    def checked(self, read: Callable[..., ResultT], *arguments: Any) -> ResultT:
        """Return what `read` returns. Raises InvalidSessionOperation, with the line, when it raises."""
        try:
            return read(*arguments)
        except (SessionManagerError, ValueError, TypeError, KeyError, RecursionError) as error:
            self.refuse(str(error).removesuffix("; nothing was changed"), error)

    def refuse(self, why: str, error: BaseException | None = None) -> NoReturn:
        """Raise InvalidSessionOperation for the line that was read last."""
        text = f"{shown_path(self._path)}, line {self.line}: {why}; nothing was written"
        raise InvalidSessionOperation(text) from error

    @property
    def _longest(self) -> int:
        return self.limits.event_bytes + _BESIDE_BYTES

    @property
    def _opened(self) -> IO[bytes]:
        assert self._file is not None, "it was opened"
        return self._file


def is_bundle(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file begins as a bundle does, of whatever version; what cannot be read, or only once, does not."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(HEADER_START)) == HEADER_START
    except (OSError, ValueError):
        return False
