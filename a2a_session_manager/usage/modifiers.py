"""What a reply says about how it was served: tier, batch, speed and region, wherever its provider puts that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from a2a_session_manager.identifiers import shown
from a2a_session_manager.usage.parts import at

# Paths into a usage, and into the reply that holds it; of several the first one there holds.
_IN_USAGE = {
    "service_tier": ("service_tier", "serviceTier", "trafficType", "traffic_type"),
    "processing": ("processing",),
    "speed": ("speed",),
    "region": ("inference_geo",),
}
_IN_REPLY = {
    "service_tier": ("service_tier", "serviceTier.type", "response_metadata.service_tier"),
    "speed": ("performanceConfig.latency",),
}
_FIRST_STEPS = frozenset(
    path.split(".")[0] for places in (_IN_USAGE, _IN_REPLY) for paths in places.values() for path in paths
)
# Of LangChain: counts by tier, beside those of the whole.
_LANGCHAIN = "input_token_details"
# The keys under which something is said of serving, or what leads to it.
SERVING_KEYS = _FIRST_STEPS | {_LANGCHAIN}
_LANGCHAIN_TIERS = ("priority", "flex")
_MOST_CHARACTERS = 80


def said_of_serving(raw: Mapping[str, Any], reply: object) -> dict[str, str]:
    """Return what the usage `raw`, and the `reply` that holds it, say of how it was served, by TokenUsage's fields.

    What is standard is said, too: it may not be filled in with what the caller asked for.
    """
    said: dict[str, str] = {}
    for holder, places in ((raw, _IN_USAGE), (reply, _IN_REPLY)):
        if holder is None or (isinstance(holder, Mapping) and _FIRST_STEPS.isdisjoint(holder)):
            continue  # nearly all
        for name, paths in places.items():
            values = (at(holder, path) for path in paths)
            found = next((value for value in values if value is not None), None)
            if found is not None:
                said.setdefault(name, _text(found))
    if "service_tier" not in said:
        details = raw.get(_LANGCHAIN)
        counted = details if isinstance(details, Mapping) else {}
        for tier in _LANGCHAIN_TIERS:
            if counted.get(tier):
                said["service_tier"] = tier
    return said


def _text(value: object) -> str:
    value = getattr(value, "value", value)  # an enum's
    text = value if isinstance(value, str) else shown(value)
    # Google says ON_DEMAND_PRIORITY, and ON_DEMAND alone for the standard.
    plain = text.strip().lower()[:_MOST_CHARACTERS]
    return plain.removeprefix("on_demand_")
