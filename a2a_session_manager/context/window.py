"""The newest part of a conversation that fits a budget of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from a2a_session_manager.context.conversion import shape_of_format
from a2a_session_manager.context.findings import Finding
from a2a_session_manager.context.fitting import Fit, fitted
from a2a_session_manager.context.messages import message_from_event
from a2a_session_manager.context.prompt import prompt_of, said_in, view_of
from a2a_session_manager.context.reading import first_messages, newest_messages
from a2a_session_manager.context.view import MessageView
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models.event_message import EventMessage, MessageColumns, MessageTail
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session import Session
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.shapes.recognition import read_message
from a2a_session_manager.tokens.counting import Count, TokenCounter, counting
from a2a_session_manager.tokens.token_count import Basis, TokenCount

# How many events the first look at the tail brings: a few more than there are likely to fit.
_TOKENS_AN_EVENT: Final = 64
_FEWEST, _MOST = 16, 512

Messages = list[EventMessage]


@dataclass(frozen=True, slots=True)
class MessageWindow:
    """The messages of a prompt, what they take of it, and how much of the conversation is not among them.

    `token_count` has the chat format's own tokens in it. `left_out_events` are the visible events before the
    window, and those in its time that a model would refuse: results without their call, repeats, empty messages. How
    many tokens they are: the count of a window without `max_tokens`, minus this one.
    """

    messages: MessageView
    token_count: TokenCount
    left_out_events: int

    @property
    def basis(self) -> Basis:
        """Whether the tokens are `counted`, or `estimated` as soon as one message's are."""
        return self.token_count.basis

    @property
    def report(self) -> tuple[Finding, ...]:
        """What was moved, closed or left out of what was looked at; see MessageView."""
        return self.messages.report


async def message_window(
    store: SessionStore,
    session: Session[Any],
    *,
    max_tokens: int | None = None,
    model: str | None = None,
    counter: TokenCounter | None = None,
    format: str | None = None,
) -> MessageWindow:
    """Return the window of a session; see ActiveSession.window. It reads from the end, no further than it needs."""
    _check(max_tokens, format)
    head: Messages | None = None
    last = _MOST if max_tokens is None else max(_FEWEST, min(max_tokens // _TOKENS_AN_EVENT, _MOST))
    while True:
        found = await newest_messages(store, session, last=last)
        tail = list(found.messages)
        if head is None or not found.earlier_events:
            head = await _head(store, session) if found.earlier_events else _instructions(tail)
        events = [*head, *_after(head, tail)]
        has_earlier = bool(found.earlier_events)

        def work(count: Count, events: Messages = events, has_earlier: bool = has_earlier) -> Fit:
            prompt = prompt_of(said_in(MessageColumns.of(events)), format, has_earlier=has_earlier)
            return fitted(prompt, max_tokens, count, has_earlier=has_earlier)

        fit = await counting(work, [each.message for each in events], model or "", counter=counter)
        if (fit.is_full and fit.is_sure) or not has_earlier:
            return _window(session.id, format, found, head, fit)
        last = found.earlier_events + len(found.messages) if max_tokens is None else 2 * last


def _window(session_id: str, format: str | None, found: MessageTail, head: Messages, fit: Fit) -> MessageWindow:
    if fit.lacking is not None:
        raise InvalidSessionOperation(f"session {session_id!r}: {fit.lacking}", session_id=session_id)
    view = view_of(fit.found, format, session_id, is_cut=fit.is_full)
    return MessageWindow(view, fit.token_count, _left_out(found, head, set(fit.found.seqs)))


def _left_out(found: MessageTail, head: Messages, kept: set[int]) -> int:
    """Return how many events are not in the window: all before it, and of those in its time those that were said."""
    after = head[-1].seq if head else 0
    first = min((seq for seq in kept if seq > after), default=None)
    tail = [each for each in found.messages if each.seq > after]
    before = sum(each.seq < first for each in tail) if first is not None else len(tail)
    earlier = found.earlier_events + len(found.messages) - len(tail) - len(head)
    said = (each for each in tail if first is not None and each.seq >= first and each.seq not in kept)
    return earlier + before + sum(message_from_event(each) is not None for each in said)


async def _head(store: SessionStore, session: Session[Any]) -> Messages:
    """Return the system messages that the visible conversation begins with."""
    head: Messages = []
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
    return message is not None and read_message(message).role == "system"


def _after(head: Messages, tail: Messages) -> Messages:
    """Return what of `tail` comes after `head`, which it may hold the end of."""
    return [each for each in tail if not head or each.seq > head[-1].seq]


def _check(max_tokens: object, format: str | None) -> None:
    if max_tokens is not None and (isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 0):
        raise InvalidSessionOperation(
            f"max_tokens={max_tokens!r} is no number of tokens: take 0 or more, or None for all"
        )
    if format is not None:
        shape_of_format(format)
