"""List channels as differences: a version of a list is how many items it keeps of the one before, and its new ones.

The versions of a list are numbered in a line of their own, `l:LINE:0`, `l:LINE:1` …, so that all are read at once. A
list that goes on from one that another has gone on from already, as after a step back in time, begins a new line.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from a2a_session_manager.integrations.langgraph.encoding import Encoded, Encoder, digest

_REMEMBERED: Final = 128


class ListRef(NamedTuple):
    """A version of a list: its line, and its number there."""

    line: str
    number: int

    @property
    def ids(self) -> Iterator[str]:
        """The ids of the events that it is made of, but for those that its line goes on from."""
        return (f"l:{self.line}:{number}" for number in range(self.number + 1))


class Item(NamedTuple):
    """What is remembered of an item: the digest of its encoding, and how it looks, where that can be told."""

    digest: str
    look: bytes | None = None


class KnownLists:
    """The items of the lists that were written or read last, by session and version."""

    def __init__(self) -> None:
        self._items: OrderedDict[tuple[str, ListRef], list[Item]] = OrderedDict()

    def remember(self, session_id: str, ref: ListRef, items: list[Item]) -> None:
        """Remember a list, and forget the one that was not used for longest."""
        self._items[session_id, ref] = items
        self._items.move_to_end((session_id, ref))
        if len(self._items) > _REMEMBERED:
            self._items.popitem(last=False)

    def get(self, session_id: str, ref: ListRef) -> list[Item] | None:
        """Return the items of a list, if they are known."""
        return self._items.get((session_id, ref))

    def forget(self, is_gone: Callable[[str], bool]) -> None:
        """Forget the lists of sessions that are gone."""
        for key in [key for key in self._items if is_gone(key[0])]:
            del self._items[key]


class NewList(NamedTuple):
    """A version of a list to be written, and what its items are from then on."""

    ref: ListRef
    message: dict[str, Any]
    items: list[Item]


def next_list(
    values: Sequence[Any],
    encoder: Encoder,
    base: ListRef | None,
    known: Sequence[Item],
    line: str,
    is_free: Callable[[str], bool],
) -> NewList:
    """Return the version after `base`, of which `known` are the items, if it keeps any of them, or the first of `line`.

    An item that looks as it did is not encoded again: a turn of a long conversation would be about that alone.
    """
    items: list[Item] = []
    new: list[Encoded] = []
    for place, value in enumerate(values):
        before = known[place] if not new and place < len(known) else None
        look = encoder.look_of(value)
        if before is not None and look is not None and look == before.look:
            items.append(before)
            continue
        encoded = encoder.encode(value)
        items.append(Item(digest(encoded), look))
        if before is None or before.digest != items[-1].digest:
            new.append(encoded)
    kept = len(items) - len(new)
    message: dict[str, Any] = {"keep": kept, "items": new}
    if base is not None and kept:
        following = ListRef(base.line, base.number + 1)
        if is_free(f"l:{following.line}:{following.number}"):
            return NewList(following, message, items)
        message["base"] = list(base)
    return NewList(ListRef(line, 0), message, items)


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
