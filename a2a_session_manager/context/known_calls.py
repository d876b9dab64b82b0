"""The calls that were made, by what their results name them by: open ones, answered ones, and interrupted ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from a2a_session_manager.shapes.normal_form import Call, Message, Result

# What calls and results go by: the id, or the name where there is none.
CallKey: TypeAlias = str | tuple[str | None]


class OpenCall(NamedTuple):
    """A call that has no result yet; `at` is the index of its message, and `place` the call's among those of it."""

    at: int
    place: int
    call: Call
    run_id: str | None


class KnownCalls:
    """The calls of the messages so far, by their keys.

    `open` has those without a result, `answered` the runs of those with one, and `interruptions` where the calls are
    whose result says that they were interrupted, and where that is.
    """

    def __init__(self) -> None:
        self.open: dict[CallKey, list[OpenCall]] = {}
        self.answered: dict[CallKey, set[str | None]] = {}
        self.interruptions: dict[CallKey, tuple[int, int]] = {}

    def __contains__(self, key: CallKey) -> bool:
        return any(key in each for each in (self.open, self.interruptions, self.answered))

    def in_order(self) -> list[OpenCall]:
        """Return the open calls in the order in which they were made."""
        return sorted((each for some in self.open.values() for each in some), key=time_of)

    def without_id(self) -> list[OpenCall]:
        """Return the open calls that have no id."""
        return [each for key, calls in self.open.items() if not isinstance(key, str) for each in calls]

    def add(self, made: OpenCall) -> None:
        """Take a call in; a result that comes later is this call's, and no longer that of an interrupted one."""
        key = key_of(made.call)
        self.open.setdefault(key, []).append(made)
        self.interruptions.pop(key, None)

    def close(self, call: OpenCall) -> None:
        """Note that an open call has its result."""
        key = key_of(call.call)
        self.open[key].remove(call)
        if not self.open[key]:
            del self.open[key]
        self.answered.setdefault(key, set()).add(call.run_id)

    def key_for(self, result: Result) -> CallKey:
        """Return what a result goes by. Most formats demand an id: of a call without one, that is the tool's name."""
        key, by_name = key_of_result(result), (result.call_id,)
        return by_name if key not in self.open and by_name in self else key

    def open_for(self, key: CallKey, result: Result) -> Sequence[OpenCall]:
        """Return the open calls that a result may answer: one without an id may answer each call of its tool."""
        calls = self.open.get(key, ())
        if calls or result.call_id is not None:
            return calls
        return [each for each in self.in_order() if each.call.name == result.name]


def newest_of(calls: Sequence[OpenCall], run_id: str | None) -> OpenCall:
    """Return the newest call, if possible of a run; of several of one id in a message, that is the first."""
    of_one = [each for each in calls if each.run_id == run_id] or calls
    return next(each for each in of_one if each.at == of_one[-1].at)


def has_calls(message: Message) -> bool:
    """Tell whether a message makes calls that somebody is to answer."""
    return bool(calls_in(message))


def calls_in(message: Message) -> list[Call]:
    """Return the calls of a message that somebody is to answer."""
    return [part for part in message.parts if isinstance(part, Call) and not part.is_hosted]


def named(call: Call) -> str:
    """Return how findings name a call."""
    return f"{call.name!r} ({call.id})" if call.id else repr(call.name)


def time_of(call: OpenCall) -> tuple[int, int]:
    """Return what calls are sorted by, as they were made."""
    return call.at, call.place


def key_of(call: Call) -> CallKey:
    """Return what a call goes by."""
    return call.id or (call.name,)


def key_of_result(result: Result) -> CallKey:
    """Return what a result goes by, as it stands."""
    return result.call_id or (result.name,)


def shown(key: CallKey) -> str:
    """Return how findings name what a result goes by."""
    return repr(key if isinstance(key, str) else key[0])
