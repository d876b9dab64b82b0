"""What a store must show, as plain dictionaries and lists: the yardstick of the model-based test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.storage.model_budgets import PlainBudgets, Use

FINAL = frozenset({"completed", "failed", "cancelled"})
STATUSES = ("pending", "running", "waiting", "completed", "failed", "cancelled")


def response_of(event_id: str) -> str | None:
    """Return the id of the response that an event has a usage of: some events share one, some have none."""
    return {"e3": "msg_1", "e4": "msg_1", "e5": "msg_1", "e6": "msg_2", "e7": "msg_2"}.get(event_id)


class Row(NamedTuple):
    """One event of a log; its seq is its place, counted from 1."""

    id: str
    message: Any
    tokens: int
    revision: int


class Hiding(NamedTuple):
    """What a retraction hid, and whether it claimed the newest events."""

    seqs: set[int]
    is_pop: bool


class Covered(NamedTuple):
    """What the event of a summary stands for: all from `first` to `last`, but for `pins`."""

    first: int
    last: int
    pins: set[int]


class Point(NamedTuple):
    """Where a fork begins: at an event of the session `id`, in this life of it."""

    id: str
    life: int
    seq: int


@dataclass
class PlainSession:
    """One session, stored the slow and obvious way."""

    id: str
    parent_id: str | None
    life: int
    revision: int = 0
    active: int = 0  # how often events, runs, state or retractions came after the birth
    log: list[Row] = field(default_factory=list)
    hider: dict[int, str] = field(default_factory=dict)  # by hidden seq, the write that hid it
    hidings: dict[str, Hiding] = field(default_factory=dict)  # by write id
    state: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    run_ids: dict[str, str] = field(default_factory=dict)  # of events that are a run's, by event id
    compactions: dict[int, Covered] = field(default_factory=dict)  # by the seq of the summary's event
    ended: set[int] = field(default_factory=set)  # those that count no longer
    leases: dict[str, str] = field(default_factory=dict)  # run id → token
    forked_from: Point | None = None
    hidden_at_birth: set[int] = field(default_factory=set)  # what a fork has hidden from its beginning
    stays: bool = False  # whatever time to live the store has

    @property
    def inherited(self) -> int:
        """How many events at the beginning of the log are those of other sessions."""
        return 0 if self.forked_from is None else self.forked_from.seq

    @property
    def hidden(self) -> set[int]:
        return set(self.hider)

    @property
    def visible(self) -> list[int]:
        return [seq for seq in range(1, len(self.log) + 1) if seq not in self.hidden]

    @property
    def tokens(self) -> int:
        """What it spent: of the usages of one response, the largest alone, and of that what exceeds inherited ones."""
        return _spent(self.log) - _spent(self.log[: self.inherited])

    @property
    def requests(self) -> int:
        """How many responses it paid for itself."""
        return len(_responses(self.log) - _responses(self.log[: self.inherited]))

    @property
    def repeated(self) -> dict[str, list[int]]:
        """The seqs of the usages of each response that has several, of which one at least is no inherited one."""
        own = {name: found for name, found in _usages(self.log).items() if found[-1] > self.inherited}
        return {name: found for name, found in own.items() if len(found) > 1}

    @property
    def repeated_requests(self) -> int:
        """How many usages came again, without those that were inherited."""
        found, before = _usages(self.log), _usages(self.log[: self.inherited])
        return sum(len(seqs) - max(len(before.get(name, ())), 1) for name, seqs in found.items())

    @property
    def in_force(self) -> int | None:
        """The seq of the summary that counts."""
        valid = [seq for seq in self.compactions if seq not in self.ended | self.hidden]
        return max(valid, key=lambda seq: (self.compactions[seq].last, seq), default=None)

    @property
    def shown(self) -> list[int]:
        """What a view is made of, in the order of the log."""
        seq = self.in_force
        if seq is None:
            return self.visible
        first, last, pins = self.compactions[seq]
        return [each for each in self.visible if each in pins or each == seq or not first <= each <= last]

    def seq_of(self, event_id: str) -> int | None:
        return next((seq for seq, row in enumerate(self.log, 1) if row.id == event_id), None)

    def refuses_content(self, events: Iterable[tuple[str, Any, int]]) -> bool:
        """Tell whether an id is taken by another message, in the log or earlier among the events."""
        taken = {row.id: row.message for row in self.log}
        return any(taken.setdefault(event_id, message) != message for event_id, message, _ in events)

    def repeats(self, events: Iterable[tuple[str, Any, int]]) -> list[bool]:
        """Tell of each event whether its id is known, in the log or from earlier among the events."""
        names = [event_id for event_id, _, _ in events]
        return [self.seq_of(name) is not None or name in names[:place] for place, name in enumerate(names)]

    def was_hidden(self, seq: int) -> bool:
        return seq in self.hidden_at_birth or any(seq in hiding.seqs for hiding in self.hidings.values())

    def refuses_run(self, run_id: str, status: str) -> bool:
        before = self.runs.get(run_id, status)
        return before != status and (before in FINAL or status == "pending")

    def refuses_claim(self, run_id: str, token: str, step: str) -> str | None:
        """Return why a lease is not acquired, or not given up."""
        if step == "release":
            return None if self.leases.get(run_id) == token else "lost"
        if self.runs.get(run_id, "completed") in FINAL:
            return "ended"
        return "busy" if step == "acquire" and self.leases.get(run_id, token) != token else None

    def commit(
        self,
        *,
        events: Iterable[tuple[str, Any, int]] = (),
        set_state: Mapping[str, Any] | None = None,
        unset_state: Iterable[str] = (),
        runs: Mapping[str, str] | None = None,
        hide: Iterable[int] = (),
        show: Iterable[int] = (),
        write_id: str = "",
        is_pop: bool = False,
    ) -> list[int]:
        """Do it all as one step; return the seqs of the events, known ones with their old seq."""
        newly, shown = set(hide) - self.hidden, set(show) & self.hidden
        unset = list(unset_state)
        fresh = {event_id for event_id, _, _ in events if self.seq_of(event_id) is None}
        is_birth = not self.revision
        if fresh or newly or shown or set_state or unset or runs or is_birth:
            self.revision += 1
            self.active += not is_birth
        for event_id, message, tokens in events:
            if self.seq_of(event_id) is None:
                self.log.append(Row(event_id, message, tokens, self.revision))
        for seq, (first, last, _) in self.compactions.items():
            if any(first <= each <= last for each in newly | shown):
                self.ended.add(seq)
        self.hider = {seq: write for seq, write in self.hider.items() if seq not in shown}
        self.hider |= dict.fromkeys(newly, write_id)
        if write_id:
            self.hidings[write_id] = Hiding(newly, is_pop)
        self.state |= set_state or {}
        for key in unset:
            self.state.pop(key, None)
        self.runs |= runs or {}
        return [self.seq_of(event_id) or 0 for event_id, _, _ in events]


@dataclass
class PlainStore:
    """All sessions in creation order, and what each tree has spent, deleted sessions included."""

    sessions: dict[str, PlainSession] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)  # by root id
    lives: int = 0
    budgets: PlainBudgets = field(default_factory=PlainBudgets)

    def create(self, session_id: str, parent_id: str | None, *, stays: bool = False) -> PlainSession:
        self.lives += 1
        session = PlainSession(session_id, parent_id, self.lives, stays=stays)
        session.commit()
        self.sessions[session_id] = session
        self.budgets.parents[session.life] = None if parent_id is None else self.sessions[parent_id].life
        self.budgets.names[session.life], self.budgets.uses[session.life] = session_id, Use()
        if parent_id is None:
            self.spent[session_id] = 0
        return session

    def fork(self, source_id: str, seq: int, new_id: str, endings: Iterable[tuple[str, Any]] = ()) -> PlainSession:
        """Copy the session up to an event, below the one that has stored it, with more events after that."""
        source = holder = self.sessions[source_id]
        while seq <= holder.inherited and holder.parent_id is not None:
            holder = self.sessions[holder.parent_id]
        forked = self.create(new_id, holder.id)
        forked.forked_from = Point(source_id, source.life, seq)
        forked.log = [row._replace(revision=1) for row in source.log[:seq]]
        forked.log += [Row(event_id, message, 0, 1) for event_id, message in endings]
        forked.hidden_at_birth = {each for each in source.hidden if each <= seq}
        forked.hider = dict.fromkeys(forked.hidden_at_birth, "")
        forked.state, forked.run_ids = dict(source.state), dict(source.run_ids)
        forked.compactions = {at: covered for at, covered in source.compactions.items() if at <= seq}
        forked.ended = {at for at in source.ended if at <= seq}
        return forked

    def children(self, session_id: str) -> list[str]:
        return [each for each in self.right_below(session_id) if self.sessions[each].forked_from is None]

    def forks(self, session_id: str) -> list[str]:
        return [each for each in self.right_below(session_id) if self.sessions[each].forked_from is not None]

    def right_below(self, session_id: str) -> list[str]:
        return [each.id for each in self.sessions.values() if each.parent_id == session_id]

    def descendants(self, session_id: str) -> list[str]:
        """Return the ids below a session, depth first, without forks."""
        return [each for child in self.children(session_id) for each in (child, *self.descendants(child))]

    def below(self, session_id: str) -> list[str]:
        """Return the ids below a session, depth first."""
        return [each for child in self.right_below(session_id) for each in (child, *self.below(child))]

    def root_of(self, session_id: str) -> str:
        parent_id = self.sessions[session_id].parent_id
        return session_id if parent_id is None else self.root_of(parent_id)

    def tree(self, session_id: str) -> list[tuple[str, str | None]]:
        root = self.root_of(session_id)
        return [(each.id, each.parent_id) for each in self.sessions.values() if self.root_of(each.id) == root]

    def tree_tokens(self, session_id: str) -> int:
        if self.sessions[session_id].parent_id is None:
            return self.spent[session_id]
        return sum(self.sessions[each].tokens for each in (session_id, *self.below(session_id)))

    def append(self, session_id: str, *, made_at: int | None = None, **change: Any) -> list[int]:
        """Commit to a session and count what it spent into its tree; a hold that it names was made at `made_at`."""
        session = self.sessions[session_id]
        before, last_seq = session.tokens, len(session.log)
        seqs = session.commit(**change)
        self.spent[self.root_of(session_id)] += session.tokens - before
        self.budgets.spend(session.life, Use(session.tokens, session.requests), made_at)
        self.budgets.settle(session.life, [row.id for row in session.log[last_seq:]])
        return seqs

    def delete(self, session_id: str) -> None:
        ids = (session_id, *self.below(session_id))
        self.budgets.delete([self.sessions[each].life for each in ids])
        for each in ids:
            del self.sessions[each]
        self.spent.pop(session_id, None)


def _usages(log: Iterable[Row]) -> dict[str, list[int]]:
    """Return the seqs of the usages of each response."""
    seqs: dict[str, list[int]] = {}
    for seq, row in enumerate(log, 1):
        if row.tokens and (name := response_of(row.id)) is not None:
            seqs.setdefault(name, []).append(seq)
    return seqs


def _responses(log: Iterable[Row]) -> set[str]:
    return {response_of(row.id) or f"none of {row.id}" for row in log if row.tokens}


def _spent(log: Iterable[Row]) -> int:
    most: dict[str, int] = {}
    for row in log:
        name = response_of(row.id) or f"none of {row.id}"
        most[name] = max(most.get(name, 0), row.tokens)
    return sum(most.values())
