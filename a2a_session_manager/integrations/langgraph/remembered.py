"""What a saver remembers of the sessions that it has used last, so that most of its commits need no read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from a2a_session_manager.integrations.langgraph.lists import KnownLists
from a2a_session_manager.integrations.langgraph.records import Ref
from a2a_session_manager.models.session import Session

_REMEMBERED: Final = 1_024


class Head(NamedTuple):
    """Where a session is, as a handle of it, and the greatest id of its checkpoints.

    A commit through the handle is never made to a later session of that id, whatever its revision is.
    """

    session: Session[Any]
    latest: str | None


class Remembered:
    """The heads of sessions, where the values of checkpoints lie, how many batches of writes they have, and lists."""

    def __init__(self) -> None:
        self.heads: OrderedDict[str, Head] = OrderedDict()
        self.refs: OrderedDict[tuple[str, str], Mapping[str, Ref]] = OrderedDict()
        self.next_writes: OrderedDict[tuple[str, str], int] = OrderedDict()
        self.lists = KnownLists()
        self._made: OrderedDict[str, str | None] = OrderedDict()

    def met(self, session: Session[Any], latest: str | None) -> Head:
        """Remember where a session is, and forget what may have been of another one of its id, which is gone."""
        if self._made.get(session.id) != session.creation_id:
            self.forget(session.id)
        head = Head(session, latest)
        keep(self._made, session.id, session.creation_id)
        keep(self.heads, session.id, head)
        return head

    def forget(self, session_id: str) -> None:
        """Forget what is remembered of a session and those below it, as they are deleted."""
        remembered: tuple[OrderedDict[Any, Any], ...] = (self.heads, self.refs, self.next_writes, self._made)
        for known in remembered:
            for key in [key for key in known if _is_of(key, session_id)]:
                del known[key]
        self.lists.forget(lambda known: _is_of(known, session_id))


def keep(known: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    """Put a value in, and let the one go that was put in longest ago."""
    known[key] = value
    known.move_to_end(key)
    if len(known) > _REMEMBERED:
        known.popitem(last=False)


def _is_of(key: Any, session_id: str) -> bool:
    known = key if isinstance(key, str) else key[0]
    return bool(known == session_id or known.startswith(f"{session_id}/"))
