"""Heads as backends make them and hand them out."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager.models.counted_response import CountedResponse
from a2a_session_manager.storage import commit_rules, heads
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Parent
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import EncodedEvent, SessionKey, StoredRun, UsageDelta

KEY = SessionKey(("n",), "s")


def commit_to(head: HeadRecord, **brought: Any) -> None:
    commit = EncodedCommit(**brought)
    no_seqs: dict[str, int] = {}
    no_responses: dict[str, CountedResponse] = {}
    commit_rules.apply(head, commit, commit_rules.decide(head, commit, no_seqs.get, no_responses.get))


def test_a_child_is_one_deeper_than_its_parent_and_has_its_root() -> None:
    child = heads.new_head(KEY, Creation("life", 1, Parent("p", "p-life", "top", 3)))
    root = heads.new_head(KEY, Creation("life", 1))

    assert (child.parent_id, child.root_id, child.depth) == ("p", "top", 4)
    assert (root.parent_id, root.root_id, root.depth) == (None, "s", 1)


@pytest.mark.parametrize(("finished", "unfinished"), [(0, 0), (5, 0), (20, 0), (21, 0), (40, 3), (0, 25)])
def test_a_bounded_read_brings_the_unfinished_runs_and_the_last_20(finished: int, unfinished: int) -> None:
    head = heads.new_head(KEY, Creation("life", 1))
    names = [f"waiting {n}" for n in range(unfinished)] + [f"done {n}" for n in range(finished)]
    for name in names:
        status = "waiting" if name.startswith("waiting") else "completed"
        commit_to(head, runs={name: StoredRun(status, b"{}")})

    shown = heads.copied(head, whole_head=False).runs

    assert list(shown) == [name for name in names if name.startswith("waiting") or name in names[-20:]]
    assert list(heads.copied(head, whole_head=True).runs) == names


def test_a_bounded_read_brings_the_spend_of_the_runs_it_brings() -> None:
    head = heads.new_head(KEY, Creation("life", 1))
    for n in range(25):
        event = EncodedEvent(f"e{n}", b"{}", f"r{n}", UsageDelta("m", "llm", {"requests": 1}))
        commit_to(head, runs={f"r{n}": StoredRun("completed", b"{}")}, events=[event])

    shown = heads.copied(head, whole_head=False)

    assert list(shown.run_totals) == list(shown.runs) == [f"r{n}" for n in range(5, 25)]
