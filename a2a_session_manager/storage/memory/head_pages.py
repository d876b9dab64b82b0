"""A page of heads from the index: the sessions in their order, until the page is full."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final

from a2a_session_manager.concurrency.slices import Slices
from a2a_session_manager.storage import page_rules
from a2a_session_manager.storage.memory.head_index import HeadIndex, after
from a2a_session_manager.storage.page_records import HeadPage, PageQuery, TimePosition
from a2a_session_manager.storage.read_records import LoadedSession

# The loop is given its turn between so many at the earliest.
_LOOKED_AT: Final = 100


async def read_page(
    index: HeadIndex, query: PageQuery, cursor: str | None, limit: int, load: Callable[[str], LoadedSession]
) -> HeadPage:
    """Return the page of an order by time after `cursor`; `load` reads a session that is there."""
    position = end = page_rules.position_of(cursor)
    found: list[LoadedSession] = []
    slices = Slices()
    while (group := index.group_for(query)) is not None:
        # The index may have changed while the loop had its turn: what comes after a place is looked up anew.
        places = await group.places(query)
        if index.group_for(query) is not group:
            continue  # its last session went meanwhile, and perhaps another one came
        if position is None and places and page_rules.is_bounded(query):
            end = TimePosition(*places[0], until=places[-1][0])
        until = None if end is None else end.until
        batch = list(islice(after(places, query, position), _LOOKED_AT))
        for at, session_id in batch:
            head = index.find_head(session_id)
            if head is None or not page_rules.takes(query, head):
                continue
            if len(found) == limit:
                assert end is not None
                return HeadPage(found, page_rules.position_text(end))
            found.append(load(session_id))
            end = TimePosition(at, session_id, until)
        if not batch:
            break
        position = TimePosition(*batch[-1], until)
        if slices.is_over():
            await slices.give_way()
    return HeadPage(found, None)


async def count(index: HeadIndex, query: PageQuery) -> int:
    """Return how many sessions the query takes."""
    group = index.group_for(query)
    if group is None:
        return 0
    if not query.roots_only and len(query.properties) < 2:
        return len(group)
    found = 0
    slices = Slices()
    for session_id in list(group.members):
        head = index.find_head(session_id)
        found += head is not None and page_rules.takes(query, head)
        if slices.is_over():
            await slices.give_way()
    return found
