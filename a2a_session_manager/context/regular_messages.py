"""Messages that are in their place as they stand: texts, and calls of the chat format with their results after.

These are nearly all there is. To read them as the others are takes ten times as long.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from itertools import pairwise
from typing import Any, Final

from a2a_session_manager.context.findings import INTERRUPTED
from a2a_session_manager.shapes.shape import RawMessage

# What a random generator has drawn, such as in "call_Zq3FpR7xW0bT" or a UUID: a dozen letters and digits, mixed.
_DRAWN: Final = re.compile(r"(?=[A-Za-z0-9]*[0-9][A-Za-z])(?=[A-Za-z0-9]*[A-Za-z][0-9])[A-Za-z0-9]{12}")
# A tuple, since a role may be anything that JSON holds, and a list has no hash.
_TEXT_ROLES: Final = ("user", "assistant", "system", "developer")


def end_of_regular(messages: Sequence[Any], index: int, open_calls: Container[Any], interrupted: Container[Any]) -> int:
    """Return the index of the first message from `index` on that is not in its place.

    A call is not, either, whose id is that of another one which is open, or was interrupted. Of thousands of messages
    each is seldom in the processor's cache, so they are looked at once.
    """
    end = index
    awaited: list[str] = []  # the ids of calls whose results have to come next
    for at in range(index, len(messages)):
        message = messages[at]
        if type(message) is not dict:
            break
        role, content = message.get("role"), message.get("content")
        if role == "tool":
            call_id = message.get("tool_call_id")
            # An interruption is none: the result itself may come later.
            if call_id not in awaited or content == INTERRUPTED or not _is_result_alone(message):
                break
            awaited.remove(call_id)
            if not awaited:
                end = at + 1
        elif awaited:
            break
        # With two keys, it has no others.
        elif type(content) is str and len(message) == 2 and role in _TEXT_ROLES and content and not content.isspace():
            end = at + 1
        elif role == "assistant":
            awaited = _ids_of_calls(message, open_calls, interrupted)
            if not awaited:
                break
        else:
            break
    return end


def may_come_again(call_id: str | None) -> bool:
    """Tell whether two runs may mean two calls by an id: servers count theirs from 0, and names are no ids at all."""
    return call_id is None or _DRAWN.search(call_id) is None


def has_results_of_other_runs(messages: Sequence[Any], run_ids: Sequence[str | None], start: int, end: int) -> bool:
    """Tell whether a result from `start` to `end` was stored by another run than its call, whose id may come again.

    All messages there are in their place.
    """
    runs = run_ids[start:end]
    if len(set(runs)) < 2:
        return False
    for at, (before, own) in enumerate(pairwise(runs), start + 1):
        if before != own and messages[at]["role"] == "tool" and may_come_again(messages[at]["tool_call_id"]):
            return True
    return False


def _ids_of_calls(message: RawMessage, open_calls: Container[Any], interrupted: Container[Any]) -> list[str]:
    """Return the ids of an answer's calls in their order, none if there is anything to be looked into."""
    calls = message.get("tool_calls")
    # It has a role and calls, so that with these it has no other keys; the same goes for the results.
    if type(calls) is not list or len(message) != 2 + ("content" in message):
        return []
    content = message.get("content")
    if not (content is None or type(content) is str):
        return []
    found: list[str] = []
    for call in calls:
        call_id = call.get("id") if type(call) is dict and "function" in call else None
        if type(call_id) is not str or not call_id or call_id in found:
            return []
        if call_id in open_calls or call_id in interrupted:
            return []
        found.append(call_id)
    return found


def _is_result_alone(message: RawMessage) -> bool:
    return len(message) == 2 + ("content" in message) + ("name" in message)
