"""A commit as a line of a log, and the events read from it."""

from __future__ import annotations

import pytest

from a2a_session_manager.storage.file.commit_lines import decode_line, encode_line, events_in_line
from a2a_session_manager.storage.records import EncodedCommit, EncodedEvent, UsageDelta


@pytest.mark.parametrize("event_id", ["e1", 'a "quoted" \\ id', "tab\tand\nnewline", "Übermut 🦊"])
@pytest.mark.parametrize("run_id", [None, 'r "1"'])
@pytest.mark.parametrize(
    "usage",
    [None, UsageDelta("gpt-4o", "llm", {"requests": 1, "prompt_tokens": 12}), UsageDelta("\ud800", "llm", {})],
    ids=["no usage", "usage", "a model with a lone surrogate"],
)
def test_the_line_of_one_event_comes_back_as_it_was_written(
    event_id: str, run_id: str | None, usage: UsageDelta | None
) -> None:
    event = EncodedEvent(event_id, b'{"v":1}', run_id, usage)
    commit = EncodedCommit(events=[event], written_at=1_700_000_000_000_000, tag="a tag")
    payload = encode_line(commit, 7, 42, commit.events)
    line = decode_line(payload)

    assert (line.revision, line.first_seq, line.commit, line.creation) == (7, 42, commit, None)
    assert b"\n" not in payload
    assert events_in_line(payload, 42, 42) == (7, [event.data])


def test_of_many_events_those_that_are_wanted_are_read() -> None:
    events = [EncodedEvent(f"e{number}", b'{"n":%d}' % number, None, None) for number in range(5)]
    payload = encode_line(EncodedCommit(events=events, written_at=1), 3, 11, events)

    assert events_in_line(payload, 12, 13) == (3, [b'{"n":1}', b'{"n":2}'])
    assert events_in_line(payload, 14, 99) == (3, [b'{"n":3}', b'{"n":4}'])
    assert events_in_line(payload, 16, 99) == (3, [])
    with pytest.raises(ValueError, match="later events"):
        events_in_line(payload, 10, 99)


def test_a_line_without_events_has_none_to_read() -> None:
    payload = encode_line(EncodedCommit(state={"k": b"1"}, written_at=1, write_id="w"), 3, 11, ())

    assert events_in_line(payload, 11, 99) == (3, [])
