"""StoreFinding: what is wrong, or worth knowing, about where a store keeps its data."""

from __future__ import annotations

from typing import Literal, NamedTuple


class StoreFinding(NamedTuple):
    """One thing that `diagnose` found.

    Attributes:
        severity: "error" is a promise that the store cannot keep, "warning" one that it keeps only in part, "note" what
            is worth knowing.
        code: names the kind of the finding; it stays the same in later releases.
        where: the server, directory or file.
        text: what was found.
        remedy: what to do about it; "" where nothing has to be done.
    """

    severity: Literal["error", "warning", "note"]
    code: str
    where: str
    text: str
    remedy: str = ""
