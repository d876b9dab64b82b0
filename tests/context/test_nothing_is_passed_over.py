"""Whatever stands under a key that is new to us, at any depth of a message, comes along, or is named as lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.context.arranging import arranged
from a2a_session_manager.context.conversion import converted, shape_of_format
from a2a_session_manager.context.prompt import prompt_of, view_of
from a2a_session_manager.shapes.recognition import shape_of
from tests.context.documented import documented
from tests.context.examples import ASK, SAY, Json, call, result, said
from tests.draws import few

_FORMATS: Final = ("openai", "anthropic", "gemini", "responses")
ACTIVITY: Final[Json] = {"id": "m5", "role": "activity", "activityType": "PLAN", "content": {"steps": ["fly"]}}
_NEW: Final[Json] = {"mood": [{"sky": "zz-grey"}]}

# What a conversion says of a message whose parts are all there.
_WHOLE: Final = frozenset(
    {
        "a tool's name",
        "name",
        "the system's role inside of a conversation",
    }
)
# What is about an answer as a whole, or for one provider alone: bytes in a form of theirs, ids, and whether to cite.
_ABOUT: Final = frozenset({"usage", "response_metadata", "provider_details", "bytes", "reference"})
_LISTS: Final = frozenset({"content", "parts", "tool_calls", "toolCalls", "toolInvocations", "images"})
_Path = tuple[Any, ...]


def _objects(value: Any, path: _Path = ()) -> Iterator[_Path]:
    """Yield where there are objects in a value, but for those that `_ABOUT` names."""
    if isinstance(value, dict):
        yield path
        for key, each in value.items():
            if key not in _ABOUT and not (key == "citations" and isinstance(each, dict)):
                yield from _objects(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _objects(each, (*path, index))


def _alone(message: Json, path: _Path) -> tuple[Json, _Path]:
    """Return a message with those parts alone that a path leads through."""
    made: Any = deepcopy(message)
    at, found = made, []
    for key in path:
        if isinstance(at, list):
            at[:] = [at[key]]
            found.append(0)
        else:
            for other in _LISTS & at.keys() - {key}:
                at[other] = [] if isinstance(at[other], list) else at[other]
            found.append(key)
        at = at[found[-1]]
    is_same = shape_of(made) is shape_of(message)
    return (made, tuple(found)) if is_same else (message, path)


def _planted(message: Json, path: _Path) -> Json:
    made: Any = deepcopy(message)
    at = made
    for key in path:
        at = at[key]
    at |= _NEW
    return cast("Json", made)


def _said_and_lost(message: Json, format: str) -> tuple[str, set[str]]:
    found = view_of(prompt_of(said(ASK, message), format, repair=False), format, "chat")
    names = [name for each in found.report if 2 in each.seqs for name in each.text.split(": ")[-1].split(", ")]
    return json.dumps([list(found), found.system]), set(names)


def _is_around(name: str, path: _Path) -> bool:
    """Tell whether a finding names the part that a path leads into, or a key on it."""
    dotted = ".".join(each for each in path if isinstance(each, str))
    return name not in _WHOLE and ("." not in name or name in dotted)


def _is_for_people(message: Json) -> bool:
    return message.get("role") == "activity"


_documented: Final = list(documented())
_places: Final = [(each, path) for each in _documented if not _is_for_people(each) for path in _objects(each)]


@settings(deadline=None, max_examples=few(40, of=4_000))
@given(place=st.sampled_from(_places), format=st.sampled_from(_FORMATS))
def test_a_key_that_is_new_comes_along_or_is_named(place: tuple[Json, _Path], format: str) -> None:
    message, path = _alone(*place)
    planted = _planted(message, path)
    shape = shape_of(planted)
    if shape is None:
        return

    written, named = _said_and_lost(planted, format)
    _, lost = _said_and_lost(message, format)

    is_dump = shape.name == format and not path  # Anthropic's is sent without what a client dumps beside the content
    assert is_dump or "zz-grey" in written or named > lost or any(_is_around(name, path) for name in lost), named


def _around(message: Json, others: list[Json]) -> list[list[Json]]:
    return [
        [message],
        [ASK, message, SAY],
        [ASK, call("c1"), result("c1"), message, SAY],
        [*others, message],
        [message, *others],
    ]


@settings(deadline=None, max_examples=few(150, of=4_000))
@given(
    message=st.sampled_from(_documented),
    others=st.lists(st.sampled_from(_documented), max_size=3),
    format=st.sampled_from((None, *_FORMATS)),
    repair=st.booleans(),
)
def test_each_message_is_in_the_view_or_a_finding_names_it(
    message: Json, others: list[Json], format: str | None, repair: bool
) -> None:
    for messages in _around(message, others):
        found = prompt_of(said(*messages), format, repair=repair)

        named = {seq for each in found.findings for seq in each.seqs}
        assert found.events() | named == set(range(1, len(messages) + 1))
        assert len(found.starts) == len(set(found.starts))


@pytest.mark.parametrize("format", _FORMATS)
@pytest.mark.parametrize("message", [ACTIVITY, {"id": "m1", "role": "assistant", "parts": []}])
def test_what_says_nothing_to_a_model_is_named_without_repair(message: Json, format: str) -> None:
    found = view_of(prompt_of(said(ASK, message, SAY), format, repair=False), format, "chat")

    assert found.seqs == (1, 3)
    assert [(each.code, each.seqs) for each in found.report] == [("empty_message", (2,))]


@pytest.mark.parametrize("format", [None, *_FORMATS])
def test_what_is_left_of_results_that_answer_nothing_is_no_message(format: str | None) -> None:
    marked = {"type": "tool_result", "tool_use_id": "c1", "content": "4", "cache_control": {"type": "ephemeral"}}

    found = view_of(prompt_of(said({"role": "user", "content": [marked]}, ASK), format), format, "chat")

    assert len(found) == 1
    assert {each.code for each in found.report} == {"orphan_result", "empty_message"}


@pytest.mark.parametrize("format", _FORMATS)
def test_a_conversion_is_the_same_where_messages_were_read_already(format: str) -> None:
    known = 0
    for message in _documented:
        conversation = said(ASK, message, call("c1"), result("c1"), message, SAY)
        found, anew = (arranged(conversation, format=format) for _ in range(2))
        known += len(found.shapes)
        anew.shapes.clear()
        shape = shape_of_format(format)

        made, other = converted(found, shape), converted(anew, shape)

        assert (made.messages, made.seqs, made.findings) == (other.messages, other.seqs, other.findings)
    assert known
