"""List channels as differences: a version of a list is how many items it keeps of the one before, and its new ones.

The versions of a list are numbered in a line of their own, `l:LINE:0`, `l:LINE:1` …, so that all are read at once. A
list that goes on from one that another has gone on from already, as after a step back in time, begins a new line.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from a2a_session_manager.integrations.langgraph.encoding import Encoded, digest

_REMEMBERED: Final = 128


class ListRef(NamedTuple):
    """A version of a list: its line, and its number there."""

    line: str
    number: int

    @property
    def ids(self) -> Iterator[str]:
        """The ids of the events that it is made of, but for those that its line goes on from."""
        return (f"l:{self.line}:{number}" for number in range(self.number + 1))


class KnownLists:
    """The digests of the items of the lists that were written or read last, by session and version."""

    def __init__(self) -> None:
        self._digests: OrderedDict[tuple[str, ListRef], list[str]] = OrderedDict()

    def remember(self, session_id: str, ref: ListRef, digests: list[str]) -> None:
        """Remember a list, and forget the one that was not used for longest."""
        self._digests[session_id, ref] = digests
        self._digests.move_to_end((session_id, ref))
        if len(self._digests) > _REMEMBERED:
            self._digests.popitem(last=False)

    def get(self, session_id: str, ref: ListRef) -> list[str] | None:
        """Return the digests of a list's items, if they are known."""
        return self._digests.get((session_id, ref))


class NewList(NamedTuple):
    """A version of a list to be written, and what its items are from then on."""

    ref: ListRef
    message: dict[str, Any]
    digests: list[str]


def next_list(
    items: Sequence[Encoded],
    base: ListRef | None,
    base_digests: list[str] | None,
    line: str,
    is_free: Callable[[str], bool],
) -> NewList:
    """Return the version after `base`, if it keeps anything of that, or the first one of `line`."""
    digests = [digest(item) for item in items]
    kept = 0
    if base is not None and base_digests is not None:
        for mine, theirs in zip(digests, base_digests, strict=False):
            if mine != theirs:
                break
            kept += 1
    message: dict[str, Any] = {"keep": kept, "items": list(items[kept:])}
    if base is not None and kept:
        following = ListRef(base.line, base.number + 1)
        if is_free(f"l:{following.line}:{following.number}"):
            return NewList(following, message, digests)
        message["base"] = list(base)
    return NewList(ListRef(line, 0), message, digests)


def lines_before(message: Mapping[str, Any]) -> ListRef | None:
    """Return the version that the first one of a line goes on from."""
    base = message.get("base")
    return None if base is None else ListRef(str(base[0]), int(base[1]))


def items_of(ref: ListRef, messages: Mapping[str, Mapping[str, Any]]) -> list[Encoded]:
    """Return the encoded items of a version, of which `messages` has all that it is made of, by event id."""
    items: list[Encoded] = []
    for event_id in ref.ids:
        message = messages[event_id]
        base = lines_before(message)
        if base is not None:
            items = items_of(base, messages)
        del items[message["keep"] :]
        items += message["items"]
    return items
