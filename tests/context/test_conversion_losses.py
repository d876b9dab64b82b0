"""What a conversion names because no part is read from it: keys, signatures, and calls that are none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from a2a_session_manager.context.findings import Finding
from a2a_session_manager.context.prompt import prompt_of, view_of
from tests.context.examples import (
    ASK,
    SAY,
    STOP,
    Json,
    call,
    function_call,
    gemini,
    result,
    said,
    view,
)


@pytest.mark.parametrize("format", ["anthropic", "gemini", "responses"])
@pytest.mark.parametrize(
    "thought",
    [
        {"reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "signature": "x"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "gAAA"}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "x"}]},
        {"tool_plan": "I look it up."},
    ],
)
def test_a_thought_under_a_key_of_another_provider_is_named_where_it_is_left_out(thought: Json, format: str) -> None:
    found = view(ASK, {**SAY, **thought}, format=format)

    assert [(each.code, each.seqs) for each in found.report] == [("not_converted", (2,))]
    assert list(view(ASK, {**SAY, **thought}, format="openai")) == [ASK, {**SAY, **thought}]


SOURCE: Json = {"type": "source-url", "sourceId": "s1", "url": "https://example.org"}
FORMATS = ("openai", "anthropic", "gemini", "responses")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("role", ["user", "assistant"])
@pytest.mark.parametrize(
    "shown",
    [
        SOURCE,
        {"type": "source-document", "sourceId": "s1", "mediaType": "application/pdf", "title": "Oslo"},
        {"type": "data-weather", "id": "w1", "data": {"city": "Oslo"}},
        {"type": "source", "source": {"sourceType": "url", "id": "s1", "url": "https://example.org"}},
    ],
)
def test_what_an_interface_shows_beside_the_text_is_named_where_no_model_gets_it(
    shown: Json, role: str, format: str
) -> None:
    text = {"type": "text", "text": "It rains."}
    said_in_steps = {"id": "m", "role": role, "parts": [{"type": "step-start"}, text, shown]}

    found = view(ASK, said_in_steps, STOP, format=format)

    assert "example.org" not in str(list(found))
    lost = Finding("not_converted", (2,), f"event 2 holds what {format} cannot: {shown['type']}")
    assert found.report == (lost,)
    assert view(ASK, said_in_steps, STOP).report == ()
    assert view(ASK, {**said_in_steps, "parts": [{"type": "step-start"}, text]}, STOP, format=format).report == ()


@pytest.mark.parametrize("format", [None, *FORMATS])
def test_a_message_of_nothing_but_what_is_shown_is_left_out_and_named(format: str | None) -> None:
    found = view(ASK, {"id": "m", "role": "assistant", "parts": [SOURCE]}, STOP, format=format)

    assert found.seqs == (1, 3)
    assert [(each.code, each.seqs) for each in found.report] == [("empty_message", (2,))]


@pytest.mark.parametrize("format", ["anthropic", "gemini", "responses"])
@pytest.mark.parametrize(
    ("message", "lost"),
    [
        ({**SAY, "citations": ["https://example.org"]}, "citations"),
        (
            {**SAY, "annotations": [{"type": "url_citation", "url_citation": {"title": "Oslo"}}]},
            "annotations",
        ),
        ({**SAY, "executed_tools": [{"type": "python"}], "mood": "grey"}, "executed_tools, mood"),
        ({**SAY, "reasoning": {"steps": ["Hm."]}}, "reasoning"),
        ({**SAY, "refusal": {"why": "no"}}, "refusal"),
        ({**SAY, "audio": {"data": "UklGRg=="}}, "audio"),
        ({**SAY, "provider_specific_fields": {"citations": None, "weight": 0}}, "provider_specific_fields"),
        ({**STOP, "audio": {"id": "a1"}}, "audio"),
        ({**STOP, "tool_calls": [{"id": "c1"}]}, "tool_calls"),
        ({"role": "system", "content": "Be brief.", "priority": 0}, "priority"),
    ],
)
def test_what_stands_under_a_key_that_is_not_read_is_named(message: Json, lost: str, format: str) -> None:
    found = view(*([message, ASK] if message["role"] == "system" else [ASK, message]), format=format)

    seq = 1 if message["role"] == "system" else 2
    assert found.report == (Finding("not_converted", (seq,), f"event {seq} holds what {format} cannot: {lost}"),)
    assert view(ASK, message, format="openai").report == ()


@pytest.mark.parametrize("format", FORMATS)
def test_a_key_of_a_result_that_is_not_read_is_named(format: str) -> None:
    plain = {**result("c1"), "name": "weather", "tool_name": "weather", "id": "m3"}

    assert view(ASK, call("c1"), plain, format=format).report == ()
    lost = Finding("not_converted", (3,), f"event 3 holds what {format} cannot: artifact")
    found = view(ASK, call("c1"), {**plain, "artifact": {"mm": 3}}, format=format)
    assert found.report == (() if format == "openai" else (lost,))


@pytest.mark.parametrize("format", FORMATS)
def test_what_clients_dump_of_an_answer_without_saying_anything_is_not_named(format: str) -> None:
    dumped = {
        **SAY,
        "id": "msg_1",
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": None,
        "citations": None,
        "prefix": False,
        "provider_specific_fields": {"citations": None, "refusal": None, "annotations": []},
        "images": [],
        "reasoning_content": "",
        "reasoning_details": [],
        "experimental": {},
    }

    assert view(ASK, dumped, format=format).report == ()


@pytest.mark.parametrize("format", FORMATS)
def test_what_a_model_said_as_sound_is_given_as_its_text_and_not_named(format: str) -> None:
    spoken = {"role": "assistant", "content": None, "audio": {"id": "a1", "transcript": "It rains."}}

    found = view(ASK, spoken, format=format)

    assert ("It rains." in str(found[1]), found.report) == (format != "openai", ())


CALLED = call("c1")["tool_calls"]


@pytest.mark.parametrize("format", [None, *FORMATS])
@pytest.mark.parametrize("given", [CALLED[0], json.dumps(CALLED), json.dumps(CALLED[0])])
def test_calls_that_are_no_list_are_read_where_it_is_clear_what_they_are(given: Any, format: str | None) -> None:
    found = view(ASK, {**call("c1"), "tool_calls": given}, result("c1"), STOP, format=format)

    assert list(found) == list(view(ASK, call("c1"), result("c1"), STOP, format=format))
    assert found.report == ()


NO_CALLS: list[Any] = ["search(Oslo)", {"weather": "Oslo"}, 7, True, json.dumps([*CALLED, 7]), ["weather"]]
NO_CALLS.append({"type": "tool_use", "id": "c1", "name": "weather", "input": {}})


@pytest.mark.parametrize("format", [None, *FORMATS])
@pytest.mark.parametrize("given", NO_CALLS)
def test_what_stands_for_calls_and_is_none_is_left_out_and_named(given: Any, format: str | None) -> None:
    found = view(ASK, {**SAY, "tool_calls": given}, STOP, format=format)

    assert list(found) == list(view(ASK, SAY, STOP, format=format))
    left_out = "event 2 has tool_calls that are none, which are left out"
    assert found.report == (Finding("unknown_part", (2,), left_out),)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("given", NO_CALLS)
def test_what_stands_for_calls_is_not_converted_without_a_repair_either(given: Any, format: str) -> None:
    found = view_of(prompt_of(said(ASK, {**SAY, "tool_calls": given}, STOP), format, repair=False), format, "chat")

    assert list(found) == list(view(ASK, SAY, STOP, format=format))
    assert found.report == (Finding("not_converted", (2,), f"event 2 holds what {format} cannot: tool_calls"),)


@pytest.mark.parametrize("format", [None, *FORMATS])
@pytest.mark.parametrize("given", ["", {}, "[]", "null"])
def test_nothing_in_place_of_a_list_of_calls_is_no_list_either(given: Any, format: str | None) -> None:
    found = view(ASK, {**SAY, "tool_calls": given}, STOP, format=format)

    assert list(found) == list(view(ASK, SAY, STOP, format=format))
    assert found.report == ()


@pytest.mark.parametrize("format", [None, *FORMATS])
def test_of_a_list_the_calls_are_read_and_what_is_none_is_named(format: str | None) -> None:
    found = view(ASK, {**call("c1"), "tool_calls": ["weather", *CALLED]}, result("c1"), format=format)

    assert list(found) == list(view(ASK, call("c1"), result("c1"), format=format))
    assert [(each.code, each.seqs) for each in found.report] == [("unknown_part", (2,))]


@pytest.mark.parametrize("format", [None, *FORMATS])
def test_calls_that_only_were_no_list_of_calls_leave_nothing_behind(format: str | None) -> None:
    found = view(ASK, {"role": "assistant", "tool_calls": "search(Oslo)"}, STOP, format=format)

    assert found.seqs == (1, 3)
    assert {each.code for each in found.report} == {"unknown_part", "empty_message"}


SIGNED = {"google": {"thought_signature": "c2ln"}}


def signed(*call_ids: str) -> Json:
    """Return a message that calls `weather` for each id, as Gemini's endpoint for OpenAI's clients signs the first."""
    made = call(*call_ids)
    return {**made, "tool_calls": [{**made["tool_calls"][0], "extra_content": SIGNED}, *made["tool_calls"][1:]]}


def test_what_gemini_signed_a_call_with_in_openais_format_comes_back_to_it() -> None:
    found = view(ASK, signed("c1", "c2"), result("c1"), result("c2"), format="gemini")

    first, second = found[1]["parts"]
    assert (first["functionCall"]["id"], first["thoughtSignature"]) == ("c1", "c2ln")
    assert "thoughtSignature" not in second
    assert found.report == ()


@pytest.mark.parametrize("format", [None, "openai"])
def test_a_signed_call_stays_as_it_is_stored(format: str | None) -> None:
    messages = [ASK, signed("c1"), result("c1")]

    found = view(*messages, format=format)

    assert (list(found), found.report) == (messages, ())


@pytest.mark.parametrize("of", ["openai", "gemini"])
def test_a_call_that_gets_another_id_keeps_its_signature(of: str) -> None:
    made = [{**each, "extra_content": SIGNED} for each in call("c1", "c1")["tool_calls"]]
    stored = {**call("c1"), "tool_calls": made}
    if of == "gemini":
        stored = dict(view(ASK, stored, result("c1"), result("c1"), format="gemini")[1])
        stored["parts"][1]["functionCall"]["id"] = "c1"

    found = view(ASK, stored, result("c1"), result("c1"), format=of)[1]

    if of == "openai":
        assert [(each["id"], each["extra_content"]) for each in found["tool_calls"]] == [
            ("c1", SIGNED),
            ("c1_2", SIGNED),
        ]
    else:
        assert [(each["functionCall"]["id"], each["thoughtSignature"]) for each in found["parts"]] == [
            ("c1", "c2ln"),
            ("c1_2", "c2ln"),
        ]


@pytest.mark.parametrize("format", ["openai", "anthropic", "responses"])
@pytest.mark.parametrize(
    "stored",
    [
        gemini("model", {**function_call("Oslo"), "thoughtSignature": "c2ln"}),
        gemini("model", {**function_call("Oslo"), "thought_signature": "c2ln"}),
        gemini("model", {"text": "It rains.", "thoughtSignature": "c2ln"}),
        signed("c1"),
    ],
)
def test_a_signature_of_geminis_is_named_where_no_call_may_have_it(stored: Json, format: str) -> None:
    found = view_of(prompt_of(said(ASK, stored), format, repair=False), format, "chat")

    is_kept = format == "openai" and "tool_calls" in stored
    assert ("c2ln" in str(list(found))) is is_kept
    lost = Finding("not_converted", (2,), f"event 2 holds what {format} cannot: thought signature")
    assert found.report == (() if is_kept else (lost,))


@pytest.mark.parametrize("format", ["anthropic", "gemini", "responses"])
@pytest.mark.parametrize(
    ("more", "lost"),
    [
        ({"provider_specific_fields": {"route": "a"}}, "tool_calls.provider_specific_fields"),
        ({"extra_content": {"google": {"thought_signature": 7}}}, "tool_calls.extra_content"),
        ({"extra_content": "c2ln", "mood": 0}, "tool_calls.extra_content, tool_calls.mood"),
        ({"custom": {"name": "patch"}}, "tool_calls.custom"),
        ({"function": {"name": "weather", "arguments": "{}", "strict": True}}, "tool_calls.function.strict"),
        ({"function": "weather"}, "tool_calls.function"),
    ],
)
def test_what_stands_under_a_key_of_a_call_that_is_not_read_is_named(more: Json, lost: str, format: str) -> None:
    made = {**CALLED[0], **more}

    found = view(ASK, {**call("c1"), "tool_calls": [made]}, result("c1"), format=format)

    assert found.report == (Finding("not_converted", (2,), f"event 2 holds what {format} cannot: {lost}"),)
    assert view(ASK, {**call("c1"), "tool_calls": [made]}, result("c1"), format="openai").report == ()


def test_what_stands_beside_a_signature_is_named_where_that_comes_along() -> None:
    extra = {"google": {"thought_signature": "c2ln", "model": "gemini-3"}}
    stored = {**call("c1"), "tool_calls": [{**CALLED[0], "extra_content": extra}]}

    found = view(ASK, stored, result("c1"), format="gemini")

    assert found[1]["parts"][0]["thoughtSignature"] == "c2ln"
    text = "event 2 holds what gemini cannot: tool_calls.extra_content"
    assert found.report == (Finding("not_converted", (2,), text),)


@pytest.mark.parametrize("format", ["anthropic", "gemini", "responses"])
def test_what_stands_beside_a_call_of_the_first_form_is_named(format: str) -> None:
    called = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}", "mood": "grey"}}

    found = view(ASK, called, {"role": "function", "name": "f", "content": "4"}, format=format)

    text = f"event 2 holds what {format} cannot: function_call.mood"
    assert found.report == (Finding("not_converted", (2,), text),)


@pytest.mark.parametrize("format", FORMATS)
def test_what_clients_dump_of_a_call_without_saying_anything_is_not_named(format: str) -> None:
    dumped = {**CALLED[0], "index": 0, "extra_content": None, "provider_specific_fields": {"route": None}}
    dumped["function"] = {**dumped["function"], "index": 0, "parsed_arguments": None}

    assert view(ASK, {**call("c1"), "tool_calls": [dumped]}, result("c1"), format=format).report == ()


def test_what_is_lost_where_a_message_of_the_format_is_made_anew_is_named() -> None:
    stored = {**call("c1", "c1"), "citations": ["https://example.org"]}

    found = view(ASK, stored, result("c1"), {**result("c1", "sun"), "artifact": {"mm": 3}}, format="openai")

    assert [each["id"] for each in found[1]["tool_calls"]] == ["c1", "c1_2"]
    assert [each.text for each in found.report] == [
        "event 2 holds what openai cannot: citations",
        "event 4 holds what openai cannot: artifact",
    ]
