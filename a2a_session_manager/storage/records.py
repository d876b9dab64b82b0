"""What the verbs and a backend hand to each other: ids, numbers and encoded bytes, no models. These are its parts."""

from __future__ import annotations

from typing import NamedTuple

from a2a_session_manager.models.counted_response import CountedResponse
from a2a_session_manager.namespaces import Namespace

# (first seq, last seq), both inclusive; a list of them is sorted, merged and disjoint.
Range = tuple[int, int]


Counters = dict[str, int]


# (model, source) → counters
Totals = dict[tuple[str, str], Counters]


class SessionKey(NamedTuple):
    """Names a session. The same id in two namespaces names two sessions."""

    namespace: Namespace
    id: str


class UsageDelta(NamedTuple):
    """What the usage of one event adds to the totals.

    `response_id` names the response that it is of, None where nobody said. `counted` is what is counted of that
    response from this event on, where an earlier one had a usage of it: then `counters` are what this one adds, and not
    what it says. None elsewhere. Without `is_counted`, it adds nothing, and is remembered of the response all the same.
    """

    model: str
    source: str
    counters: Counters
    response_id: str | None = None
    counted: CountedResponse | None = None
    is_counted: bool = True


class EncodedEvent(NamedTuple):
    """An event as bytes. They do not hold its seq, which the store assigns."""

    id: str
    data: bytes
    run_id: str | None
    usage: UsageDelta | None


class StoredRun(NamedTuple):
    """A run as bytes, with its status, which tells whether it may still change."""

    status: str
    data: bytes


class EncodedRetraction(NamedTuple):
    """Which events to hide: by their ids, the `last` so many visible ones, or all `after` a seq; one of the three."""

    event_ids: tuple[str, ...] = ()
    last: int | None = None
    after: int | None = None


class EncodedRestoration(NamedTuple):
    """Which hidden events to show again: by their ids, or as what the commit of a write id hid; one of the two."""

    event_ids: tuple[str, ...] = ()
    write_id: str | None = None


class EncodedCompaction(NamedTuple):
    """What an event of a commit stands for as a summary: the events `first` to `last`, but for those in `pins`.

    `hidden` is the digest of what is hidden between them. Without a range, 0 and 0, the summary stands where what its
    commit hides stood.
    """

    event_id: str
    first: int = 0
    last: int = 0
    pins: tuple[Range, ...] = ()
    hidden: str = ""

    @property
    def is_compaction(self) -> bool:
        return self.last > 0


class StoredCompaction(NamedTuple):
    """A summary, which is the event `seq`, of the events `first` to `last`, but for those in `pins`."""

    seq: int
    first: int
    last: int
    pins: tuple[Range, ...] = ()


class PlacedSummary(NamedTuple):
    """A summary without a range, which is the event `seq`, and the seq where it stands."""

    seq: int
    place: int


class Segment(NamedTuple):
    """A part of a fork's log that lies in the log of another session: the events from `first_seq` to `last_seq`.

    They never change. The session is above the fork in its tree, so that it lives as long as the fork at least.
    """

    session_id: str
    creation_id: str
    first_seq: int
    last_seq: int


class Lease(NamedTuple):
    """Who holds a run, as a store keeps it: until when in milliseconds of the store's own clock, and for how long."""

    token: str
    until: int
    milliseconds: int
    holder: str


class HeldLease(NamedTuple):
    """Who holds a run, and how long from now."""

    holder: str
    milliseconds_left: int
