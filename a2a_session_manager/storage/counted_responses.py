"""What the usages of a commit add to the totals: each response counts once. `lua/responses.lua` has the same rule.

A store remembers a CountedResponse for each id of a response, as exactly as the ids of events, and finds it by a
`FindCounted`. What a fork inherits will be found by the same function: the responses of the session that it comes from
were counted there, and add nothing to the fork.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from a2a_session_manager.models.counted_response import CountedResponse, counted_again
from a2a_session_manager.storage.records import EncodedEvent, UsageDelta

# A store of one's own imports both from here.
__all__ = ["CountedResponse", "FindCounted", "counted_by", "counted_once", "is_recounted", "response_ids"]

FindCounted = Callable[[str], CountedResponse | None]


def response_ids(events: Iterable[EncodedEvent]) -> Iterator[str]:
    """Yield the ids of the responses that these events have usages of."""
    for event in events:
        if event.usage is not None and event.usage.response_id is not None:
            yield event.usage.response_id


def counted_once(events: Sequence[EncodedEvent], find_counted: FindCounted) -> Sequence[EncodedEvent]:
    """Return `events`, of which those whose response was counted before add only what exceeds that.

    Their usages say in `counted` what is counted of the response from then on.
    """
    for event in events:
        if event.usage is not None and event.usage.response_id is not None:
            break
    else:
        return events  # as nearly always
    named = list(response_ids(events))
    if len(named) == 1 and find_counted(named[0]) is None and not _are_copies(events):
        return events
    return list(_counted_once(events, find_counted))


def counted_by(usage: UsageDelta) -> CountedResponse:
    """Return what is counted of the response of `usage` after it."""
    return CountedResponse(usage.model, usage.counters) if usage.counted is None else usage.counted


def is_recounted(events: Iterable[EncodedEvent]) -> bool:
    """Tell whether a usage of these events adds something else to the totals than it says."""
    return any(event.usage is not None and event.usage.counted is not None for event in events)


def _are_copies(events: Iterable[EncodedEvent]) -> bool:
    return any(event.usage is not None and not event.usage.is_counted for event in events)


def _counted_once(events: Sequence[EncodedEvent], find_counted: FindCounted) -> Iterator[EncodedEvent]:
    here: dict[str, CountedResponse] = {}
    for event in events:
        usage = event.usage
        if usage is None or usage.response_id is None:
            yield event
            continue
        response_id = usage.response_id
        before = here.get(response_id) or find_counted(response_id)
        if before is not None or not usage.is_counted:
            before = CountedResponse(usage.model, {}) if before is None else before
            added, counted = counted_again(before, usage.model, usage.counters)
            usage = usage._replace(counters=added if usage.is_counted else {}, counted=counted)
            event = event._replace(usage=usage)
        here[response_id] = counted_by(usage)
        yield event
