"""What JSON read from a file must look like: the right checksum may stand over nonsense all the same.

Each check raises ValueError, which says what is wrong, before anything is taken over.
"""

from __future__ import annotations

from typing import Any

from a2a_session_manager.models.token_tally import TokenTally
from a2a_session_manager.serialization.plain_json import parsed

# What reading nonsense may raise where no check has looked: it is damage, and no fault of ours.
NONSENSE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)

# A key that is new in `lines` is new here.
_APPEND_KEYS = frozenset({"r", "s", "t", "g", "e"})
_LINE_KEYS = _APPEND_KEYS | {
    *("w", "v", "birth", "fork", "state", "properties", "runs", "hidden", "restored", "pop", "c", "hs", "bw")
}
_FORK_KEYS = frozenset({"from", "segments", "hidden", "compactions", "placed"})
_COUNTERS = frozenset(TokenTally.model_fields)
# The years 1 to 9999 in microseconds since 1970.
_FIRST_MOMENT, _LAST_MOMENT = -62_135_596_800_000_000, 253_402_300_799_999_999
_DEEPEST = 256


def check_line(header: Any) -> None:
    """Check the header of a line of a log. Plain appends are nearly all there is, so theirs is checked in place."""
    revision, first_seq, written_at = header["r"], header["s"], header["t"]
    if not (type(revision) is type(first_seq) is type(written_at) is int and revision >= 1 and first_seq >= 1):
        raise ValueError("wrong numbers")
    if not _FIRST_MOMENT <= written_at <= _LAST_MOMENT:
        raise ValueError("a wrong time")
    for event_id, run_id, usage in header.get("e", ()):
        if type(event_id) is not str or (run_id is not None and type(run_id) is not str):
            raise ValueError("a wrong event")
        if usage is not None:
            _check_usage(*usage)
    if not is_append(header):
        _check_more(header)
    elif type(header.get("g", "")) is not str:
        raise ValueError("a wrong tag")


def is_append(header: dict[str, Any]) -> bool:
    """Tell whether a line holds new events and nothing else, as nearly all do."""
    return header.keys() <= _APPEND_KEYS


def check_creation(fields: Any) -> None:
    """Check what the first line of a log says of its session."""
    _check(type(fields) is list and len(fields) in {8, 9}, "a wrong creation")
    namespace, session_id, creation_id, created_at, parent_id, root_id, root_creation_id, depth, *updated = fields
    names = namespace if type(namespace) is list and len(namespace) > 1 else [namespace]
    _check(all_text(*names, session_id, creation_id, root_id, root_creation_id), "a wrong creation")
    _check(parent_id is None or type(parent_id) is str, "a wrong parent")
    _check(is_moment(created_at) and all(each is None or is_moment(each) for each in updated), "a wrong time")
    _check(_is_count(depth) and depth <= _DEEPEST, "a wrong depth")
    is_root = (parent_id is None, root_id == session_id, root_creation_id == creation_id, depth == 1)
    _check(len(set(is_root)) == 1, "a root that is none")


def check_fork(fork: Any, parent_id: str | None, depth: int) -> None:
    """Check what the first line of a log says of the fork that its session is, below `parent_id`."""
    _check(type(fork) is dict and fork.keys() == _FORK_KEYS, "a wrong fork")
    check_forked_from(fork["from"])
    last_seq = fork["from"][2]
    before, names = 0, []
    for session_id, creation_id, first, last, start, checksum in fork["segments"]:
        _check(all_text(session_id, creation_id) and _is_count(first) and _is_count(last), "a wrong segment")
        _check(first == before + 1 and first <= last, "a gap between segments")
        _check(type(start) is type(checksum) is int and start >= 0 and 0 <= checksum < 1 << 32, "a wrong border")
        before = last
        names.append(session_id)
    _check(before == last_seq and names[-1] == parent_id and len(names) < depth, "segments of another session")
    check_ranges(fork["hidden"], last_seq)
    check_ranges([(seq, seq) for placed in fork["placed"] for seq in placed], last_seq)
    check_ranges([(seq, seq) for seq, *_ in fork["compactions"]], last_seq)
    check_summaries([each[1:] for each in fork["compactions"]], last_seq)


def check_forked_from(source: Any) -> None:
    """Check where a fork begins."""
    session_id, creation_id, seq = source
    _check(all_text(session_id, creation_id) and _is_count(seq), "a fork of nothing")


def check_ranges(ranges: Any, last_seq: int) -> None:
    """Check ranges of seqs up to `last_seq`."""
    for first, last in ranges:
        _check(_is_count(first) and _is_count(last) and first <= last <= last_seq, "a wrong range")


def check_summaries(summaries: Any, last_seq: int) -> None:
    """Check which of the events up to `last_seq` summaries stand for: their range and pins, or 0, 0 and none."""
    for first, last, pins in summaries:
        if (first, last, len(pins)) != (0, 0, 0):
            check_ranges([(first, last), *pins], last_seq)
            _check(all(first <= one and other <= last for one, other in pins), "a pin outside")


def check_counters(counters: Any) -> None:
    """Check what a tally is made of."""
    _check(type(counters) is dict and counters.keys() <= _COUNTERS, "unknown counters")
    _check(all(type(count) is int and count >= 0 for count in counters.values()), "wrong counters")


def all_text(*values: Any) -> bool:
    """Tell whether all are strings."""
    return all(type(value) is str for value in values)


def is_moment(value: Any) -> bool:
    """Tell whether this is a time, in microseconds since the epoch."""
    return type(value) is int and _FIRST_MOMENT <= value <= _LAST_MOMENT


def _check_more(header: dict[str, Any]) -> None:
    _check(header.keys() <= _LINE_KEYS, "unknown keys")
    _check(all_text(header.get("w", ""), header.get("g", "")), "a wrong write id or tag")
    _check(header.get("pop", True) is True, "a wrong kind of retraction")
    for name in ("state", "properties"):
        for text in header.get(name, {}).values():
            if text is not None:
                parsed(text.encode())
    if "hs" in header:
        hold_id, made_at = header["hs"]
        _check(type(hold_id) is str and type(made_at) is int, "a wrong settlement")
    for name, begin in header.get("bw", ()):
        _check(type(name) is str and type(begin) is int, "a wrong window")
    summaries = header.get("c", ())
    _check(all(type(each[0]) is int and 0 <= each[0] < len(header["e"]) for each in summaries), "a wrong summary")
    check_summaries([each[1:] for each in summaries], header["s"] - 1)
    for status, text in header.get("runs", {}).values():
        _check(type(status) is str and type(parsed(text.encode())) is dict, "a wrong run")


def _check_usage(model: Any, source: Any, counters: Any, response_id: Any = "-", *counted: Any) -> None:
    _check(all_text(model, source), "a wrong model")
    check_counters(counters)
    _check(type(response_id) is str and response_id != "", "a wrong response")
    if counted:
        first_model, most = counted
        _check(type(first_model) is str, "a wrong model")
        check_counters(most)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


def _check(is_right: bool, what: str) -> None:
    if not is_right:
        raise ValueError(what)
