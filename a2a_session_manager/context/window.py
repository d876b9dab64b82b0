"""The newest part of a conversation that fits a budget of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from a2a_session_manager.context.fitting import Fit, Messages, fitted
from a2a_session_manager.context.messages import ChatMessage, message_from_event
from a2a_session_manager.context.reading import first_messages, newest_messages
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models.event_message import EventMessage, MessageTail
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session import Session
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.tokens.counting import TokenCounter, counting
from a2a_session_manager.tokens.token_count import Basis, TokenCount

# How many events the first look at the tail brings: a few more than there are likely to fit.
_TOKENS_AN_EVENT = 64
_FEWEST, _MOST = 16, 512


@dataclass(frozen=True, slots=True)
class MessageWindow:
    """The messages of a prompt, what they take of it, and how much of the conversation is not among them.

    `token_count` has the chat format's own tokens in it. `left_out_events` are the visible events before the
    window, and those in its time that a model would refuse: calls without all their results, results without
    their call. How many tokens they are: the count of a window without `max_tokens`, minus this one.
    """

    messages: list[ChatMessage]
    token_count: TokenCount
    left_out_events: int

    @property
    def basis(self) -> Basis:
        """Whether the tokens are `counted`, or `estimated` as soon as one message's are."""
        return self.token_count.basis


async def message_window(
    store: SessionStore,
    session: Session[Any],
    *,
    max_tokens: int | None = None,
    model: str | None = None,
    counter: TokenCounter | None = None,
) -> MessageWindow:
    """Return the window of a session; see ActiveSession.window. It reads from the end, no further than it needs."""
    _check(max_tokens)
    head: Messages | None = None
    last = _MOST if max_tokens is None else max(_FEWEST, min(max_tokens // _TOKENS_AN_EVENT, _MOST))
    while True:
        found = await newest_messages(store, session, last=last)
        tail = list(found.messages)
        if head is None or not found.earlier_events:
            head = await _head(store, session) if found.earlier_events else _instructions(tail)
        work = partial(fitted, head, _after(head, tail), max_tokens)
        texts = [each.message for each in [*head, *tail]]
        fit = await counting(work, texts, model or "", counter=counter)
        if fit.is_full or not found.earlier_events:
            return _window(session.id, found, head, fit)
        last = found.earlier_events + len(tail) if max_tokens is None else 2 * last


def _window(session_id: str, found: MessageTail, head: Messages, fit: Fit) -> MessageWindow:
    if fit.lacking is not None:
        raise InvalidSessionOperation(f"session {session_id!r}: {fit.lacking}", session_id=session_id)
    before = found.earlier_events + len(found.messages) - len(head) - fit.seen if fit.is_full else 0
    return MessageWindow(fit.messages, fit.token_count, before + fit.refused)


async def _head(store: SessionStore, session: Session[Any]) -> Messages:
    """Return the system messages that the visible conversation begins with."""
    head: list[EventMessage] = []
    while more := await first_messages(store, session, after=head[-1].seq if head else 0):
        told = _instructions(more)
        head += told
        if len(told) < len(more):
            break
    return head


def _instructions(messages: Messages) -> Messages:
    end = next((index for index, each in enumerate(messages) if not _is_instruction(each)), len(messages))
    return messages[:end]


def _is_instruction(said: EventMessage) -> bool:
    message = message_from_event(said) if said.type is EventType.MESSAGE else None
    return message is not None and message["role"] in ("system", "developer")


def _after(head: Messages, tail: Messages) -> Messages:
    """Return what of `tail` comes after `head`, which it may hold the end of."""
    if not head:
        return tail
    return [each for each in tail if each.seq > head[-1].seq]


def _check(max_tokens: object) -> None:
    if max_tokens is not None and (isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 0):
        raise InvalidSessionOperation(
            f"max_tokens={max_tokens!r} is no number of tokens: take 0 or more, or None for all"
        )
