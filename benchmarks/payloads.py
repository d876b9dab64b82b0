"""Chat messages as agents store them: single ones of the sizes that the rows name, and whole conversations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Message = dict[str, Any]

_WORDS = "Your flight from JFK to SEA leaves at 11:15 EST, economy, one checked bag; shall I use certificate 4856383? "
# Medians of real conversations with an airline's agent: a user says 120 characters, an answer has 300, a result 900.
_USER_CHARACTERS = (45, 120, 80, 200)
_CALL_CHARACTERS = (290, 500)
_RESULT_CHARACTERS = (900, 300, 1_200)
_ANSWER_CHARACTERS = (300, 160, 620)
_MESSAGES_AN_EXCHANGE = 4
# One message in sixty is not plain ASCII.
_EXCHANGES_AN_ACCENT = 15


def chat_messages() -> dict[str, Message]:
    """Return an answer, a tool call and a tool's result, by their rough size as JSON."""
    return {"300 B": _answer(300), "1 KB": _tool_call(1_000), "4 KB": _tool_result(4_000)}


def short_message() -> Message:
    """Return what most rows store."""
    return _answer(300)


def user_text() -> str:
    """Return what a user says."""
    return _text(_USER_CHARACTERS[1])


def long_text(characters: int) -> Message:
    """Return a tool's result that is one long text."""
    return _tool_result(characters)


def many_values(values: int) -> Message:
    """Return a tool's result kept as a table: many small values instead of one text."""
    seats = [{"seat": f"{row}A", "price": row % 500, "free": row % 3 == 0} for row in range(values // 3)]
    return {"role": "tool", "tool_call_id": "call_oIHazX6yQrB8hUwl4cRilFKj", "content": seats}


def chat_exchanges(count: int) -> Iterator[list[Message]]:
    """Yield a conversation of `count` chat messages: what the user says, a tool call, its result, the answer."""
    for start in range(0, count, _MESSAGES_AN_EXCHANGE):
        yield _exchange(start // _MESSAGES_AN_EXCHANGE)[: count - start]


def agent_exchanges(count: int) -> Iterator[list[Message]]:
    """Yield the same conversation as openai-agents' items, which its runner gives to `add_items`."""
    for number, messages in enumerate(chat_exchanges(count)):
        yield [_item(message, number) for message in messages]


def _exchange(number: int) -> list[Message]:
    accent = "Zoë Müller, São Paulo: " if number % _EXCHANGES_AN_ACCENT == 0 else ""
    call = _tool_call(_in_turn(_CALL_CHARACTERS, number))
    call["tool_calls"][0]["id"] = _call_id(number)
    return [
        {"role": "user", "content": accent + _text(_in_turn(_USER_CHARACTERS, number))},
        call,
        {**_tool_result(_in_turn(_RESULT_CHARACTERS, number)), "tool_call_id": _call_id(number)},
        _answer(_in_turn(_ANSWER_CHARACTERS, number)),
    ]


def _item(message: Message, number: int) -> Message:
    """Return a chat message as an item of the Responses API."""
    if "tool_calls" in message:
        function = message["tool_calls"][0]["function"]
        return {"type": "function_call", "id": f"fc_{number:024}", "call_id": _call_id(number), **function}
    if message["role"] == "tool":
        return {"type": "function_call_output", "call_id": _call_id(number), "output": message["content"]}
    if message["role"] == "user":
        return message
    text = {"type": "output_text", "text": message["content"], "annotations": [], "logprobs": []}
    about = {"id": f"msg_{number:024}", "type": "message", "role": "assistant", "status": "completed"}
    return {**about, "content": [text]}


def _call_id(number: int) -> str:
    return f"call_{number:024}"


def _in_turn(values: tuple[int, ...], number: int) -> int:
    return values[number % len(values)]


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
