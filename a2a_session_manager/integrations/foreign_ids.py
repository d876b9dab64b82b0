"""Ids of ours that are made of several foreign ones, whatever characters these have: a path, as of namespaces."""

from __future__ import annotations

from a2a_session_manager.identifiers import checked_id
from a2a_session_manager.namespaces import path_of, unescaped


def joined_id(*parts: str, may_be_empty: bool = False) -> str:
    """Return one id made of `parts`, from which `parts_of` makes them again; no two rows of parts have the same.

    Raises InvalidSessionOperation for a part that is no text or not valid Unicode, or empty unless that `may_be`, and
    where all of them together are too long.
    """
    return checked_id(path_of(tuple(part if may_be_empty and part == "" else checked_id(part) for part in parts)))


def prefix_of(*parts: str, may_be_empty: bool = False) -> str:
    """Return what all ids begin with that are made of `parts` and more."""
    return f"{joined_id(*parts, may_be_empty=may_be_empty)}/"


def parts_of(id: str) -> list[str]:
    """Return the parts that an id was made of."""
    return [unescaped(part) for part in id.split("/")]
