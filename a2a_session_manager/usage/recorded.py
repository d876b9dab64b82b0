"""The usage that is stored with an answer, which was paid for: a fault in the usage must not lose the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.models.fields_set import with_fields
from a2a_session_manager.models.token_usage import REPORTED, UNKNOWN, TokenUsage
from a2a_session_manager.pricing.context import price_context
from a2a_session_manager.serialization.plain_objects import fields_of
from a2a_session_manager.usage.provider_usage import usage_from
from a2a_session_manager.usage.report import Report
from a2a_session_manager.usage.response_ids import kept_id

# The key in `details` for the reason why nothing is known of a request.
NOT_UNDERSTOOD = "not_understood"
# The key in `details` for what was a list.
_LIST = "list"
# Characters of JSON. A usage is far smaller; whatever is larger is another thing, and would make its event too large.
_MOST_KEPT = 16_384
# An object that is understood may be larger, such as a span with its texts, as long as its event can be stored.
_MOST_DETAILS = 1_000_000
_LEFT_OUT = "left out: too large"
# Whole numbers of more bits may be too long to be written as JSON.
_MOST_BITS = 10_000


def recorded_usage(
    usage: object,
    *,
    model: str | None = None,
    provider: str | None = None,
    service_tier: str | None = None,
    batch: bool = False,
    response_id: str | None = None,
) -> TokenUsage:
    """Return what `usage_from`, given the same, returns; where that finds a fault, a usage of which nothing is known.

    It is for events of your own, such as those of an import; the verbs record a usage so. `model`, `provider`,
    `service_tier`, `batch` and `response_id` are those of `usage_from`. Where there is a fault, `basis` is "unknown",
    and `details` keeps the provider's object and, under "not_understood", the reason; a cost that is reported counts.
    What is too large in an object that is understood is left out of `details`. Raises InvalidEvent only for what is
    neither an object nor a list of them, such as a text.
    """
    try:
        return _storable(
            usage_from(
                usage, model=model, provider=provider, service_tier=service_tier, batch=batch, response_id=response_id
            )
        )
    except InvalidEvent as error:
        if isinstance(usage, list | tuple) and all(fields_of(item) is not None for item in usage):
            usage = {_LIST: usage}  # of a stream's chunks, or of nothing
        if fields_of(usage) is None:
            raise
        asked = {"service_tier": service_tier, "processing": "batch" if batch else None}
        return _unknown(usage, str(error), model, provider, asked, kept_id(response_id))


def missing_usage(model: str, provider: str | None = None, response_id: str | None = None) -> TokenUsage:
    """Return the usage of a request to `model`, served by `provider`, whose usage never came."""
    return TokenUsage(model=model, provider=provider, basis=UNKNOWN, response_id=kept_id(response_id))


def _unknown(
    usage: object,
    reason: str,
    model: str | None,
    provider: str | None,
    asked: Mapping[str, str | None],
    response_id: str | None,
) -> TokenUsage:
    report = Report.of(usage, model=model)
    raw = report.raw if isinstance(report.raw, dict) else {}
    about: dict[str, Any] = price_context({**asked, **report.serving})
    if report.cost.pico_usd is not None:
        about.update(cost_pico_usd=report.cost.pico_usd, priced_by=REPORTED)
    return TokenUsage(
        model=report.model or "",
        provider=provider,
        basis=UNKNOWN,
        details={**_kept(raw), NOT_UNDERSTOOD: reason},
        response_id=report.response_id or response_id,
        **about,
    )


def _storable(usage: TokenUsage) -> TokenUsage:
    """Return `usage` with as much of the provider's object as an event can hold."""
    details = usage.details
    if not details or _weight(details) <= _MOST_DETAILS:
        return usage  # nearly all
    kept = {name: part if _weight(part) <= _MOST_KEPT else _LEFT_OUT for name, part in details.items()}
    return with_fields(usage, {"details": kept if _weight(kept) <= _MOST_DETAILS else _kept(kept)})


def _weight(value: Any) -> int:
    """Return about how many characters of JSON plain JSON takes; a number that is too long weighs more than that."""
    kind = type(value)
    if kind is int:
        return 1 if value.bit_length() <= _MOST_BITS else 2 * _MOST_DETAILS
    if kind is dict:
        return sum(map(len, value)) + sum(map(_weight, value.values()))
    if kind is list:
        return len(value) + sum(map(_weight, value))
    return len(value) if kind is str else 1


def _kept(raw: dict[str, Any]) -> dict[str, Any]:
    try:
        is_small = len(json.dumps(raw)) <= _MOST_KEPT
    except (ValueError, RecursionError):  # a whole number of more digits than Python writes
        return {"keys": sorted(raw)[:20]}
    return raw if is_small else {"keys": sorted(raw)[:20]}
