"""Where a conversation may be forked: not between a tool call and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from a2a_session_manager.context.fitting import is_users
from a2a_session_manager.context.prompt import said_in
from a2a_session_manager.context.repair import OpenToolCall, open_calls_in, results_for
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.models.event_message import MessageTail
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.protocols import SessionStore

# What is done about calls that have no result where a fork begins: it is refused, or begins with results that say so.
OpenPolicy = Literal["refuse", "interrupt"]

_POLICIES: Final = get_args(OpenPolicy)

# One of these is in the JSON of each call and each result, whatever its format.
_MARKS: Final = (b"ool", b"unction", b"_call")
_CALLS_NAMED: Final = 5


async def fork_conversation(
    store: SessionStore,
    session: Session[Any] | str,
    *,
    at: int | str | None,
    new_id: str | None,
    on_open: OpenPolicy,
    properties: Mapping[str, Any] | None,
    detached: bool,
) -> Session[Any]:
    """Create a fork as SessionStore does, unless it would begin inside an exchange; see SessionManager.fork."""
    if on_open not in _POLICIES:
        raise InvalidSessionOperation(f"on_open={shown(on_open)} is unknown: take 'refuse' or 'interrupt'")
    # A str first: asking a model's class about one takes long.
    session_id = session.id if not isinstance(session, str) and isinstance(session, Session) else session
    return await store.fork(
        session,
        at=at,
        new_id=new_id,
        properties=properties,
        ending=_Ending(session_id, on_open),
        detached=detached,
    )


@dataclass(frozen=True, slots=True)
class _Ending:
    """Returns the results that a fork begins with which ends the open calls among its newest messages.

    Returns None when the turn that is under way has begun before these. Raises InvalidSessionOperation for open calls.
    """

    session_id: str
    on_open: OpenPolicy
    marks: Sequence[bytes] = _MARKS

    def __call__(self, tail: MessageTail) -> Sequence[SessionEvent[Any]] | None:
        messages = tail.messages
        if tail.earlier_events and not any(map(is_users, said_in(messages).messages)):
            return None
        calls = open_calls_in(messages)
        if calls and self.on_open == "refuse":
            raise _inside(self.session_id, messages.seqs[-1], calls)
        return results_for(messages) if calls else ()


def _inside(session_id: str, seq: int, calls: Sequence[OpenToolCall]) -> InvalidSessionOperation:
    named = ", ".join(f"{call.name} (event {call.seq})" for call in calls[:_CALLS_NAMED])
    more = f" and {len(calls) - _CALLS_NAMED} more" if len(calls) > _CALLS_NAMED else ""
    return InvalidSessionOperation(
        f"session {session_id!r} cannot be forked at {seq}, which is inside an exchange: {named}{more} had no result "
        "yet: take an event before the call or after its result, or mark it as interrupted with on_open='interrupt'",
        session_id=session_id,
    )
