"""Ids of ours that are made of several foreign ones, whatever characters these have."""

from __future__ import annotations

from a2a_session_manager.identifiers import checked_id


def joined_id(*parts: str) -> str:
    """Return one id made of `parts`, from which `parts_of` makes them again; no two rows of parts have the same.

    Raises InvalidSessionOperation for a part that is empty, no text or not valid Unicode, and where all of them
    together are too long.
    """
    return checked_id("/".join(checked_id(part).replace("%", "%25").replace("/", "%2F") for part in parts))


def prefix_of(*parts: str) -> str:
    """Return what all ids begin with that are made of `parts` and more."""
    return f"{joined_id(*parts)}/"


def parts_of(id: str) -> list[str]:
    """Return the parts that an id was made of."""
    return [part.replace("%2F", "/").replace("%25", "%") for part in id.split("/")]
