"""What a session was when it was last in step with its store: what `save` compares with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from a2a_session_manager.hierarchy import TreeReader
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_summary import TokenSummary


class CopiesAsItself:
    """Held privately by a session: shared by its copies, never dumped, left behind when it is pickled."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        # pydantic compares private attributes too, and two sessions are equal by what they say.
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _nothing, ()


@dataclass(frozen=True, slots=True, eq=False)
class Baseline(CopiesAsItself):
    """The store's side, as far as this session has seen it.

    `events` is shared by all later baselines and only ever grows behind their `event_count`. `hidden` are the ranges
    of seqs that were hidden through this session, whose totals still count them. `earlier_events` are the visible
    ones that a bounded read left out.
    `state`, `properties` and `runs` hold the encoded bytes by key, `created_at` and `updated_at` are in microseconds.
    `revision` and `last_seq` are the last ones seen without a gap, so that a guarded commit never passes over
    an unseen change; `tag` is what the commit of that revision has left, for where the revision comes again.
    """

    store: TreeReader
    session_id: str
    creation_id: str
    parent_id: str | None
    root_id: str
    depth: int
    created_at: int
    updated_at: int
    revision: int
    last_seq: int
    events: list[SessionEvent[Any]]
    event_count: int
    hidden: Sequence[tuple[int, int]]
    state: Mapping[str, bytes]
    properties: Mapping[str, bytes]
    runs: Mapping[str, bytes]
    totals: TokenSummary
    is_partial: bool
    earlier_events: int = 0
    tag: str = ""

    def grown(self, events: list[SessionEvent[Any]]) -> tuple[list[SessionEvent[Any]], int]:
        """Return the list and the count that also hold `events`; O(len(events)) while nobody else grew it."""
        known = self.events if len(self.events) == self.event_count else self.events[: self.event_count]
        known.extend(events)
        return known, len(known)


def _nothing() -> None:
    """What a pickled one comes back as: the store stays behind, the session arrives as plain data."""
