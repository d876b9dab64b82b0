"""A tool call and its result as the chat messages that providers expect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from a2a_session_manager import InvalidEvent
from a2a_session_manager.context.tools import as_content, as_text, call_message, result_message


def test_a_call_carries_its_id_and_its_arguments() -> None:
    message = call_message("search", '{"to":"OSL"}', "c1")

    call = message["tool_calls"][0]
    assert (message["role"], message["content"]) == ("assistant", None)
    assert (call["id"], call["type"], call["function"]["name"]) == ("c1", "function", "search")
    assert json.loads(call["function"]["arguments"]) == {"to": "OSL"}


def test_a_result_names_its_call() -> None:
    message = result_message("search", "120", "c1")

    assert message == {"role": "tool", "tool_call_id": "c1", "name": "search", "content": "120"}


@pytest.mark.parametrize(
    ("value", "text"),
    [("plain", "plain"), ("", ""), ("{broken", "{broken"), ({"eur": 120}, '{"eur":120}'), (None, "null"), (0, "0")],
)
async def test_text_stays_as_it_is_and_the_rest_becomes_json_text(value: Any, text: str) -> None:
    assert await as_text(value, "result") == text


@pytest.mark.parametrize(
    ("what", "value", "culprit"), [("args", {"when": {1}}, r"args\.when.*set"), ("result", [b"x"], r"result\[0\]")]
)
async def test_what_is_not_json_is_refused_with_the_path(what: str, value: Any, culprit: str) -> None:
    with pytest.raises(InvalidEvent, match=culprit):
        await as_text(value, what)


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "text", "text": "a map"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}],
        [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}],
        [{"type": "input_image", "image_url": "https://example.com/a.png"}],
        [{"type": "text", "text": ""}],
    ],
)
async def test_texts_and_pictures_stay_parts(parts: list[Any]) -> None:
    assert await as_content(parts) is parts


@pytest.mark.parametrize(
    "data",
    [
        [],
        [1, 2],
        ["a", "b"],
        [{"eur": 120}],
        [{"type": "file", "name": "a.txt"}, {"type": "dir", "name": "b"}],
        [{"type": "image", "path": "a.png"}],
        [{"type": "input_image"}],
        [{"type": "text", "text": "x"}, {"eur": 120}],
        [{"type": "tool_use", "id": "t", "name": "f", "input": {}}],
        {"type": "text", "text": "x"},
    ],
)
async def test_a_list_of_data_becomes_json_text(data: Any) -> None:
    content = await as_content(data)

    assert isinstance(content, str)
    assert json.loads(content) == data
