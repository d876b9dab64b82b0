"""What is promised of every shape at once: what one writes is read again, and what it cannot hold is reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from a2a_session_manager.shapes import recognition
from a2a_session_manager.shapes.normal_form import (
    Call,
    Instruction,
    Json,
    Media,
    Message,
    Part,
    Reasoning,
    Result,
    Text,
)
from a2a_session_manager.shapes.shape import Losses, Shape, text_for, value_of
from tests.draws import few

_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: bool(text.strip()))
_names = st.sampled_from(["search", "now", "get-weather_2"])
_values = st.dictionaries(
    _texts, st.none() | st.booleans() | st.integers(-9, 9) | _texts | st.lists(_texts), max_size=3
)
_media = st.sampled_from(
    [
        Media("image", "image/png", "iVBORw0KGgo="),
        Media("image", "image/png", url="https://example.org/a.png"),
        Media("file", "application/pdf", "JVBERi0=", name="a.pdf"),
        Media("file", "application/pdf", url="https://example.org/a.pdf"),
        Media("audio", "audio/wav", "UklGRg=="),
        Media("video", "video/mp4", url="https://example.org/a.mp4"),
    ]
)


@st.composite
def _answers(draw: st.DrawFn) -> list[Message]:
    """Return an answer of a model, with the results of its calls."""
    thoughts = draw(st.lists(_texts.map(Reasoning), max_size=2))
    said = draw(st.lists(_texts.map(Text), max_size=2))
    names = draw(st.lists(_names, min_size=0 if said else 1, max_size=3))
    calls = [Call(f"c{index}", name, draw(_values)) for index, name in enumerate(names)]
    content = st.lists(_texts.map(Text), min_size=1, max_size=2).map(tuple)
    results = [Result(call.id, call.name, draw(content), draw(st.booleans())) for call in calls]
    answer = Message("assistant", (*thoughts, *said, *calls))
    return [answer, Message("tool", tuple(results))] if results else [answer]


@st.composite
def _conversations(draw: st.DrawFn) -> list[Message]:
    system = draw(st.lists(_texts.map(Text), max_size=2))
    found = [Message("system", tuple(system))] if system else []
    for _ in range(draw(st.integers(1, 3))):
        asked = draw(st.lists(_texts.map(Text) | _media, min_size=1, max_size=3))
        found += [Message("user", tuple(asked)), *draw(_answers())]
    return found


@settings(deadline=None, max_examples=few(50, of=2_000))
@given(conversation=_conversations())
def test_what_a_shape_writes_says_the_same_or_the_loss_is_reported(conversation: list[Message]) -> None:
    for shape in _each_shape():
        for message in conversation:
            losses: Losses = []
            written = shape.write(message, losses)
            again = [recognition.read_message(each) for each in written]

            _check_roles(message, again)
            _check_parts(message.parts, [part for each in again for part in each.parts], losses)


@settings(deadline=None, max_examples=few(50, of=2_000))
@given(conversation=_conversations())
def test_what_a_shape_writes_it_writes_again_as_it_was(conversation: list[Message]) -> None:
    for shape in _each_shape():
        for message in conversation:
            for written in shape.write(message, []):
                again = recognition.read_message(written)

                assert recognition.BY_NAME[again.shape].write(again, []) == [written]


@pytest.mark.parametrize("shape", recognition.SHAPES, ids=[shape.name for shape in recognition.SHAPES])
def test_what_a_provider_ran_itself_is_no_call_that_others_have_to_answer(shape: Shape) -> None:
    call = Call("s1", "web_search", {"q": 1}, is_hosted=True)
    result = Result("s1", "web_search", (Text("4"),), is_hosted=True)
    losses: Losses = []

    written = shape.write(Message("assistant", (call, result, Text("done"))), losses)
    parts = [part for each in written for part in recognition.read_message(each).parts]

    assert all(part.is_hosted for part in parts if isinstance(part, Call | Result))
    assert any(isinstance(part, Call) for part in parts) or "call" in " ".join(losses)


def _each_shape() -> Iterator[Shape]:
    """Yield every shape, and name it where hypothesis shows a failure: drawing takes longer than checking."""
    for shape in recognition.SHAPES:
        note(shape.name)
        yield shape


def _check_roles(message: Message, again: Sequence[Message]) -> None:
    """Check that nobody's words are put into another's mouth; user interfaces have results beside their calls."""
    assert {each.role for each in again} <= ({"tool", "assistant"} if message.role == "tool" else {message.role})


def _check_parts(parts: Sequence[Part], again: Sequence[Part], losses: Losses) -> None:
    lost = " ".join(losses)
    if _said(parts) != _said(again):
        assert not _said(again)
        assert "system" in lost
    results, calls = _of(Result, parts), _of(Call, parts)
    assert _of(Result, again) == results or (not _of(Result, again) and "result" in lost)
    assert results or _of(Call, again) == calls or (not _of(Call, again) and "call" in lost)
    for reasoning in (part for part in parts if isinstance(part, Reasoning)):
        is_there = any(isinstance(each, Reasoning) and reasoning.text in each.text for each in again)
        assert is_there or "reasoning" in lost or "thinking" in lost
    for media in (part for part in parts if isinstance(part, Media)):
        is_there = any(isinstance(each, Media) and (each.data, each.url) == (media.data, media.url) for each in again)
        assert is_there or media.kind in lost


def _said(parts: Sequence[Part]) -> str:
    return "\n".join(part.text for part in parts if isinstance(part, Text | Instruction))


def _of(kind: type[Call] | type[Result], parts: Sequence[Part]) -> list[Any]:
    return [_named(part) for part in parts if isinstance(part, kind)]


def _named(part: Call | Result) -> Any:
    """Return a call or a result without what some shapes have no place for: an id or a name."""
    if isinstance(part, Call):
        return part.id, part.name, value_of(part.arguments)
    texts = [
        each.text if isinstance(each, Text) else text_for(each.value)
        for each in part.content
        if isinstance(each, Text | Json)
    ]
    return part.call_id, "\n".join(texts)
