"""Which chat messages belong together: a tool call and its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Exchange:
    """Messages that go to a model together or not at all, by their index, in order.

    `unanswered` holds the calls without a result: the index of the message, and the call's name in it.
    """

    indexes: list[int]
    unanswered: set[tuple[int, str]] = field(default_factory=set)


def exchanges(messages: Sequence[Mapping[str, Any]]) -> list[Exchange]:
    """Return what belongs together, in the order in which it begins: calls with their results, any other message alone.

    A call that has not all of its results is in none, nor is a result whose call is not there.
    """
    found: dict[int, Exchange] = {}
    calls: dict[str, int] = {}  # where a call of that name was last made
    for index, message in enumerate(messages):
        answers = {name: calls.get(name) for name in _results_in(message)}
        if None in answers.values():
            continue
        exchange = found[index] = Exchange([index])
        for name, asked in answers.items():
            assert asked is not None
            exchange = _joined(found, found[asked], exchange)
            exchange.unanswered.discard((asked, name))
        for name in _calls_in(message):
            calls[name] = index
            exchange.unanswered.add((index, name))
    distinct = {id(exchange): exchange for exchange in found.values()}
    complete = (exchange for exchange in distinct.values() if not exchange.unanswered)
    return sorted(complete, key=lambda exchange: exchange.indexes[0])


def _joined(found: dict[int, Exchange], one: Exchange, other: Exchange) -> Exchange:
    """Make one exchange of two: a message may answer calls of several others."""
    if one is not other:
        one.indexes = sorted(one.indexes + other.indexes)
        one.unanswered |= other.unanswered
        found.update((index, one) for index in other.indexes)
    return one


# OpenAI's calls go by ids, its first ones by the function's name, and those of local models too; Anthropic's
# are parts of the content.


def _calls_in(message: Mapping[str, Any]) -> Iterator[str]:
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, Mapping):
            yield _name(call.get("id"), call.get("function"))
    if isinstance(message.get("function_call"), Mapping):
        yield _name(None, message["function_call"])
    for part in _parts(message, "tool_use"):
        yield _name(part.get("id"), part)


def _results_in(message: Mapping[str, Any]) -> Iterator[str]:
    if message.get("role") in ("tool", "function"):
        yield _name(message.get("tool_call_id"), {"name": message.get("name") or message.get("tool_name")})
    for part in _parts(message, "tool_result"):
        yield _name(part.get("tool_use_id"), part)


def _name(call_id: Any, function: Any) -> str:
    if call_id:
        return f"id {call_id}"
    return f"name {function.get('name') if isinstance(function, Mapping) else None}"


def _parts(message: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    content = message.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, Mapping) and part.get("type") == kind:
            yield part
