"""One commit as one line of a log: a JSON header, then the events as they were encoded, apart by tabs.

Encoded events hold neither newline nor tab, since JSON escapes both, so their bytes stay readable in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from a2a_session_manager.budgets.settling import Settlement
from a2a_session_manager.models.counted_response import CountedResponse
from a2a_session_manager.serialization.plain_json import dumped, parsed
from a2a_session_manager.storage.commit_records import EncodedCommit
from a2a_session_manager.storage.counted_responses import counted_by
from a2a_session_manager.storage.file.creation_records import (
    BUDGET_FORMAT,
    CreationRecord,
    check_format,
    creation_fields,
    creation_from,
    fork_fields,
    format_of,
)
from a2a_session_manager.storage.file.stored_shapes import check_line, is_append
from a2a_session_manager.storage.records import (
    Counters,
    EncodedCompaction,
    EncodedEvent,
    Range,
    StoredRun,
    UsageDelta,
)

# Every header begins with the revision and the seq after the last event before it.
NUMBERS: Final = rb'\{"r":([1-9][0-9]{0,18}),"s":([1-9][0-9]{0,18}),"t":'


class CommitLine(NamedTuple):
    """A line read back: the commit, what it did, and, in the first line, the session's creation."""

    commit: EncodedCommit
    revision: int
    first_seq: int
    hidden: tuple[tuple[int, int], ...]
    creation: CreationRecord | None
    restored: tuple[tuple[int, int], ...] = ()
    is_pop: bool = False

    @property
    def is_change(self) -> bool:
        """False for a commit that changed nothing, and was written for its write id alone."""
        commit = self.commit
        changed = self.hidden or self.restored
        return bool(self.creation or commit.events or changed or commit.state or commit.properties or commit.runs)


def encode_line(
    commit: EncodedCommit,
    revision: int,
    first_seq: int,
    fresh: Sequence[EncodedEvent],
    *,
    hidden: Sequence[Range] = (),
    restored: Sequence[Range] = (),
    is_pop: bool = False,
    creation: CreationRecord | None = None,
) -> bytes:
    """Return the payload that records what `commit` did: the events that were new, what it hid and what it restored.

    Only what is not empty is written.
    """
    is_plain = (
        creation is None
        and commit.write_id is None
        and commit.is_append
        and commit.settles is None
        and not commit.windows
    )
    more = b"" if is_plain else _more_of(commit, hidden, restored, creation, is_pop=is_pop)
    numbers = (revision, first_seq, commit.written_at, commit.tag.encode(), more)
    if not fresh:
        return b'{"r":%d,"s":%d,"t":%d,"g":"%b"%b}' % numbers
    described = dumped([(event.id, event.run_id, _described(event.usage)) for event in fresh])
    data = b"\t".join([event.data for event in fresh])
    return b'{"r":%d,"s":%d,"t":%d,"g":"%b"%b,"e":%b}\t%b' % (*numbers, described, data)


def _more_of(
    commit: EncodedCommit,
    hidden: Sequence[Range],
    restored: Sequence[Range],
    creation: CreationRecord | None,
    *,
    is_pop: bool,
) -> bytes:
    """Return what the header of a line that is more than new events says beside them."""
    fields: dict[str, Any] = {}
    if creation is not None:
        fields = {"v": format_of(creation), "birth": creation_fields(creation), "fork": fork_fields(creation)}
    fields |= {
        "w": commit.write_id,
        "state": _texts(commit.state),
        "properties": _texts(commit.properties),
        "runs": {run_id: [run.status, run.data.decode()] for run_id, run in commit.runs.items()},
        "hidden": hidden,
        "restored": restored,
        "pop": is_pop and commit.write_id is not None,
        "c": _compactions_of(commit),
        "hs": commit.settles,
        "bw": commit.windows,
    }
    if commit.settles is not None or commit.windows:
        fields["v"] = BUDGET_FORMAT
    # A write id may be empty text, which is one.
    written = {name: value for name, value in fields.items() if value or value == ""}
    return b"," + dumped(written)[1:-1] if written else b""


def seqs_in_line(payload: bytes) -> dict[str, int]:
    """Return the seqs of the events that the line brought, without decoding any of them. Raises like decode_line."""
    header = _header(payload.partition(b"\t")[0])
    return {described[0]: seq for seq, described in enumerate(header.get("e", ()), int(header["s"]))}


def settled_in_line(payload: bytes) -> tuple[str, int] | None:
    """Return the id of the hold that the line settles, and when that was made; None without one.

    Raises like decode_line.
    """
    header = _header(payload.partition(b"\t")[0])
    return (str(header["hs"][0]), int(header["hs"][1])) if "hs" in header else None


def counted_in_line(payload: bytes) -> list[tuple[int, str, CountedResponse]]:
    """Return the seq of each event that has a usage of a response, with what is counted of that from there on.

    Raises like decode_line.
    """
    header = _header(payload.partition(b"\t")[0])
    check_line(header)
    numbered = enumerate(header.get("e", ()), header["s"])
    usages = [(seq, _usage_of(*usage)) for seq, (_, _, usage) in numbered if usage is not None]
    return [(seq, usage.response_id, counted_by(usage)) for seq, usage in usages if usage.response_id is not None]


def decode_line(payload: bytes) -> CommitLine:
    """Return the line that was encoded. Raises ValueError when it is none, UnknownFormat for a newer one."""
    head, *data = payload.split(b"\t")
    header = _header(head)
    check_line(header)
    events = _events(header.get("e", ()), data)
    commit = EncodedCommit(events=events, written_at=header["t"], tag=header.get("g", ""))
    if is_append(header):
        return CommitLine(commit, header["r"], header["s"], (), None)
    commit.state = _bytes(header.get("state", {}))
    commit.properties = _bytes(header.get("properties", {}))
    runs = header.get("runs", {})
    commit.runs = {run_id: StoredRun(status, text.encode()) for run_id, (status, text) in runs.items()}
    commit.write_id = header.get("w")
    hidden, restored = (tuple((first, last) for first, last in header.get(name, ())) for name in ("hidden", "restored"))
    commit.compactions = [
        EncodedCompaction(events[index].id, first, last, tuple((one, other) for one, other in pins))
        for index, first, last, pins in header.get("c", ())
    ]
    if "hs" in header:
        commit.settles = Settlement(*header["hs"])
    commit.windows = tuple((name, begin) for name, begin in header.get("bw", ()))
    creation = creation_from(header["birth"], header.get("fork")) if "birth" in header else None
    is_of_budgets = "hs" in header or "bw" in header
    if creation is not None and header["v"] != (BUDGET_FORMAT if is_of_budgets else format_of(creation)):
        raise ValueError("another format than that of its kind")
    return CommitLine(commit, header["r"], header["s"], hidden, creation, restored, "pop" in header)


def _header(data: bytes) -> dict[str, Any]:
    header: dict[str, Any] = parsed(data)
    if "v" in header:
        check_format(header["v"])
    return header


def _events(described: Sequence[Any], data: Sequence[bytes]) -> list[EncodedEvent]:
    return [
        EncodedEvent(event_id, encoded, run_id, None if usage is None else _usage_of(*usage))
        for (event_id, run_id, usage), encoded in zip(described, data, strict=True)
    ]


def _described(usage: UsageDelta | None) -> tuple[Any, ...] | None:
    """Return a usage as the line has it: of a response that was counted before, also what is counted of it now."""
    if usage is None or usage.response_id is None:
        return None if usage is None else usage[:3]
    return usage[:4] if usage.counted is None else (*usage[:4], *usage.counted)


def _usage_of(model: str, source: str, counters: Counters, response_id: str | None = None, *counted: Any) -> UsageDelta:
    return UsageDelta(model, source, counters, response_id, CountedResponse(*counted) if counted else None)


def _compactions_of(commit: EncodedCommit) -> list[Any]:
    """Return what the events of a commit stand for, each named by its index among the new ones."""
    ids = list(dict.fromkeys(event.id for event in commit.events)) if commit.compactions else []
    return [[ids.index(made.event_id), made.first, made.last, made.pins] for made in commit.compactions]


def _texts(values: Any) -> dict[str, str | None]:
    return {key: None if data is None else data.decode() for key, data in values.items()}


def _bytes(values: dict[str, str | None]) -> dict[str, bytes | None]:
    return {key: None if text is None else text.encode() for key, text in values.items()}
