"""What a session was when it was last in step with its store: what `save` compares with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_usage import TokenSummary

if TYPE_CHECKING:
    from a2a_session_manager.protocols import SessionStore


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """A private memory of the store's side; copies as itself, is never dumped and never pickled.

    `events` is shared by all later baselines and only ever grows behind their `event_count`; `hidden_seqs`
    were hidden through this session, whose totals still count them.
    `state`, `properties` and `runs` hold the encoded bytes by key. `revision` and `last_seq` are the
    last ones seen without a gap, so that a guarded commit never passes over an unseen change.
    """

    store: SessionStore
    session_id: str
    creation_id: str
    parent_id: str | None
    root_id: str
    depth: int
    revision: int
    last_seq: int
    events: list[SessionEvent[Any]]
    event_count: int
    hidden_seqs: frozenset[int]
    state: Mapping[str, bytes]
    properties: Mapping[str, bytes]
    runs: Mapping[str, bytes]
    totals: TokenSummary
    is_partial: bool

    def grown(self, events: list[SessionEvent[Any]]) -> tuple[list[SessionEvent[Any]], int]:
        """Return the list and the count that also hold `events`; O(len(events)) while nobody else grew it."""
        known = self.events if len(self.events) == self.event_count else self.events[: self.event_count]
        known.extend(events)
        return known, len(known)

    def __eq__(self, other: object) -> bool:
        # pydantic compares private attributes too, and two sessions are equal by what they say.
        return isinstance(other, Baseline)

    def __hash__(self) -> int:
        return hash(Baseline)

    def __copy__(self) -> Baseline:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Baseline:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _nothing, ()


def _nothing() -> None:
    """What a pickled baseline comes back as: the store stays behind, the session arrives as plain data."""
