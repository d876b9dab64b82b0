"""What a fork's log begins with, as its head names it: stretches of the logs of sessions above it in its tree.

Their keys are made of the fork's own: all keys of a tree have one tag. Scripts do so, too, since nobody knows before
which sessions a fork is made of; they only read these keys, and before their first write.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from a2a_session_manager.limits import DEEPEST_TREE
from a2a_session_manager.models.forked_from import ForkedFrom
from a2a_session_manager.storage.commit_records import Fork
from a2a_session_manager.storage.fork_rules import COPIED_FROM, ForkDraft
from a2a_session_manager.storage.records import Range, Segment
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.script import Value

# The format of a fork's head: an earlier release would read a part of its log for the whole.
FORK: Final = b"2"
# Either of both, in a tree that has budgets.
BUDGETED: Final = b"3"
FORMATS: Final = (b"1", FORK, BUDGETED)


def fork_args(keys: SessionKeys, fork: Fork | None) -> list[Value]:
    """Return how many values tell of a fork, and those values, as `create_child.lua` reads them."""
    if fork is None:
        return [0]
    values = [
        source_line(fork.source),
        "".join(f"{each.creation_id} {each.last_seq} {_suffix(keys, each)};" for each in fork.segments),
        _written(fork.hidden),
        "".join(f"{each.seq} {each.first} {each.last} {_written(each.pins)};" for each in fork.compactions),
        "".join(f"{each.seq} {each.place};" for each in fork.placed),
    ]
    return [len(values), *values]


def draft_values(source: SessionKeys, draft: ForkDraft, found_by: Iterable[str]) -> list[Value]:
    """Return how a fork is to be made of a session that was not read, as `fork.lua` reads it.

    What sessions are `found_by` has to be known before the fork is there: a source that has it asks for a closer look.
    """
    doubtful = [b"p:" + name.encode("utf-8", "surrogatepass") for name in found_by]
    seq = "" if draft.seq is None else draft.seq
    begins: list[Value] = [DEEPEST_TREE, int(source.is_root), draft.source_creation_id or "", seq, draft.last]
    return [*begins, len(draft.marks), *draft.marks, 1, f"p:{COPIED_FROM}", len(doubtful), *doubtful]


def source_line(source: ForkedFrom) -> str:
    """Return where a fork begins, as heads and trees keep it."""
    return f"{source.seq} {source.creation_id} {source.id}"


def source_in(line: bytes) -> ForkedFrom:
    """Return where a fork begins, from its head. Raises ValueError."""
    seq, creation_id, source_id = line.split(b" ", 2)
    return ForkedFrom(source_id.decode(), creation_id.decode(), int(seq))


def segments_in(field: bytes, root_id: str) -> tuple[Segment, ...]:
    """Return the segments that a head names, oldest first; none for what is no fork. Raises ValueError."""
    found: list[Segment] = []
    first = 1
    for part in field.split(b";"):
        if part:
            creation_id, last, suffix = part.split(b" ")
            session_id = session_of(suffix, root_id)
            found.append(Segment(session_id, creation_id.decode(), first, int(last)))
            first = int(last) + 1
    return tuple(found)


def inherited_told_by(field: bytes | None) -> int:
    """Return the last seq that lies in a segment, by what a head says of them; 0 for what is no fork."""
    return int(field.rsplit(b" ", 2)[1]) if field else 0


def session_of(suffix: bytes, root_id: str) -> str:
    """Return the session whose keys end in `suffix`."""
    return unquote(suffix[1:].decode()) if suffix else root_id


def _suffix(keys: SessionKeys, segment: Segment) -> str:
    return keys.of(segment.session_id).ends[1].decode()


def _written(ranges: Iterable[Range]) -> str:
    return ",".join(f"{first}-{last}" for first, last in ranges)
