"""What a price depends on besides the counts: tier, processing, speed and region, where they are not the standard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# The names are those of genai-prices' price context; it knows no region yet.
CONTEXT = ("service_tier", "processing", "speed", "region")
# What Perplexity's price of a request depends on; the list has that of the largest.
SEARCH_SIZE = "search_context_size"

# What providers call that which costs what the list says. "auto" is none of these: it leaves the choice to them.
_STANDARD = frozenset({"default", "standard", "standard_only", "on_demand", "ondemand", "normal", "global"})
_STANDARD_REGIONS = frozenset({"global", "not_available", "none"})
_LISTED_SEARCH_SIZE = "high"
_BATCH = frozenset({"batch", "batches"})
# These never cost less than the standard. Of all others that is not known.
_DEARER = frozenset({("service_tier", "priority"), ("service_tier", "fast"), ("speed", "fast")})


def price_context(said: Mapping[str, str | None]) -> dict[str, str]:
    """Return what in `said`, by the names of CONTEXT, is not the standard, as price lists spell it."""
    found: dict[str, str] = {}
    for name in CONTEXT:
        value = said.get(name)
        plain = value.strip().lower().replace("-", "_") if value else ""
        if not plain or plain in (_STANDARD_REGIONS if name == "region" else _STANDARD):
            continue
        if plain in _BATCH:
            found["processing"] = "batch"
        else:
            found.setdefault(name, plain)
    return found


def context_of(usage: object) -> dict[str, str]:
    """Return the price context that `usage` brings along; nothing where it has none."""
    return getattr(usage, "price_context", None) or {}


def with_search_size(context: dict[str, str], details: Mapping[str, object] | None) -> dict[str, str]:
    """Return `context` with how large a search was, where a provider's own object, `details`, says that."""
    size = details.get(SEARCH_SIZE) if details else None
    return {**context, SEARCH_SIZE: size} if isinstance(size, str) and size != _LISTED_SEARCH_SIZE else context


def lower_bound(unknown: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return what of a context has no price, as text, where the standard's is a lower bound. Raises ValueError else."""
    missing = sorted(unknown)
    texts = tuple(f"{name}={value}" for name, value in missing)
    if not all(name == "region" or (name, value) in _DEARER for name, value in missing):
        raise ValueError(f"no price is known for {', '.join(texts)}, and it may be less than the standard one")
    return texts
