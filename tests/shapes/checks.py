"""What is asked of every shape, for the test module of each to call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from a2a_session_manager.shapes import recognition
from a2a_session_manager.shapes.normal_form import Call, Message, Part, Result, Text
from a2a_session_manager.shapes.shape import Shape, value_of

_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
json_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


def mangled(message: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return messages that are like `message`, with some of its values, at any depth, put in place of others."""
    return _mangled(dict(message))


def _mangled(value: Any) -> st.SearchStrategy[Any]:
    if isinstance(value, dict):
        keys = st.fixed_dictionaries({key: _mangled(each) for key, each in value.items()})
        return st.one_of(keys, keys, st.builds(lambda made, more: {**made, **more}, keys, _few(value)))
    if isinstance(value, list):
        items = st.tuples(*map(_mangled, value)).map(list)
        return st.one_of(items, items, json_values)
    return st.one_of(st.just(value), st.just(value), json_values)


def _few(value: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(sorted(value)) if value else st.text(max_size=3), json_values, max_size=1)


def check_row(shape: Shape, message: dict[str, Any], expected: Message) -> None:
    """Check that a message is of `shape` alone, has the expected normal form, and is written again as it was."""
    assert recognition.shape_of(message) is shape
    found = shape.read(message)
    assert (found.role, without_raws(found.parts), found.name) == (
        expected.role,
        without_raws(expected.parts),
        expected.name,
    )
    assert (found.shape, found.raw) == (shape.name, message)
    losses: list[str] = []
    assert shape.write(found, losses) == [message]
    assert losses == []


def check_any(shape: Shape, message: dict[str, Any]) -> None:
    """Check that whatever `message` is, it is read without an error, and written again as it was."""
    if not shape.is_mine(message):
        return
    assert shape.write(shape.read(message), []) == [message]


def without_raws(parts: tuple[Part, ...]) -> list[Any]:
    """Return parts as they say the same, whatever they were read from; `Other` keeps what it is."""
    return [_without_raw(part) for part in parts]


def spoken(message: Message) -> list[Any]:
    """Return what every shape can hold of a message: its texts, and its calls and results by name and id."""
    texts: list[Any] = [part.text for part in message.parts if isinstance(part, Text) and part.text]
    calls = [(part.id, part.name, value_of(part.arguments)) for part in message.parts if isinstance(part, Call)]
    results = [
        (part.call_id, [each.text for each in part.content if isinstance(each, Text)])
        for part in message.parts
        if isinstance(part, Result)
    ]
    return [*texts, *calls, *results]


def _without_raw(part: Part) -> Any:
    """Return a part with the name of its class: a text and a thought are equal tuples."""
    if isinstance(part, Result):
        part = part._replace(content=tuple(_without_raw(each) for each in part.content))
    return type(part).__name__, part._replace(raw=None) if part._fields != ("raw",) else part
