"""Chat messages as agents store them, of the sizes that the rows name."""

from __future__ import annotations

import json
from typing import Any

Message = dict[str, Any]

_WORDS = "Your flight from JFK to SEA leaves at 11:15 EST, economy, one checked bag; shall I use certificate 4856383? "


def chat_messages() -> dict[str, Message]:
    """Return an answer, a tool call and a tool's result, by their rough size as JSON."""
    return {"300 B": _answer(300), "1 KB": _tool_call(1_000), "4 KB": _tool_result(4_000)}


def short_message() -> Message:
    """Return what most rows store."""
    return _answer(300)


def long_text(characters: int) -> Message:
    """Return a tool's result that is one long text."""
    return _tool_result(characters)


def many_values(values: int) -> Message:
    """Return a tool's result kept as a table: many small values instead of one text."""
    seats = [{"seat": f"{row}A", "price": row % 500, "free": row % 3 == 0} for row in range(values // 3)]
    return {"role": "tool", "tool_call_id": "call_oIHazX6yQrB8hUwl4cRilFKj", "content": seats}


def _answer(characters: int) -> Message:
    return {"role": "assistant", "content": _text(characters - 40)}


def _tool_call(characters: int) -> Message:
    passengers = [
        {"first_name": "Mia", "last_name": "Li", "dob": f"1990-04-{day:02}"}
        for day in range(1, (characters - 220) // 70)
    ]
    arguments = {"user_id": "mia_li_3668", "origin": "JFK", "destination": "SEA", "passengers": passengers}
    function = {"name": "book_reservation", "arguments": json.dumps(arguments)}
    call = {"id": "call_oIHazX6yQrB8hUwl4cRilFKj", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _tool_result(characters: int) -> Message:
    return {
        "role": "tool",
        "tool_call_id": "call_oIHazX6yQrB8hUwl4cRilFKj",
        "name": "search_direct_flight",
        "content": _text(characters - 120),
    }


def _text(characters: int) -> str:
    return (_WORDS * (characters // len(_WORDS) + 1))[:characters]
