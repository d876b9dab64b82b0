"""What the journal of a catalog begins with: of which tables, which part, which machine and which file it is."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from a2a_session_manager.serialization.plain_json import dumped, parsed
from a2a_session_manager.storage.file.framing import framed, read_frames

FORMAT: Final = 1
MARK_BYTES: Final = 16

_GENERATION: Final = re.compile("[0-9a-f]{32}")
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class DamagedJournalError(Exception):
    """The journal is not whole, or not this machine's since it was started: the catalog is to be made anew."""


class JournalHeader(NamedTuple):
    """What the first line of a part of the journal says.

    Attributes:
        generation: names the tables that it belongs to; a catalog that is made anew gets new ones.
        part: how many parts were before it.
        indexed: the properties whose values the records tell.
        is_whole: nothing was in the namespace before the first part.
        boot: names the time since the machine was started: what was written before may have been lost with the power.
        file: device and inode; those of a copy differ, which may be of another moment than the logs beside it.
    """

    generation: str
    part: int
    indexed: tuple[str, ...]
    is_whole: bool
    boot: str
    file: tuple[int, int]


@cache
def boot() -> str:
    """Return what names the time since the machine was started; "" where the system does not say."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def new_header(header: JournalHeader) -> bytes:
    """Return the bytes that a file begins with in which there are no records yet."""
    return b"%016x" % 0 + framed(dumped({"v": FORMAT, **header._asdict()}))


def header_in(data: bytes) -> tuple[JournalHeader, int]:
    """Return the header that a file begins with, and where it ends. Raises DamagedJournalError."""
    end = data.find(b"\n", MARK_BYTES + 1) + 1
    try:
        [frame] = read_frames(data[MARK_BYTES:end], MARK_BYTES)
        return _checked_header(parsed(frame.payload)), frame.end
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise DamagedJournalError("its first line is damaged") from error


def _checked_header(fields: Any) -> JournalHeader:
    version = fields.pop("v")
    if version != FORMAT:
        raise ValueError(f"format {version}")
    header = JournalHeader(**fields)
    if not _GENERATION.fullmatch(header.generation) or type(header.part) is not int:
        raise ValueError("a wrong generation")
    device, inode = header.file
    return header._replace(indexed=tuple(header.indexed), file=(device, inode))
