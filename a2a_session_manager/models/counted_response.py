"""How often a response counts: once, and of a later usage of it only what exceeds those before, count by count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

# The counters of TokenTally that this rule itself adds to.
REPEATED: Final = "repeated_requests"
_PARTIALLY_PRICED: Final = "partially_priced_requests"


class CountedResponse(NamedTuple):
    """What was counted of one response: the first model that was named, "" for none yet, and the most of each counter.

    The most of each is the same in whatever order the usages came.
    """

    model: str
    counters: dict[str, int]


class AddedUsage(NamedTuple):
    """What a usage adds to the totals of its model, where that is not what it says."""

    model: str
    added: dict[str, int]

    def counters(self) -> dict[str, int]:
        """Return the counters of a TokenTally that are not zero."""
        return self.added


def counted_again(
    before: CountedResponse, model: str, counters: Mapping[str, int]
) -> tuple[dict[str, int], CountedResponse]:
    """Return what one more usage of a response, for `model`, adds to the totals, and what is counted of it then.

    Of two models, nobody knows whose price was paid: then the response is partially priced.
    """
    if before.model and model and before.model != model:
        counters = {_PARTIALLY_PRICED: 1, **counters}
    most, added = dict(before.counters), {REPEATED: 1}
    for name, count in counters.items():
        counted = most.get(name, 0)
        if count > counted:
            added[name] = count - counted
            most[name] = count
    return added, CountedResponse(before.model or model, most)
