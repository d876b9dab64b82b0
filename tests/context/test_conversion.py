"""What messages become in another format, and what the report says is lost, in small examples."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager import InvalidSessionOperation
from a2a_session_manager.context.findings import INTERRUPTED, Finding
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


@pytest.mark.parametrize("format", [None, "anthropic", "gemini", "openai", "responses"])
@pytest.mark.parametrize("of", ["anthropic", "gemini"])
def test_a_result_is_given_also_where_the_provider_has_run_a_tool_beside_its_call(of: str, format: str | None) -> None:
    search = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    found_there = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    ran = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}
    messages = {
        "anthropic": [ASK, {"role": "assistant", "content": [search, found_there, *uses("c1")["content"]]}],
        "gemini": [gemini("user", {"text": "Weather?"}), gemini("model", code, ran, function_call("Oslo"))],
    }
    answer = {"anthropic": used(tool_result("c1", "rain")), "gemini": gemini("user", function_response("rain"))}

    found = view(*messages[of], answer[of], format=format)

    assert found.seqs == (1, 2, 3)
    assert "rain" in str(found[2])
    assert found[1:] == [messages[of][1], answer[of]] or format != of


@pytest.mark.parametrize("format", [None, "openai"])
def test_a_call_of_the_first_form_is_closed_by_a_message_of_its_function(format: str | None) -> None:
    called = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}

    found = view(ASK, called, STOP, format=format)

    closed = {"role": "function", "name": "f", "content": INTERRUPTED}
    assert list(found) == [ASK, called, closed, STOP]
    assert [each.code for each in found.report] == ["closed_call"]


@pytest.mark.parametrize(
    ("called", "given"),
    [
        ({"function_call": {"name": "f", "arguments": "{}"}}, {"role": "function", "name": "f", "content": "rain"}),
        ({"tool_calls": [{"function": {"name": "f", "arguments": {}}}]}, {"role": "tool", "content": "rain"}),
    ],
)
def test_where_a_call_has_no_id_geminis_result_has_none_either(called: Json, given: Json) -> None:
    found = view(ASK, {"role": "assistant", "content": "", **called}, given, format="gemini")

    assert found[1]["parts"][-1] == {"functionCall": {"name": "f", "args": {}}}
    assert found[2]["parts"] == [{"functionResponse": {"name": "f", "response": {"output": "rain"}}}]


@pytest.mark.parametrize("format", ["openai", "anthropic", "gemini", "responses"])
def test_what_a_provider_brought_in_a_message_of_its_own_is_named(format: str) -> None:
    part = {"type": "tool-result", "toolCallId": "c", "toolName": "web", "providerExecuted": True}
    brought = {"role": "assistant", "content": [{**part, "output": {"type": "text", "value": "rain"}}]}

    found = view(ASK, brought, STOP, format=format)

    assert "not_converted" in [each.code for each in found.report]


def test_ids_that_a_format_writes_alike_stay_apart_in_a_message() -> None:
    found = view(ASK, call("f:0", "f.0"), result("f.0", "sun"), result("f:0", "rain"), format="anthropic")

    assert [each["id"] for each in found[1]["content"]] == ["f_0", "f_0_2"]
    assert [(each["tool_use_id"], each["content"]) for each in found[2]["content"]] == [
        ("f_0_2", "sun"),
        ("f_0", "rain"),
    ]


def test_a_result_without_an_id_gets_that_of_its_call() -> None:
    with_id = gemini("model", {"functionCall": {"id": "c1", "name": "weather", "args": {}}})

    found = view(
        gemini("user", {"text": "Weather?"}), with_id, gemini("user", function_response("rain")), format="gemini"
    )

    assert found[2]["parts"][0]["functionResponse"]["id"] == "c1"


def test_a_result_with_an_id_gets_that_of_its_call_which_has_none() -> None:
    call, named = function_call("Oslo"), {"id": "c9", **function_response("rain")["functionResponse"]}
    given = gemini("user", {"text": "?"}), gemini("model", call), gemini("user", {"functionResponse": named})

    found = view(*given, format="openai")

    assert [each["id"] for each in found[1]["tool_calls"]] == ["weather"]
    assert (found[2]["tool_call_id"], found[2]["content"]) == ("weather", "rain")
    [use], [result] = (each["content"] for each in view(*given, format="anthropic")[1:])
    assert use["id"] == result["tool_use_id"] == "weather"
    assert view(*given, format="gemini")[1:] == list(given[1:])


def test_a_call_of_the_first_form_stays_one_in_openais_format() -> None:
    called = {
        "type": "ai",
        "data": {"content": "", "additional_kwargs": {"function_call": {"name": "f", "arguments": "{}"}}},
    }
    answer = {"type": "function", "data": {"content": "rain", "name": "f"}}

    found = view(ASK, called, answer, format="openai")

    assert found[1]["function_call"] == {"name": "f", "arguments": "{}"}
    assert found[2] == {"role": "function", "name": "f", "content": "rain"}
