"""What a page of heads is asked by, and what a backend answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from a2a_session_manager.protocols import PageOrder
from a2a_session_manager.storage.read_records import LoadedSession


class PageQuery(NamedTuple):
    """Which sessions of a namespace are meant, and in which order; `page_rules` says what that comes to.

    Attributes:
        order: by the time of the last activity or of the creation, or in the order of `list_page`.
        newest_first: the direction of an order by time; it says nothing of the order by id.
        properties: for each of these keys, the bytes of its value: those that are stored are equal, byte for byte. They
            are of a text, a whole number, true or false, and their keys are among the backend's `indexed` ones.
        title: a part of the title, as `page_rules.folded` makes it; "" leaves none out.
        roots_only: sessions that have a parent are left out, but not forks of roots (`HeadRecord.begins_at_root`).
    """

    order: PageOrder
    newest_first: bool = True
    properties: Mapping[str, bytes] = {}
    title: str = ""
    roots_only: bool = False


class HeadPage(NamedTuple):
    """A page of heads, each with the events that were asked for, in the order of the query.

    Their state, their runs that have ended and what runs have spent may be missing. `cursor` asks for the next page,
    and is None on the last one. It is the backend's own; the verbs bind it to its query.
    """

    sessions: Sequence[LoadedSession]
    cursor: str | None


class TimePosition(NamedTuple):
    """Where a page of an order by time ends: after the session `id`, whose time is `at`, in microseconds.

    `until` is the latest time of all when the paging began. Oldest first by activity, what is later is left out: it was
    active meanwhile, and may have been on an earlier page. None elsewhere.
    """

    at: int
    id: str
    until: int | None = None
