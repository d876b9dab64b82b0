"""The usages that a streamed reply brings, one after the other, as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What tells the items of a list of counts apart.
_KINDS = ("modality", "ttl", "type", "model")


def merge(merged: dict[str, Any], later: Mapping[str, Any]) -> None:
    """Put `later`, plain JSON, over `merged`: totals so far never shrink, and what is empty wipes out nothing."""
    for name, value in later.items():
        merged[name] = _merged(merged[name], value) if name in merged else value


def _merged(known: Any, value: Any) -> Any:
    if isinstance(known, dict) and isinstance(value, dict):
        whole = dict(known)
        merge(whole, value)
        return whole
    if isinstance(known, list) and isinstance(value, list):
        return _merged_lists(known, value)
    before, after = _number(known), _number(value)
    if before is not None and after is not None:
        return known if after < before else value
    return known if value is None or value in ({}, []) else value


def _merged_lists(known: list[Any], value: list[Any]) -> list[Any]:
    if [_kind(item) for item in known] == [_kind(item) for item in value]:
        return [_merged(*pair) for pair in zip(known, value, strict=True)]
    return known if len(value) < len(known) else value


def _kind(item: Any) -> Any:
    return [item.get(name) for name in _KINDS] if isinstance(item, dict) else type(item)


def _number(value: Any) -> float | None:
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdecimal():
        return int(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
