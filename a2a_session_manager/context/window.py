"""The newest part of a conversation that fits a budget of tokens."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any, Final

from a2a_session_manager.context.compacted import placed
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
from a2a_session_manager.protocols import ReadableStore
from a2a_session_manager.shapes.recognition import role_of
from a2a_session_manager.tokens.chat import PromptCounter
from a2a_session_manager.tokens.counting import TokenCounter, counting
from a2a_session_manager.tokens.token_count import Basis, TokenCount

# How many events the first look at the tail brings: a few more than are likely to fit. In 100 conversations with an
# airline's agent, a message has 102 tokens.
_TOKENS_AN_EVENT: Final = 96
_FEWEST, _MOST = 16, 512
# How many times as many each further look brings, where calls of other runs are looked for, however far back.
_MORE_FOR_RUNS: Final = 16


@dataclass(frozen=True, slots=True)
class MessageWindow:
    """The messages of a prompt, what they take of it, and how much of the conversation is not among them.

    `token_count` has the chat format's own tokens in it. `left_out_events` are the visible events before the
    window that no summary stands for, also those that are no messages, and those in its time that a model would refuse:
    results without their call, repeats, empty messages. How many tokens they are: the count of a window without
    `max_tokens`, minus this one.
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
    store: ReadableStore,
    session: Session[Any],
    *,
    max_tokens: int | None = None,
    model: str | None = None,
    counter: TokenCounter | None = None,
    format: str | None = None,
    compacted: bool = True,
) -> MessageWindow:
    """Return the window of a session; see ActiveSession.window. It reads from the end, no further than it needs."""
    _check(max_tokens, format)
    head: MessageColumns | None = None
    last = _MOST if max_tokens is None else max(_FEWEST, min(max_tokens // _TOKENS_AN_EVENT, _MOST))
    while True:
        found = await newest_messages(store, session, last=last, compacted=compacted)
        found = found._replace(messages=placed(found))
        has_earlier = bool(found.earlier_events)
        if found.compaction is not None:
            head = _front(found)
        elif head is None or not has_earlier:
            head = await _head(store, session) if has_earlier else _front(found)
        events = _joined(head, found, has_earlier=has_earlier)
        front = {*found.summaries, *head.seqs}
        work = partial(
            _fitted, events, format, max_tokens, has_earlier=has_earlier, front=front, summary=found.compaction
        )
        fit = await counting(work, model or "", counter=counter)
        if (fit.is_full and fit.is_sure) or not has_earlier:
            return _window(session.id, format, found, head, fit)
        more = _MORE_FOR_RUNS if fit.found.is_doubtful else 2
        last = found.earlier_events + len(found.messages) if max_tokens is None else more * last


def _fitted(
    events: MessageColumns,
    format: str | None,
    max_tokens: int | None,
    counter: PromptCounter,
    *,
    has_earlier: bool,
    front: Collection[int],
    summary: int | None,
) -> Fit:
    prompt = prompt_of(said_in(events), format, has_earlier=has_earlier, summary=summary)
    return fitted(prompt, max_tokens, counter, has_earlier=has_earlier, front=front)


def _window(session_id: str, format: str | None, found: MessageTail, head: MessageColumns, fit: Fit) -> MessageWindow:
    if fit.lacking is not None:
        raise InvalidSessionOperation(f"session {session_id!r}: {fit.lacking}", session_id=session_id)
    view = view_of(fit.found, format, session_id, is_cut=fit.is_full, compaction=found.compaction)
    return MessageWindow(view, fit.token_count, _left_out(found, head, fit.found.events()))


def _left_out(found: MessageTail, head: MessageColumns, kept: set[int]) -> int:
    """Return how many events are not in the window: all before it, and of those in its time those that were said."""
    seqs = found.messages.seqs
    tail = _shared(head, found.messages)
    newest = kept.difference(found.summaries)  # which stand at the front, however far back that is
    first = next((index for index in range(tail, len(seqs)) if seqs[index] in newest), len(seqs))
    before = set(seqs[:first]) - kept
    missing = set(seqs[first:]) - kept - before
    said = {each.seq for each in found.messages if each.seq in missing and message_from_event(each)} if missing else ()
    told_before = kept.intersection(head.seqs[tail:])  # these are among the earlier events
    return found.earlier_events - len(told_before) + len(before) + len(said)


async def _head(store: ReadableStore, session: Session[Any]) -> MessageColumns:
    """Return the system messages that the visible conversation begins with."""
    head = MessageColumns()
    while more := await first_messages(store, session, after=head.seqs[-1] if head else 0):
        told = list(takewhile(_is_instruction, more))
        head.extend(MessageColumns.of(told))
        if len(told) < len(more):
            break
    return head


def _front(found: MessageTail) -> MessageColumns:
    """Return what stays at the start of what was read: instructions, summaries, and what a compaction leaves there."""
    messages, summaries, covered = found.messages, found.summaries, found.covered

    def stays(said: EventMessage) -> bool:
        return said.seq in summaries or said.seq <= covered or _is_instruction(said)

    return messages[: _end_of(messages, 0, stays)]


def _is_instruction(said: EventMessage) -> bool:
    message = message_from_event(said) if said.type is EventType.MESSAGE else None
    return message is not None and role_of(message) == "system"


def _joined(head: MessageColumns, found: MessageTail, *, has_earlier: bool) -> MessageColumns:
    """Return both, without what of `head` was found as well.

    With `has_earlier`, what the system says at the start of the others belongs to a turn that is not all here, and
    would stand among the instructions; summaries do not.
    """
    start = _shared(head, found.messages)
    end = _end_of(found.messages, start, lambda said: said.seq in found.summaries) if has_earlier else start
    begin = _end_of(found.messages, end, _is_no_turn) if has_earlier else end
    rest = found.messages[begin:] if begin else found.messages
    if not head and end == start:
        return rest
    events = head[:]
    events.extend(found.messages[start:end])
    events.extend(rest)
    return events


def _end_of(messages: MessageColumns, start: int, is_such: Callable[[EventMessage], bool]) -> int:
    """Return the index of the first message from `start` on that is no such one."""
    while start < len(messages) and is_such(messages[start]):
        start += 1
    return start


def _shared(head: MessageColumns, messages: MessageColumns) -> int:
    """Return how many messages at the start are those of `head`."""
    known = set(head.seqs)
    return sum(1 for _ in takewhile(known.__contains__, messages.seqs))


def _is_no_turn(said: EventMessage) -> bool:
    message = message_from_event(said)
    return message is None or role_of(message) == "system"


def _check(max_tokens: object, format: str | None) -> None:
    if max_tokens is not None and (isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 0):
        raise InvalidSessionOperation(
            f"max_tokens={max_tokens!r} is no number of tokens: take 0 or more, or None for all"
        )
    if format is not None:
        shape_of_format(format)
