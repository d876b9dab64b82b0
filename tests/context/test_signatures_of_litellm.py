"""What Gemini signed, in messages that LiteLLM 1.110 has made of its answers: it comes back to Gemini, and to it alone.

Each row has the parts that Gemini answered, which LiteLLM sends it again: `_process_candidates` and
`_gemini_convert_messages_with_history` have made them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from a2a_session_manager.context.prompt import prompt_of, view_of
from a2a_session_manager.context.view import MessageView
from tests.context.examples import ASK, SAY, Json, result, said

OF_CALL, OF_TEXT = "Y2Fs+/bA==", "dGV4dA=="
ID = f"call_4ba680cab57f4eb8818d3a5134fa__thought__{OF_CALL}"
PLAIN_ID = "call_4ba680cab57f4eb8818d3a5134fa"
OTHER_ID = "call_c8174e35d3ce44e1977daa0ad0cf"


def answer(**more: Any) -> Json:
    return {"role": "assistant", **more, "images": [], "thinking_blocks": []}


def listing(*signatures: str) -> Json:
    return {"provider_specific_fields": {"thought_signatures": list(signatures)}}


def called(call_id: str, city: str = "Oslo", **more: Any) -> Json:
    function = {"arguments": f'{{"city": "{city}"}}', "name": "weather"}
    return {"index": 0, "function": function, "id": call_id, "type": "function", **more}


def function_call(call_id: str, city: str = "Oslo", **more: Any) -> Json:
    return {"functionCall": {"id": call_id, "name": "weather", "args": {"city": city}}, **more}


SIGNED: Json = {"provider_specific_fields": {"thought_signature": OF_CALL}}
GIVEN: Json = {"thoughtSignature": OF_CALL}
SECOND = called(OTHER_ID, "Rome", index=1)

ROWS: list[tuple[Json, list[Json]]] = [
    (
        answer(content="Let me look.", tool_calls=[called(ID, **SIGNED), SECOND], **listing(OF_CALL)),
        [{"text": "Let me look."}, function_call(PLAIN_ID, **GIVEN), function_call(OTHER_ID, "Rome")],
    ),
    (
        answer(content="Let me look.", tool_calls=[SECOND], **listing(OF_TEXT)),
        [{"text": "Let me look.", "thoughtSignature": OF_TEXT}, function_call(OTHER_ID, "Rome")],
    ),
    (answer(content="It rains.", **listing(OF_TEXT)), [{"text": "It rains.", "thoughtSignature": OF_TEXT}]),
    # With `thought_signature_in_tool_call_id=False`.
    (answer(tool_calls=[called(PLAIN_ID, **SIGNED)], **listing(OF_CALL)), [function_call(PLAIN_ID, **GIVEN)]),
    # As a client of OpenAI's keeps it, which knows no fields of providers.
    (answer(content=None, tool_calls=[called(ID)]), [function_call(PLAIN_ID, **GIVEN)]),
    (
        answer(content=None, tool_calls=[{**called(PLAIN_ID), "function": {**called("")["function"], **SIGNED}}]),
        [function_call(PLAIN_ID, **GIVEN)],
    ),
    # For `functions`, which were before `tools`.
    (
        answer(content="x", function_call={**called("")["function"], **SIGNED}, **listing(OF_CALL)),
        [{"text": "x"}, {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}, **GIVEN}],
    ),
]
MESSAGES = [message for message, _ in ROWS]


def conversation(message: Json) -> list[Json]:
    results = [result(each["id"]) for each in message.get("tool_calls", [])]
    results += [{"role": "function", "name": "weather", "content": "rain"}] if "function_call" in message else []
    return [ASK, message, *results, SAY]


def view(*messages: Json, format: str | None, repair: bool = True) -> MessageView:
    return view_of(prompt_of(said(*messages), format, repair=repair), format, "chat")


@pytest.mark.parametrize(("message", "parts"), ROWS)
def test_what_gemini_signed_comes_back_to_it(message: Json, parts: list[Json]) -> None:
    found = view(*conversation(message), format="gemini")

    assert found[1] == {"role": "model", "parts": parts}
    assert found.report == ()
    ids = [part["functionCall"].get("id") for part in parts if "functionCall" in part]
    answers = [
        part["functionResponse"].get("id") for each in found for part in each["parts"] if "functionResponse" in part
    ]
    assert answers == ids
    assert "__thought__" not in json.dumps(list(found))


@pytest.mark.parametrize("format", [None, "openai"])
@pytest.mark.parametrize("message", MESSAGES)
def test_it_stays_as_it_is_stored_in_its_own_format(message: Json, format: str | None) -> None:
    messages = conversation({key: value for key, value in message.items() if key != "images"})  # which OpenAI refuses

    found = view(*messages, format=format)

    assert json.dumps(list(found)) == json.dumps(messages)
    assert found.report == ()


@pytest.mark.parametrize("repair", [True, False])
@pytest.mark.parametrize("format", ["anthropic", "responses"])
@pytest.mark.parametrize("message", MESSAGES)
def test_no_other_provider_gets_it(message: Json, format: str, repair: bool) -> None:
    found = view(*conversation(message), format=format, repair=repair)

    text = json.dumps(list(found))
    assert not any(each in text for each in (OF_CALL, OF_TEXT, "Y2Fs", "__thought__"))
    assert [each.text for each in found.report] == [f"event 2 holds what {format} cannot: thought signature"]
    ids = [each["id"] for each in message.get("tool_calls", [])]
    assert all(text.count(f'"{each.partition("__thought__")[0]}"') == 2 for each in ids)


@pytest.mark.parametrize("format", ["openai", "anthropic", "responses", "gemini"])
def test_a_signature_in_the_id_of_another_formats_call_comes_to_gemini_alone(format: str) -> None:
    call = {"type": "ai", "content": "", "tool_calls": [{"name": "weather", "args": {}, "id": ID, "type": "tool_call"}]}
    returned = {"type": "tool", "content": "rain", "tool_call_id": ID, "name": "weather"}

    found = view(ASK, call, returned, format=format)

    text = json.dumps(list(found))
    assert text.count(PLAIN_ID) == 2
    assert "__thought__" not in text
    assert (OF_CALL in text) is (format == "gemini")
    assert len(found.report) == (0 if format == "gemini" else 1)


@pytest.mark.parametrize("repair", [True, False])
def test_a_call_that_gets_another_id_keeps_its_signature_where_litellm_reads_it(repair: bool) -> None:
    stored = answer(content="Let me look.", tool_calls=[called(ID, **SIGNED), called(ID, "Rome")], **listing(OF_TEXT))

    found = view(ASK, stored, result(ID), result(ID), format="openai", repair=repair)[1]

    first, second = found["tool_calls"]
    assert first["id"] == ID
    assert second["id"].startswith(ID + "_")
    assert {each["provider_specific_fields"]["thought_signature"] for each in (first, second)} == {OF_CALL}
    assert found["provider_specific_fields"]["thought_signatures"][0] == OF_TEXT


@pytest.mark.parametrize("format", ["anthropic", "gemini", "responses"])
@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"provider_specific_fields": {"thought_signatures": [OF_CALL, "b3RoZXI="]}}, "provider_specific_fields"),
        ({"provider_specific_fields": {"thought_signatures": [OF_CALL], "route": "a"}}, "provider_specific_fields"),
        ({"provider_specific_fields": {"thought_signatures": OF_CALL}}, "provider_specific_fields"),
        (
            {"tool_calls": [called(ID, provider_specific_fields={"thought_signature": OF_CALL, "route": "a"})]},
            "tool_calls.provider_specific_fields",
        ),
    ],
)
def test_what_stands_beside_a_signature_is_named(more: Json, name: str, format: str) -> None:
    stored = {**answer(content="x", tool_calls=[called(ID, **SIGNED)]), **more}

    found = view(ASK, stored, result(ID), format=format)

    names = found.report[0].text.split(": ")[1].split(", ")
    assert len(found.report) == 1
    assert set(names) == {name} | ({"thought signature"} if format != "gemini" else set())
