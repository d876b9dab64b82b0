"""What messages become in another format, and what the report says is lost, in small examples."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager import InvalidSessionOperation
from a2a_session_manager.context.findings import Finding
from tests.context.examples import (
    ASK,
    INSTRUCT,
    SAY,
    STOP,
    Json,
    block,
    call,
    function_call,
    function_response,
    gemini,
    result,
    tool_result,
    used,
    uses,
    view,
)

PICTURE: Json = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}}


@pytest.mark.parametrize("format", ["anthropic", "gemini"])
def test_what_the_system_says_at_the_start_goes_beside_the_messages(format: str) -> None:
    found = view(INSTRUCT, {"role": "system", "content": "Be kind."}, ASK, format=format)

    assert (found.system, found.seqs, found.report) == ("Be brief.\n\nBe kind.", (3,), ())


@pytest.mark.parametrize(
    ("format", "message"),
    [
        ("anthropic", {"role": "user", "content": "<system>Be brief.</system>"}),
        ("gemini", {"role": "user", "parts": [{"text": "<system>Be brief.</system>"}]}),
    ],
)
def test_what_the_system_says_later_is_a_marked_text_of_the_users(format: str, message: Json) -> None:
    found = view(ASK, SAY, INSTRUCT, STOP, format=format)

    assert (found.system, found[2], found.seqs) == (None, message, (1, 2, 3, 4))
    text = f"event 3 holds what {format} cannot: the system's role inside of a conversation"
    assert found.report == (Finding("not_converted", (3,), text),)


@pytest.mark.parametrize("format", ["openai", "gemini", "responses"])
def test_a_signed_thought_is_left_out_for_other_providers(format: str) -> None:
    found = view(ASK, uses("c1", thinking="It may rain."), used(tool_result("c1")), format=format)

    assert "It may rain." not in str(list(found))
    assert found.report == (Finding("not_converted", (2,), f"event 2 holds what {format} cannot: reasoning"),)


def test_a_call_and_its_result_are_written_in_the_other_format() -> None:
    found = view(ASK, uses("c1"), used(tool_result("c1")), format="openai")

    assert found == [ASK, call("c1"), result("c1")]
    assert view(*found, format="anthropic") == [ASK, uses("c1"), used(tool_result("c1"))]


def test_a_message_of_which_nothing_can_be_converted_is_left_out_and_named() -> None:
    compaction = {"role": "assistant", "content": [{"type": "compaction", "content": None, "encrypted_content": "x"}]}

    found = view(ASK, compaction, STOP, format="openai")

    assert (list(found), found.seqs) == ([ASK, STOP], (1, 3))
    assert [(each.code, each.seqs) for each in found.report] == [("not_converted", (2,))]


@pytest.mark.parametrize(
    ("format", "is_there"), [("openai", False), ("anthropic", True), ("gemini", True), ("responses", True)]
)
def test_pictures_in_results_are_kept_where_the_format_has_them(format: str, is_there: bool) -> None:
    drawn: Json = {"type": "tool_result", "tool_use_id": "c1", "content": [block("a map"), PICTURE]}

    found = view(ASK, uses("c1"), used(drawn), format=format)

    assert ("iVBORw==" in str(list(found))) == is_there
    assert "a map" in str(list(found))
    lost = Finding("not_converted", (3,), f"event 3 holds what {format} cannot: image")
    assert found.report == (() if is_there else (lost,))


def test_two_calls_of_one_id_get_ids_of_their_own() -> None:
    found = view(ASK, call("c1", "c1"), result("c1"), result("c1", "sun"), format="anthropic")

    assert found == [ASK, uses("c1", "c1_2"), used(tool_result("c1"), tool_result("c1_2", "sun"))]


def test_calls_without_ids_get_some() -> None:
    asked = gemini("user", {"text": "Weather?"})
    calls = gemini("model", function_call("Oslo"), function_call("Rome"))
    results = gemini("user", function_response("rain"), function_response("sun"))

    found = view(asked, calls, results, format="openai")

    assert [each["id"] for each in found[1]["tool_calls"]] == ["weather", "weather_2"]
    assert [(each["tool_call_id"], each["content"]) for each in found[2:]] == [
        ("weather", "rain"),
        ("weather_2", "sun"),
    ]


def test_calls_of_ollama_get_what_openai_demands() -> None:
    function = {"name": "weather", "arguments": {"city": "Oslo"}}
    made = {"role": "assistant", "content": None, "tool_calls": [{"function": function}]}

    found = view(ASK, made, {"role": "tool", "tool_name": "weather", "content": "rain"}, format="openai")

    assert found[1] == call("weather")
    assert (found[2]["tool_call_id"], found[2]["content"]) == ("weather", "rain")


def test_items_of_one_answer_become_one_message() -> None:
    asked = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Weather in Oslo?"}]}
    items: list[Json] = [
        {"type": "function_call", "call_id": each, "name": "weather", "arguments": '{"city": "Oslo"}'}
        for each in ("c1", "c2")
    ]
    outputs: list[Json] = [{"type": "function_call_output", "call_id": each, "output": "rain"} for each in ("c1", "c2")]

    found = view(asked, *items, *outputs, format="openai")

    assert found == [ASK, call("c1", "c2"), result("c1"), result("c2")]
    assert found.seqs == (1, 2, 4, 5)


@pytest.mark.parametrize("odd", [{"role": "critic", "verdict": "bad"}])
def test_what_no_format_knows_becomes_text(odd: dict[str, Any]) -> None:
    found = view(ASK, odd, format="openai")

    assert found == [ASK, {"role": "user", "content": '{"role": "critic", "verdict": "bad"}'}]
    assert found.report == (
        Finding("unknown_shape", (2,), "event 2 holds what is not understood, and is passed on as it is"),
        Finding("not_converted", (2,), "event 2 holds what openai cannot: unknown part"),
    )


@pytest.mark.parametrize("format", ["cohere", "bedrock", ""])
def test_an_unknown_format_is_refused_with_those_that_are_known(format: str) -> None:
    with pytest.raises(InvalidSessionOperation) as error:
        view(ASK, format=format)

    known = "'openai', 'anthropic', 'gemini', 'responses'"
    assert str(error.value) == f"format={format!r} is unknown: take {known}, or None for messages as stored"
