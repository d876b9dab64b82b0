"""The usage that is stored with an answer, which was paid for: a fault in the usage must not lose the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.models.token_usage import REPORTED, UNKNOWN, TokenUsage
from a2a_session_manager.pricing.context import price_context
from a2a_session_manager.serialization.plain_objects import fields_of
from a2a_session_manager.usage.provider_usage import usage_from
from a2a_session_manager.usage.report import Report
from a2a_session_manager.usage.response_ids import kept_id

# The key in `details` for the reason why nothing is known of a request.
NOT_UNDERSTOOD = "not_understood"
# Characters of JSON. A usage is far smaller; whatever is larger is another thing, and would make its event too large.
_MOST_KEPT = 16_384


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
    Raises InvalidEvent only for what is no object at all, such as a text.
    """
    try:
        return usage_from(
            usage, model=model, provider=provider, service_tier=service_tier, batch=batch, response_id=response_id
        )
    except InvalidEvent as error:
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


def _kept(raw: dict[str, Any]) -> dict[str, Any]:
    try:
        is_small = len(json.dumps(raw)) <= _MOST_KEPT
    except (ValueError, RecursionError):  # a whole number of more digits than Python writes
        return {"keys": sorted(raw)[:20]}
    return raw if is_small else {"keys": sorted(raw)[:20]}
