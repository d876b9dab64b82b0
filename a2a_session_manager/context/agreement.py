"""Calls and results that name each other as a format demands it, where the format that they come from does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from a2a_session_manager.shapes.normal_form import Call, Message, Part, Result
from a2a_session_manager.shapes.shape import Shape


def agreeing(messages: Sequence[Message], shape: Shape) -> Sequence[Message]:
    """Return calls with their results, as messages of `shape` may be made of them.

    Each call has an id of its own: of several without one, or with the same, the later ones get a number after it. The
    result has that id too, the call's kind, and the tool's name where the format demands it.
    """
    calls = [part for message in messages for part in message.parts if isinstance(part, Call) and not part.is_hosted]
    if not calls:
        return messages
    is_own = all(message.shape == shape.name for message in messages) and not any(map(_lacks_id, calls))
    keys = [call.id if is_own else call.id or call.name for call in calls]
    known = [key for key in keys if key is not None]
    if is_own and len(set(known)) == len(known) and not (known and any(map(_has_nameless_result, messages))):
        return messages
    return _Agreement(keys, calls, shape).of(messages)


def _lacks_id(call: Call) -> bool:
    """Tell whether a call is of OpenAI's format but for its id, which that demands."""
    return call.id is None and isinstance(call.raw, Mapping) and "function" in call.raw


def _has_nameless_result(message: Message) -> bool:
    return any(isinstance(part, Result) and part.call_id is None and not part.is_hosted for part in message.parts)


class _Agreement:
    def __init__(self, keys: Sequence[str | None], calls: Sequence[Call], shape: Shape) -> None:
        self._shape = shape
        self._keys = keys
        self._ids = _numbered([key if key is None else shape.as_id(key) for key in keys])
        self._calls = calls
        self._made = 0
        self._places: dict[str | None, list[int]] = {}
        for at, key in enumerate(keys):
            self._places.setdefault(key, []).append(at)
        self._answered: Counter[str] = Counter()

    def of(self, messages: Sequence[Message]) -> list[Message]:
        return [self._message(message) for message in messages]

    def _message(self, message: Message) -> Message:
        parts = tuple(map(self._part, message.parts))
        is_same = all(one is other for one, other in zip(parts, message.parts, strict=True))
        return message if is_same else message._replace(parts=parts, raw=None)

    def _part(self, part: Part) -> Part:
        if isinstance(part, Call) and not part.is_hosted:
            call_id = self._ids[self._made]
            self._made += 1
            return part if call_id in (part.id, part.name) else part._replace(id=call_id, raw=None)
        return self._result(part) if isinstance(part, Result) and not part.is_hosted else part

    def _result(self, result: Result) -> Result:
        key = result.call_id or result.name or self._next_without_id()
        if result.call_id is None and key not in self._places:
            key = self._first_unanswered(key)
        elif key not in self._places:
            key = self._first_without_id(result.name)  # which it answers, whatever id it has
        places = self._places.get(key, [])
        if key is None or self._answered[key] >= len(places):
            return result
        at = places[self._answered[key]]
        self._answered[key] += 1
        call = self._calls[at]
        is_named = self._ids[at] == key and key == (result.call_id or result.name)
        call_id = result.call_id if is_named else self._ids[at]
        name = result.name or call.name if self._shape.names_results else result.name
        if call.id is None and call_id == call.name and result.call_id != call_id:
            call_id, name = None, call.name  # neither has an id
        kind = result.kind or call.kind
        if (call_id, name, kind) == (result.call_id, result.name, result.kind):
            return result
        raw = result.raw if (call_id, name) == (result.call_id, result.name) else None
        return result._replace(call_id=call_id, name=name, kind=kind, raw=raw)

    def _next_without_id(self) -> str | None:
        """Return the name of the first call without an id and a result: a result that names none is of that."""
        made = Counter[str | None]()
        for key, call in zip(self._keys, self._calls, strict=True):
            made[key] += 1
            if call.id is None and self._answered[key or ""] < made[key]:
                return call.name
        return None

    def _first_without_id(self, name: str | None) -> str | None:
        """Return a tool's name if one of its calls has neither an id nor a result yet."""
        calls = enumerate(self._calls)
        is_there = any(
            call.id is None and call.name == name and at in self._places.get(name, [])[self._answered[name or ""] :]
            for at, call in calls
        )
        return name if is_there else None

    def _first_unanswered(self, name: str | None) -> str | None:
        """Return what the first call of a tool goes by that has no result yet; the tool's name if there is none."""
        keys = (key for key, call in zip(self._keys, self._calls, strict=True) if call.name == name)
        return next((key for key in keys if self._answered[key or ""] < len(self._places[key])), name)


def _numbered(keys: Sequence[str | None]) -> list[str | None]:
    """Return keys of which none is twice; one that was there before has a number after it."""
    found: list[str | None] = []
    taken, given, numbers = set(keys), set[str](), Counter[str]()
    for key in keys:
        own = key
        if key is not None and own in given:
            numbers[key] += 1
            while (own := f"{key}_{numbers[key] + 1}") in taken or own in given:
                numbers[key] += 1
        if own is not None:
            given.add(own)
        found.append(own)
    return found
