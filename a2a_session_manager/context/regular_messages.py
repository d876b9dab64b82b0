"""Messages that are in their place as they stand: texts, and calls of the chat format with their results behind.

These are nearly all there is. To read them as the others are takes ten times as long.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, Final

from a2a_session_manager.context.findings import INTERRUPTED
from a2a_session_manager.shapes.shape import RawMessage

_TEXT_ROLES: Final = frozenset({"user", "assistant", "system", "developer"})


def end_of_regular(
    messages: Sequence[RawMessage], index: int, open_calls: Container[Any], interrupted: Container[Any]
) -> int:
    """Return the index of the first message from `index` on that is not in its place.

    A call is not, either, whose id is that of another one which is open, or was interrupted.
    """
    while index < len(messages):
        message = messages[index]
        content, role = message.get("content"), message.get("role")
        # With two keys, it has no others.
        if len(message) == 2 and type(content) is str and role in _TEXT_ROLES and content and not content.isspace():
            index += 1
            continue
        end = _end_of_calls(messages, index, open_calls, interrupted) if role == "assistant" else index
        if end == index:
            break
        index = end
    return index


def _end_of_calls(
    messages: Sequence[RawMessage], index: int, open_calls: Container[Any], interrupted: Container[Any]
) -> int:
    """Return where the results of the calls at `index` end, `index` itself if they are not all right behind it."""
    message = messages[index]
    calls = message.get("tool_calls")
    # It has a role and calls, so that with these it has no other keys; the same goes for the results.
    if type(calls) is not list or not calls or len(message) != 2 + ("content" in message):
        return index
    content = message.get("content")
    if not (content is None or type(content) is str):
        return index
    wanted = set()
    for call in calls:
        call_id = call.get("id") if type(call) is dict and "function" in call else None
        if type(call_id) is not str or not call_id or call_id in open_calls or call_id in interrupted:
            return index
        wanted.add(call_id)
    end = index + 1 + len(calls)
    results = messages[index + 1 : end]
    if not len(wanted) == len(calls) == len(results):
        return index
    for result in results:
        call_id = result.get("tool_call_id")
        if result.get("role") != "tool" or type(call_id) is not str or call_id not in wanted:
            return index
        if len(result) != 2 + ("content" in result) + ("name" in result):
            return index
        if result.get("content") == INTERRUPTED:  # the result itself may come later
            return index
        wanted.remove(call_id)
    return end
