"""The rules of a commit, against a model that does everything the slow and plain way."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import InvalidSessionOperation, SessionConflict, SessionNotFound
from a2a_session_manager.budgets.settling import Settlement
from a2a_session_manager.models.counted_response import CountedResponse
from a2a_session_manager.storage import commit_rules, heads, ranges
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, EventsKnown, FirstResult, append_of
from a2a_session_manager.storage.hiding import FindSeq
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import EncodedEvent, EncodedRetraction, SessionKey, StoredRun, UsageDelta
from tests.draws import few

KEY = SessionKey(("n",), "s")
FINAL = {"completed", "failed", "cancelled"}
STATUSES = ["pending", "running", "waiting", "completed", "failed", "cancelled"]


def new_head() -> HeadRecord:
    return heads.new_head(KEY, Creation("life", 1))


def event(id: str, tokens: int = 0, run_id: str | None = None) -> EncodedEvent:
    usage = UsageDelta("m", "llm", {"requests": 1, "prompt_tokens": tokens}) if tokens else None
    return EncodedEvent(id, id.encode(), run_id, usage)


def no_responses(response_id: str) -> CountedResponse | None:
    """Answer for a session that has no usage of any response."""
    return None


def unknown(event_id: str) -> int | None:
    """Answer for a session that has no event yet."""
    return None


def seq_of(**seqs: int) -> FindSeq:
    return seqs.get


def test_a_commit_of_events_alone_that_is_made_by_place_is_the_one_that_is_made_by_name() -> None:
    events, settles = [event("a")], Settlement("h", 7)
    named = EncodedCommit(events=events, written_at=5, creation_id="life", settles=settles)
    assert replace(append_of(events, 5, "life", settles), tag=named.tag) == named
    assert len({append_of(events, 5).tag for _ in range(8)}) == 8


@dataclass
class Plain:
    """A session as a list of rows; nothing here is clever."""

    revision: int = 0
    ids: list[str] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)
    state: dict[str, bytes] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    tokens: int = 0

    def commit(self, commit: EncodedCommit) -> dict[str, Any] | None:
        """Return what the receipt must say, or None when the commit must be refused."""
        if commit.expected_revision not in (None, self.revision):
            return None
        for run_id, run in commit.runs.items():
            before = self.runs.get(run_id)
            if before is not None and before != run.status and (before in FINAL or run.status == "pending"):
                return None
        wanted = self._wanted(commit.retraction)
        if wanted is None:
            return None
        newly = wanted - self.hidden
        seqs, fresh = [], 0
        for one in commit.events:
            if one.id not in self.ids:
                self.ids.append(one.id)
                fresh += 1
                self.tokens += one.usage.counters["prompt_tokens"] if one.usage else 0
            seqs.append(self.ids.index(one.id) + 1)
        self.hidden |= newly
        for key, value in commit.state.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        self.runs |= {run_id: run.status for run_id, run in commit.runs.items()}
        changed = fresh or newly or commit.state or commit.runs
        self.revision += 1 if changed or self.revision == 0 else 0
        return {
            "revision": self.revision,
            "last_seq": len(self.ids),
            "seqs": seqs,
            "hidden": newly,
        }

    def known_seqs(self, commit: EncodedCommit) -> list[int]:
        """Return where the commit's events are already, 0 for each that is not."""
        return [self.ids.index(one.id) + 1 if one.id in self.ids else 0 for one in commit.events]

    def _wanted(self, retraction: EncodedRetraction | None) -> set[int] | None:
        if retraction is None:
            return set()
        everything = range(1, len(self.ids) + 1)
        if retraction.last is not None:
            visible = [seq for seq in everything if seq not in self.hidden]
            return set(visible[len(visible) - min(retraction.last, len(visible)) :])
        if retraction.after is not None:
            return {seq for seq in everything if seq > retraction.after}
        if not set(retraction.event_ids) <= set(self.ids):
            return None
        return {self.ids.index(event_id) + 1 for event_id in retraction.event_ids}


ids = st.sampled_from([f"e{n}" for n in range(12)])
retractions = (
    st.none()
    | st.integers(0, 5).map(lambda count: EncodedRetraction(last=count))
    | st.integers(0, 15).map(lambda seq: EncodedRetraction(after=seq))
    | st.lists(ids, min_size=1, max_size=3).map(lambda some: EncodedRetraction(tuple(some)))
)


@st.composite
def commits(draw: st.DrawFn) -> EncodedCommit:
    one_event = st.builds(event, ids, st.integers(0, 3), st.sampled_from([None, "r0", "r1"]))
    run = st.sampled_from(STATUSES).map(lambda status: StoredRun(status, b"{}"))
    return EncodedCommit(
        events=draw(st.lists(one_event, max_size=4)),
        state=draw(st.dictionaries(st.sampled_from("abc"), st.sampled_from([None, b"1", b"2"]), max_size=2)),
        runs=draw(st.dictionaries(st.sampled_from(["r0", "r1"]), run, max_size=1)),
        retraction=draw(retractions),
        expected_revision=draw(st.none() | st.none() | st.integers(0, 6)),
        written_at=draw(st.integers(1, 9)),
    )


def snapshot(head: HeadRecord) -> HeadRecord:
    return heads.copied(head, whole_head=True)


@given(st.lists(commits(), max_size=8))
@settings(deadline=None, max_examples=few(50, of=1_000))
def test_a_row_of_commits_does_what_the_plain_model_says(row: list[EncodedCommit]) -> None:
    head, plain, seqs = new_head(), Plain(), dict[str, int]()

    for commit in row:
        before = snapshot(head)
        if any(plain.known_seqs(commit)):
            with pytest.raises(EventsKnown) as known:
                commit_rules.decide(head, commit, seqs.get, no_responses)
            assert (known.value.revision, known.value.last_seq) == (plain.revision, len(plain.ids))
            assert known.value.seqs == plain.known_seqs(commit)
            assert head == before
            commit.events = [one for one in commit.events if one.id not in plain.ids]
        expected = plain.commit(commit)
        if expected is None:
            with pytest.raises((SessionConflict, InvalidSessionOperation)):
                commit_rules.decide(head, commit, seqs.get, no_responses)
            assert head == before
            continue
        outcome = commit_rules.decide(head, commit, seqs.get, no_responses)
        assert head == before, "deciding changes nothing"
        first = head.last_seq + 1
        commit_rules.apply(head, commit, outcome)
        seqs |= {fresh.id: seq for seq, fresh in enumerate(outcome.fresh, first)}

        receipt = outcome.receipt
        assert {
            "revision": receipt.revision,
            "last_seq": receipt.last_seq,
            "seqs": list(receipt.seqs),
            "hidden": {seq for low, high in receipt.hidden for seq in range(low, high + 1)},
        } == expected
        assert (head.revision, head.last_seq, head.state) == (plain.revision, len(plain.ids), plain.state)
        assert {seq for seq in range(1, 60) if ranges.contains(head.hidden, seq)} == plain.hidden
        assert {run_id: run.status for run_id, run in head.runs.items()} == plain.runs
        assert set(head.unfinished) == {run_id for run_id, status in plain.runs.items() if status not in FINAL}
        assert sum(total.get("prompt_tokens", 0) for total in head.totals.values()) == plain.tokens


ACTIVE = {
    "events": EncodedCommit(events=[event("new")]),
    "runs": EncodedCommit(runs={"r": StoredRun("running", b"")}),
    "state": EncodedCommit(state={"k": b"1"}),
    "state taken away": EncodedCommit(state={"gone": None}),
    "a retraction": EncodedCommit(retraction=EncodedRetraction(last=1)),
}
QUIET = {
    "properties": EncodedCommit(properties={"title": b'"trip"'}),
    "a retraction of nothing": EncodedCommit(retraction=EncodedRetraction(last=0)),
    "nothing": EncodedCommit(),
}


@pytest.mark.parametrize(("written_at", "expected"), [(500, 500), (100, 101), (3, 101)], ids=str)
@pytest.mark.parametrize("what", [*ACTIVE, *QUIET])
def test_activity_alone_moves_the_time_of_the_last_one_and_never_back(
    what: str, written_at: int, expected: int
) -> None:
    head = heads.new_head(KEY, Creation("life", 1, updated_at=100))
    born = EncodedCommit(events=[event("known")], written_at=400)
    commit_rules.apply(head, born, commit_rules.decide(head, born, unknown, no_responses))
    commit = replace(ACTIVE.get(what) or QUIET[what], written_at=written_at)

    outcome = commit_rules.decide(head, commit, seq_of(known=1), no_responses)
    commit_rules.apply(head, commit, outcome)

    assert outcome.receipt.updated_at == head.updated_at == (expected if what in ACTIVE else 100)


@given(st.lists(commits(), max_size=5))
@settings(deadline=None)
def test_a_head_that_was_copied_follows_no_later_commit(row: list[EncodedCommit]) -> None:
    head = new_head()
    copies = []

    for n, commit in enumerate(row):
        commit.expected_revision = None
        commit.retraction = EncodedRetraction(last=1)
        commit.runs = {f"r{n}": StoredRun("running", b"{}")}
        outcome = commit_rules.decide(head, commit, unknown, no_responses)
        copies.append((snapshot(head), snapshot(head)))
        commit_rules.apply(head, commit, outcome)

    assert all(kept == again for kept, again in copies)


def test_the_birth_of_a_session_is_a_commit_even_when_it_brings_nothing() -> None:
    assert commit_rules.decide(new_head(), EncodedCommit(), unknown, no_responses).revision == 1


def test_the_same_event_twice_in_one_commit_is_one_event() -> None:
    commit = EncodedCommit(events=[event("a"), event("b"), event("a")])
    outcome = commit_rules.decide(new_head(), commit, unknown, no_responses)

    assert [fresh.id for fresh in outcome.fresh] == ["a", "b"]
    assert list(outcome.receipt.seqs) == [1, 2, 1]


def test_a_retraction_in_a_commit_does_not_hide_the_events_of_the_same_commit() -> None:
    head = new_head()
    first = EncodedCommit(events=[event("a")])
    commit_rules.apply(head, first, commit_rules.decide(head, first, unknown, no_responses))

    outcome = commit_rules.decide(
        head, EncodedCommit(events=[event("b")], retraction=EncodedRetraction(after=0)), seq_of(a=1), no_responses
    )

    assert outcome.hidden == ((1, 1),)


def test_a_commit_for_an_earlier_life_finds_nothing() -> None:
    head = new_head()

    commit_rules.check_incarnation(head, EncodedCommit(creation_id="life"))
    commit_rules.check_incarnation(head, EncodedCommit())
    with pytest.raises(SessionNotFound, match="was deleted, and another one has its id now"):
        commit_rules.check_incarnation(head, EncodedCommit(creation_id="an earlier life"))


def test_a_known_write_id_is_answered_with_the_first_result_whatever_came_after() -> None:
    commit = EncodedCommit(events=[event("a"), event("b")], write_id="w")

    receipt = commit_rules.repeat(new_head(), commit, FirstResult(3, 2, True, ((1, 1),)), seq_of(a=1))

    assert (receipt.revision, receipt.last_seq, receipt.hidden) == (3, 2, ((1, 1),))
    assert list(receipt.seqs) == [1, 0]
