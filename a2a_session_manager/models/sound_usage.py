"""Whether a usage holds what its class would take, and which of its fields a record leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeGuard

from a2a_session_manager.identifiers import is_id
from a2a_session_manager.models.money import MOST_PICO_USD
from a2a_session_manager.models.request_counts import COUNTS_OF, INTS, parts_fit
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.pricing.context import CONTEXT
from a2a_session_manager.pricing.usage_numbers import MOST_COUNTED, TOOL_USES

_TEXT_OR_NONE = (str, type(None))
_DICT_OR_NONE = (dict, type(None))

_FIELDS = tuple(TokenUsage.model_fields)
# These fields are written only where they say something: most usages have none of them.
_RARE = (
    *TOOL_USES,
    *(name for name in _FIELDS[_FIELDS.index("details") + 1 :] if name != "response_id"),
)
_RARE_OF = itemgetter(*_RARE)
_NOTHING_RARE = tuple(TokenUsage.model_fields[name].default for name in _RARE)
_ALL_RARE = frozenset(_RARE)
# Where the provider's answer is recorded as it came, its id is there.
_ALL_SILENT = _ALL_RARE | {"response_id"}
_ALWAYS = tuple(name for name in _FIELDS if name not in _ALL_SILENT)


def is_sound(usage: object) -> TypeGuard[TokenUsage]:
    """Tell whether a usage holds what its class would take: model_copy and model_construct check nothing."""
    return isinstance(usage, TokenUsage) and _are_sound(usage.__dict__)


def is_sound_record(fields: object) -> bool:
    """Tell whether plain JSON is a usage as it is stored, every field in its place; then it can be read back."""
    return isinstance(fields, dict) and _is_in_order(tuple(fields)) and _are_sound(fields)


def silent_fields(usage: TokenUsage) -> frozenset[str]:
    """Return the names of the fields that a record of `usage` leaves out, because they say nothing."""
    held = usage.__dict__
    if _RARE_OF(held) == _NOTHING_RARE:
        return _ALL_SILENT if held.get("response_id") is None else _ALL_RARE
    silent = {name for name, nothing in zip(_RARE, _NOTHING_RARE, strict=True) if held.get(name) == nothing}
    return frozenset(silent if held.get("response_id") is not None else {*silent, "response_id"})


@lru_cache(maxsize=1_024)
def _is_in_order(names: tuple[str, ...]) -> bool:
    held = frozenset(names)
    return names == tuple(name for name in _FIELDS if name in held) and held.issuperset(_ALWAYS)


def _are_sound(fields: Mapping[str, Any]) -> bool:
    held = fields.get
    try:
        counts: tuple[Any, ...] = COUNTS_OF(fields)
        are_rare_sound = len(fields) == len(_ALWAYS) or _rare_are_sound(fields)
    except KeyError:
        return False
    return bool(
        INTS.issuperset(map(type, counts))
        and parts_fit(counts)
        and max(counts) <= MOST_COUNTED
        and _is_cost(held("cost_pico_usd"))
        and isinstance(held("model"), str)
        and held("basis") in ("reported", "counted", "estimated", "unknown")
        and isinstance(held("provider"), _TEXT_OR_NONE)
        and isinstance(held("priced_by"), _TEXT_OR_NONE)
        and isinstance(held("details"), _DICT_OR_NONE)
        and are_rare_sound
        and ((response_id := held("response_id")) is None or is_id(response_id))
    )


def _rare_are_sound(fields: Mapping[str, Any]) -> bool:
    if len(fields) == len(_FIELDS) and _RARE_OF(fields) == _NOTHING_RARE and fields["partially_priced"] is False:
        return True  # nearly all
    return (
        all(isinstance(fields.get(name), _TEXT_OR_NONE) for name in CONTEXT)
        and _is_cost(fields.get("list_cost_pico_usd"))
        and type(fields.get("partially_priced", False)) is bool
        and isinstance(unread := fields.get("unread_keys", ()), tuple | list)
        and all(isinstance(path, str) for path in unread)
        and ((context := fields.get("context_tokens")) is None or type(context) is int)
        and 0 <= (context or 0) <= MOST_COUNTED
        and INTS.issuperset(map(type, uses := [fields.get(name, 0) for name in TOOL_USES]))
        and min(uses) >= 0
        and max(uses) <= MOST_COUNTED
    )


def _is_cost(cost: object) -> bool:
    return cost is None or (type(cost) is int and 0 <= cost <= MOST_PICO_USD)
