"""A commit as a line of a log: what is written in the short way is what the long one writes."""

from __future__ import annotations

import pytest

from a2a_session_manager.storage import commit_rules, heads
from a2a_session_manager.storage.file.commit_lines import decode_line, encode_line, encode_one
from a2a_session_manager.storage.records import Creation, EncodedCommit, EncodedEvent, SessionKey, UsageDelta


def unknown(event_id: str) -> None:
    return None


@pytest.mark.parametrize("event_id", ["e1", 'a "quoted" \\ id', "tab\tand\nnewline", "Übermut 🦊"])
@pytest.mark.parametrize("run_id", [None, 'r "1"'])
@pytest.mark.parametrize(
    "usage",
    [None, UsageDelta("gpt-4o", "llm", {"requests": 1, "prompt_tokens": 12}), UsageDelta("\ud800", "llm", {})],
    ids=["no usage", "usage", "a model with a lone surrogate"],
)
def test_the_line_of_one_event_is_the_same_both_ways(
    event_id: str, run_id: str | None, usage: UsageDelta | None
) -> None:
    event = EncodedEvent(event_id, b'{"v":1}', run_id, usage)
    commit = EncodedCommit(events=[event], written_at=1_700_000_000_000_000)
    head = heads.new_head(SessionKey("", "chat"), Creation("life", 1))
    head.revision, head.last_seq = 6, 41
    line = encode_one(commit, 7, 42)

    assert line == encode_line(commit, commit_rules.decide(head, commit, unknown), 42)
    assert decode_line(line).commit.events == [event]
