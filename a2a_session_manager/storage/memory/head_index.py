"""HeadIndex: which sessions of a namespace a page is made of, in its order, without looking at the others."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from a2a_session_manager.concurrency.slices import Slices
from a2a_session_manager.storage import page_rules
from a2a_session_manager.storage.page_records import PageQuery, TimePosition
from a2a_session_manager.storage.read_records import HeadRecord

_CONTAINERS: Final = (b"[", b"{")

Place = tuple[int, str]  # a time, and the id of a session
FindHead = Callable[[str], HeadRecord | None]


class HeadIndex:
    """The sessions of one namespace: all of them, and those that have a value of a property, by property and value.

    A row of them is sorted when it is asked for first, and from then on only what has changed is put in its place when
    it is asked for again. So a commit costs the same whatever the number of sessions.
    """

    def __init__(self, find_head: FindHead, indexed: Sequence[str]) -> None:
        self.find_head = find_head
        self._indexed = indexed
        self._all = Group(find_head)
        self._by_value: dict[tuple[str, bytes], Group] = {}

    def put(self, head: HeadRecord, groups: tuple[Group, ...], changed: Collection[str] | None) -> tuple[Group, ...]:
        """Take note of a commit to a session that was in `groups`, and return those that it is in now.

        `changed` are the keys of the properties that the commit may have changed, None for a creation.
        """
        now = groups
        if changed is None or (changed and any(key in changed for key in self._indexed)):
            now = self._groups_of(head)
            for group in groups:
                if group not in now:
                    self._leave(group, head.key.id)
            for group in now:
                if group not in groups:
                    group.members[head.key.id] = None
                    group.touch(head.key.id)
        for group in now:
            if group.rows:
                group.move(head.key.id)
        return now

    def remove(self, session_id: str, groups: tuple[Group, ...]) -> None:
        """Take a session that was deleted out of `groups`, which it was in."""
        for group in groups:
            self._leave(group, session_id)

    def group_for(self, query: PageQuery) -> Group | None:
        """Return the smallest group in which all sessions are that the query takes; None when there are none."""
        if not query.properties:
            return self._all
        groups = [self._by_value.get(pair) for pair in query.properties.items()]
        found = [group for group in groups if group is not None]
        return min(found, key=len) if len(found) == len(groups) else None

    def _groups_of(self, head: HeadRecord) -> tuple[Group, ...]:
        groups = [self._all]
        for key in self._indexed:
            value = head.properties.get(key)
            if value is None or value.startswith(_CONTAINERS):
                continue
            group = self._by_value.get((key, value))
            if group is None:
                group = self._by_value[key, value] = Group(self.find_head, (key, value))
            groups.append(group)
        return tuple(groups)

    def _leave(self, group: Group, session_id: str) -> None:
        group.members.pop(session_id, None)
        group.touch(session_id)
        if group.value is not None and not group.members:
            self._by_value.pop(group.value, None)


@dataclass(slots=True, eq=False)
class Group:
    """Sessions that have one value of a property, or all of a namespace; in rows, one for each order asked for."""

    find_head: FindHead
    value: tuple[str, bytes] | None = None
    members: dict[str, None] = field(default_factory=dict)
    rows: dict[tuple[str, bool], Row] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.members)

    def touch(self, session_id: str) -> None:
        """Let each row look at the session anew."""
        for row in self.rows.values():
            row.changed.add(session_id)

    def move(self, session_id: str) -> None:
        """Let the rows that go by activity look at the session anew."""
        for (order, _), row in self.rows.items():
            if order == "updated":
                row.changed.add(session_id)

    async def places(self, query: PageQuery) -> list[Place]:
        """Return the places of all sessions of the group, oldest first, but for those with a parent on `roots_only`.

        What has changed since the last time is put in its place first, in slices. The caller does not change the list;
        it is as things are until something is awaited.
        """
        row = self.rows.get((query.order, query.roots_only))
        if row is None:
            row = self.rows[query.order, query.roots_only] = Row(changed=set(self.members))
        slices = Slices()
        patience = 2 * len(row.changed)  # others may write all the time
        while row.changed:
            self._put_in_place(row, query, row.changed.pop())
            patience -= 1
            if patience > 0 and slices.is_over():
                await slices.give_way()
        return row.places

    def _put_in_place(self, row: Row, query: PageQuery, session_id: str) -> None:
        before = row.times.pop(session_id, None)
        if before is not None:
            del row.places[bisect_left(row.places, (before, session_id))]
        head = self.find_head(session_id) if session_id in self.members else None
        if head is not None and (head.begins_at_root or not query.roots_only):
            row.times[session_id] = page_rules.time_of(query, head)
            insort(row.places, (row.times[session_id], session_id))


@dataclass(slots=True)
class Row:
    """Sessions in the order of their `times`, as of the last time that it was asked for; `changed` are those since."""

    places: list[Place] = field(default_factory=list)
    times: dict[str, int] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)


def after(places: Sequence[Place], query: PageQuery, position: TimePosition | None) -> Iterator[Place]:
    """Yield the places that come after `position` in the order of the query; None is the start."""
    if query.newest_first:
        end = len(places) if position is None else bisect_left(places, position[:2])
        return (places[number] for number in range(end - 1, -1, -1))
    start = 0 if position is None else bisect_right(places, position[:2])
    end = len(places)
    if position is not None and position.until is not None:
        end = bisect_right(places, position.until, key=_time_of)
    return (places[number] for number in range(start, end))


def _time_of(place: Place) -> int:
    return place[0]
