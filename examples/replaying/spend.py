"""What replayed conversations would have cost: counted by our counter, at list prices."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from a2a_session_manager import ChatMessage, SessionManager, TokenTally, TokenUsage
from replaying.transcripts import Conversation, Transcripts


@dataclass(frozen=True)
class Spend:
    """What the store says of one session, or of all of them as "the tree"."""

    name: str
    total: TokenTally
    bases: frozenset[str] = frozenset()
    context_size: int | None = None


async def usage_of(messages: Sequence[ChatMessage], index: int, model: str) -> TokenUsage | None:
    """Return what the answer at `index` took: all messages before it in, itself out. None for what is no answer."""
    answer = messages[index]
    if answer["role"] != "assistant":
        return None
    calls = answer.get("tool_calls") or answer.get("function_call")
    text = "".join(map(_text, (answer.get("content"), calls)))
    usage = await TokenUsage.from_text(messages[:index], text, model)
    # How providers write calls into the prompt is not published, so counts with calls are estimates.
    return usage.model_copy(update={"basis": "estimated"}) if calls else usage


async def spending(sessions: SessionManager, transcripts: Transcripts) -> list[Spend]:
    """Return what the store says each conversation spent, and the tree at the end."""
    each = [await _spent(sessions, conversation) for conversation in transcripts.conversations]
    tree = await sessions.usage(transcripts.id, tree=True)
    return [*each, Spend("the tree", tree.total, frozenset[str]().union(*(one.bases for one in each)))]


async def _spent(sessions: SessionManager, conversation: Conversation) -> Spend:
    session = await sessions.get(conversation.session_id)
    bases = frozenset(event.token_usage.basis for event in session.events if event.token_usage)
    name = conversation.session_id.partition("/")[2]
    return Spend(name, (await sessions.usage(session.id)).total, bases, session.context_size)


def table(spends: Sequence[Spend], model: str) -> list[str]:
    """Return the lines to print: tokens, cost and how the tokens were got, a line a session."""
    width = max(len(spend.name) for spend in spends)
    return [
        f"spent        by {model}: each answer is a request, at list prices",
        f"  {'':<{width}} {'requests':>9} {'input':>11} {'output':>9} {'context':>8} {'cost':>12}",
        *(_line(spend, width) for spend in spends),
    ]


def _line(spend: Spend, width: int) -> str:
    total = spend.total
    context = "" if spend.context_size is None else f"{spend.context_size:,}"
    return (
        f"  {spend.name:<{width}} {total.requests:>9,} {total.prompt_tokens:>11,} {total.completion_tokens:>9,} "
        f"{context:>8} {_cost(total):>12}  {_basis(spend.bases)}"
    ).rstrip()


def _cost(total: TokenTally) -> str:
    if total.unpriced_requests == total.requests:
        return "unknown" if total.requests else "nothing"
    return f"{'≥ ' if total.is_lower_bound else ''}${total.estimated_cost_usd:.6f}"


def _basis(bases: frozenset[str]) -> str:
    return "estimated" if "estimated" in bases else "counted" if bases else ""


def _text(part: object) -> str:
    if part is None or isinstance(part, str):
        return part or ""
    return json.dumps(part, ensure_ascii=False)
