"""What other clients return than OpenAI's can be appended: each object is made as its library makes it, offline.

The libraries are as large as all that `dev` brings. They come with `clients`, and these tests are skipped without them.
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.shapes.client_objects import plain_message, plain_parts
from a2a_session_manager.shapes.recognition import read_message
from tests.shapes.checks import spoken

a2a = pytest.importorskip("a2a.types")
a2a_v0_3 = pytest.importorskip("a2a.compat.v0_3.types")
ag_ui = pytest.importorskip("ag_ui.core.types")
anthropic = pytest.importorskip("anthropic.types")
anthropic_beta = pytest.importorskip("anthropic.types.beta")
gemini = pytest.importorskip("google.genai.types")
json_format = pytest.importorskip("google.protobuf.json_format")
langchain = pytest.importorskip("langchain_core.messages")
langchain_outputs = pytest.importorskip("langchain_core.outputs")
pydantic_ai = pytest.importorskip("pydantic_ai")
pydantic_ai_models = pytest.importorskip("pydantic_ai.models.test")

PICTURE = b"\xfb\xff\xfe"


def claude(*content: Any) -> dict[str, Any]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    more = {"stop_reason": "end_turn", "stop_sequence": None, "model": "claude", "usage": usage}
    return {"id": "m1", "type": "message", "role": "assistant", "content": list(content), **more}


def plain(item: object) -> dict[str, Any]:
    found = plain_message(item)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", [anthropic.Message, anthropic_beta.BetaMessage])
def test_an_answer_of_anthropic_is_its_role_and_blocks(kind: Any) -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "3f=="},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"q": None}},
    ]
    message = kind.model_validate(claude({"type": "text", "text": "hi", "citations": None}, *blocks))

    assert plain(message) == {"role": "assistant", "content": [{"type": "text", "text": "hi"}, *blocks]}
    assert plain(message.content[2]) == {"role": "assistant", "content": [blocks[1]]}
    assert read_message(plain(message)).shape == "anthropic"


def test_a_content_of_gemini_comes_back_equal() -> None:
    picture = gemini.Part.from_bytes(data=PICTURE, mime_type="image/png")
    call = gemini.Part.from_function_call(name="f", args={"q": None})
    call.thought_signature = PICTURE
    content = gemini.Content(role="model", parts=[gemini.Part(text="hi"), picture, call])

    found = plain(content)

    assert gemini.Content.model_validate(found) == content
    assert found["parts"][2]["functionCall"] == {"name": "f", "args": {"q": None}}
    assert read_message(found).shape == "gemini"
    assert plain(gemini.UserContent("hi"))["role"] == "user"


@pytest.mark.parametrize(
    "message",
    [
        langchain.HumanMessage("hi", id="h1"),
        langchain.AIMessage("wait", tool_calls=[{"id": "c1", "name": "f", "args": {"q": 1}, "type": "tool_call"}]),
        langchain.ToolMessage("4", tool_call_id="c1", artifact={"n": 1}),
    ],
)
def test_a_message_of_langchain_comes_back_equal(message: Any) -> None:
    assert langchain.messages_from_dict([plain(message)]) == [message]


@pytest.mark.parametrize(
    "message",
    [
        pydantic_ai.ModelRequest(
            parts=[pydantic_ai.UserPromptPart(["hi", pydantic_ai.BinaryImage(PICTURE, media_type="image/png")])]
        ),
        pydantic_ai.ModelRequest(parts=[pydantic_ai.ToolReturnPart("f", {"raw": "4"}, "c1")]),
        pydantic_ai.ModelResponse(
            parts=[
                pydantic_ai.ThinkingPart("hm"),
                pydantic_ai.TextPart("hi"),
                pydantic_ai.ToolCallPart("f", {"q": 1}, "c1"),
            ]
        ),
    ],
)
def test_a_message_of_pydantic_ai_comes_back_equal(message: Any) -> None:
    assert pydantic_ai.ModelMessagesTypeAdapter.validate_python([plain(message)]) == [message]


def test_a_message_of_a2a_is_what_protobuf_writes() -> None:
    message = a2a.Message(message_id="m1", role=a2a.Role.ROLE_AGENT, extensions=["e"], reference_task_ids=["t1"])
    message.parts.extend([a2a.Part(text=""), a2a.Part(raw=PICTURE, media_type="image/png", filename="a.png")])
    message.parts.add().data.struct_value.update({"n": 1, "more": [1.5, None, True, {"deep": "er"}]})
    message.metadata.update({"k": "v"})

    assert plain(message) == json_format.MessageToDict(message)
    assert read_message(plain(message)).shape == "a2a"
    assert plain(a2a.Message()) == {"role": "ROLE_UNSPECIFIED", "parts": []}


def test_a_message_of_an_earlier_a2a_comes_back_equal() -> None:
    parts = [
        a2a_v0_3.Part(root=a2a_v0_3.TextPart(text="hi")),
        a2a_v0_3.Part(root=a2a_v0_3.DataPart(data={"n": None})),
    ]
    message = a2a_v0_3.Message(message_id="m1", role=a2a_v0_3.Role.agent, parts=parts)

    assert a2a_v0_3.Message.model_validate(plain(message)) == message
    assert read_message(plain(message)).shape == "a2a"


@pytest.mark.parametrize(
    "message",
    [
        ag_ui.DeveloperMessage(id="m1", content="be brief"),
        ag_ui.UserMessage(id="m1", content=[ag_ui.ImagePart(source=ag_ui.UrlSource(value="https://example.org/a"))]),
        ag_ui.AssistantMessage(
            id="m1", tool_calls=[ag_ui.ToolCall(id="c1", function=ag_ui.FunctionCall(name="f", arguments="{}"))]
        ),
        ag_ui.ToolMessage(id="m1", tool_call_id="c1", content="4", error="late"),
        ag_ui.ReasoningMessage(id="m1", content="hm", encrypted_value="x"),
        ag_ui.ActivityMessage(id="m1", activity_type="PLAN", content={"steps": None}),
    ],
)
def test_a_message_of_ag_ui_comes_back_equal(message: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(ag_ui.Message)

    assert adapter.validate_python(plain(message)) == message
    assert read_message(plain(message)).shape == "ag_ui"


def test_what_clients_return_is_read_as_what_it_says() -> None:
    said = ["hi", ("c1", "f", {"q": 1})]
    tool_use = {"type": "tool_use", "id": "c1", "name": "f", "input": {"q": 1}}
    items: list[object] = [
        anthropic.Message.model_validate(claude({"type": "text", "text": "hi"}, tool_use)),
        langchain.AIMessage("hi", tool_calls=[{"id": "c1", "name": "f", "args": {"q": 1}, "type": "tool_call"}]),
        pydantic_ai.ModelResponse(parts=[pydantic_ai.TextPart("hi"), pydantic_ai.ToolCallPart("f", {"q": 1}, "c1")]),
    ]

    found = [read_message(plain(item)) for item in items]

    assert [(message.role, spoken(message)) for message in found] == [("assistant", said)] * len(items)


@pytest.mark.parametrize(
    ("item", "remedy"),
    [
        (gemini.GenerateContentResponse(), r"append\(response\.candidates\[0\]\.content\)"),
        (gemini.Candidate(), r"append\(candidate\.content\)"),
        (
            langchain_outputs.ChatResult(
                generations=[langchain_outputs.ChatGeneration(message=langchain.AIMessage("hi"))]
            ),
            r"append\(result\.generations\[0\]\.message\)",
        ),
        (a2a.Task(id="t1"), r"append\(\*task\.history\)"),
        (a2a.StreamResponse(), r"append\(response\.message\)"),
    ],
)
def test_a_whole_answer_is_refused_and_its_messages_are_named(item: object, remedy: str) -> None:
    with pytest.raises(InvalidEvent, match=remedy):
        plain_message(item)


async def test_a_result_of_pydantic_ai_is_refused_and_its_messages_are_named() -> None:
    result = await pydantic_ai.Agent(pydantic_ai_models.TestModel()).run("hi")

    with pytest.raises(InvalidEvent, match=r"append\(\*result\.new_messages\(\)\)"):
        plain_message(result)
    assert [plain(each)["kind"] for each in result.new_messages()] == ["request", "response"]


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="ToolMessage cannot be dumped as JSON"):
        plain_message(langchain.ToolMessage("4", tool_call_id="c1", artifact=object()))


def test_what_is_in_an_answer_beside_messages_is_no_message() -> None:
    assert plain_message(anthropic.Message.model_validate(claude()).usage) is None
    assert plain_message(langchain.RemoveMessage(id="m1")) is None
    assert plain_message(gemini.Part(text="hi")) is None


def test_parts_that_are_objects_are_json_again() -> None:
    block = {"type": "tool_use", "id": "t1", "name": "f", "input": {"q": None}}
    reply = anthropic.Message.model_validate(claude(block))

    assert plain_parts({"role": "assistant", "content": reply.content}) == {"role": "assistant", "content": [block]}
    assert plain_parts({"role": "user", "parts": [gemini.Part(text="hi")]}) == {
        "role": "user",
        "parts": [{"text": "hi"}],
    }
