"""The pages that a store answers with: of ids, of events, and of heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, overload

from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_head import SessionHead

# By the time of the last activity or of the creation, or in the store's own stable order of ids.
PageOrder = Literal["updated", "created", "id"]


class SessionPage(NamedTuple):
    """One page of a listing; `cursor` asks for the next page and is None on the last one."""

    session_ids: list[str]
    cursor: str | None


class EventsPage(NamedTuple):
    """One page of a session's events; `next_after` is the `after` of the next page, and None on the last one."""

    events: list[SessionEvent[Any]]
    next_after: int | None


class HeadsPage(Sequence[SessionHead]):
    """One page of heads, which is a sequence of them.

    Attributes:
        cursor: asks for the next page of the same query; None on the last one. It may be put into a URL as it is.
    """

    __slots__ = ("_heads", "cursor")

    def __init__(self, heads: Sequence[SessionHead], cursor: str | None) -> None:
        self._heads = tuple(heads)
        self.cursor = cursor

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} sessions, cursor={self.cursor!r}>"

    def __len__(self) -> int:
        return len(self._heads)

    @overload
    def __getitem__(self, index: int) -> SessionHead: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SessionHead]: ...
    def __getitem__(self, index: int | slice) -> SessionHead | Sequence[SessionHead]:
        return self._heads[index]
