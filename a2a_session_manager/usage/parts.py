"""Parts of a reply, whether it is a mapping or a client's object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def part(thing: object, name: str) -> Any:
    """Return what `thing` has under `name`, a key or an attribute; None for nothing."""
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def at(thing: object, path: str) -> Any:
    """Return what `thing` has at `path`, whose dots lead into its parts; None for nothing."""
    for step in path.split("."):
        if thing is None or isinstance(thing, str):
            return None
        thing = part(thing, step)
    return thing
