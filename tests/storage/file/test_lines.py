"""A commit as a line of a log, and the events read from it."""

from __future__ import annotations

import pytest

from a2a_session_manager.models.counted_response import CountedResponse
from a2a_session_manager.storage.commit_records import EncodedCommit
from a2a_session_manager.storage.file.commit_lines import decode_line, encode_line
from a2a_session_manager.storage.records import EncodedEvent, UsageDelta


@pytest.mark.parametrize("event_id", ["e1", 'a "quoted" \\ id', "tab\tand\nnewline", "Übermut 🦊"])
@pytest.mark.parametrize("run_id", [None, 'r "1"'])
@pytest.mark.parametrize(
    "usage",
    [
        None,
        UsageDelta("gpt-4o", "llm", {"requests": 1, "prompt_tokens": 12}),
        UsageDelta("\ud800", "llm", {}),
        UsageDelta("m", "llm", {"requests": 1}, 'msg "1"'),
        UsageDelta("m", "llm", {"repeated_requests": 1}, "msg_1", CountedResponse("\ud800", {"requests": 1})),
    ],
    ids=["no usage", "usage", "a model with a lone surrogate", "of a response", "of a response that came again"],
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
