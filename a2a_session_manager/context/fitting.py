"""Which messages fit a budget of tokens, without I/O: the instructions, then whole exchanges, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from a2a_session_manager.context.exchanges import exchanges
from a2a_session_manager.context.messages import ChatMessage, message_from_event
from a2a_session_manager.models.event_message import EventMessage
from a2a_session_manager.tokens.chat import TOKENS_FOR_REPLY, count_message
from a2a_session_manager.tokens.counting import Count, weakest_basis
from a2a_session_manager.tokens.token_count import TokenCount

Messages = Sequence[EventMessage]


class Fit(NamedTuple):
    """What fits of a tail. `seen` of its newest events are in or refused, and `is_full` when there was an older
    exchange that did not fit; `lacking` says why nothing fits.
    """

    messages: list[ChatMessage]
    token_count: TokenCount
    seen: int
    refused: int
    is_full: bool
    lacking: str | None = None


def fitted(head: Messages, tail: Messages, max_tokens: int | None, count: Count) -> Fit:
    """Return what of `tail` fits into `max_tokens` after `head`, which is always in; None for all of it."""
    said = [(place, message) for place, event in enumerate(tail) if (message := message_from_event(event)) is not None]
    told = [message for event in head if (message := message_from_event(event)) is not None]
    heading = [count_message(message, count) for message in told]
    counts, total = [count(""), *heading], TOKENS_FOR_REPLY + sum(heading)
    kept: list[int] = []
    start, is_full, lacking = 0, False, _lack(max_tokens, total - TOKENS_FOR_REPLY, None)
    for exchange in reversed(exchanges([message for _, message in said])):
        costs = [count_message(said[index][1], count) for index in exchange.indexes]
        if max_tokens is not None and total + sum(costs) > max_tokens:
            start, is_full = exchange.indexes[0] + 1, True
            lacking = None if kept else _lack(max_tokens, total - TOKENS_FOR_REPLY, sum(costs))
            break
        kept += exchange.indexes
        counts += costs
        total += sum(costs)
    token_count = TokenCount(total, weakest_basis(*counts), counts[0].encoding)
    seen = len(tail) - said[start - 1][0] - 1 if start else len(tail)
    messages = [*told, *(said[index][1] for index in sorted(kept))]
    return Fit(messages, token_count, seen, len(said) - start - len(kept), is_full, lacking)


def _lack(max_tokens: int | None, head: int, exchange: int | None) -> str | None:
    needed = TOKENS_FOR_REPLY + head + (exchange or 0)
    if max_tokens is None or needed <= max_tokens:
        return None
    newest_one = "" if exchange is None else f", the newest exchange {exchange}"
    return (
        f"max_tokens={max_tokens} is too small: the system messages take {head} tokens{newest_one}, the reply's "
        f"beginning {TOKENS_FOR_REPLY}: allow {needed} or more"
    )
