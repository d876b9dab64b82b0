"""UnfinishedRun: a run that has not ended, and who holds it."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, NamedTuple

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.models.session_run import SessionRun


class UnfinishedRun(NamedTuple):
    """A run that has not ended, in any session of a namespace.

    Attributes:
        session_id: the session that it is in.
        run: its record.
        holder: the machine and process that holds it; None when nobody does, as of a run that waits, or whose process
            has died: it is free to be resumed.
        seconds_left: how long it is held from now, unless the lease is renewed; 0 when it is not.
    """

    session_id: str
    run: SessionRun
    holder: str | None
    seconds_left: float


def checked_age(older_than: Any) -> timedelta:
    """Return an age, which is given in seconds or as a timedelta; None is none. Raises InvalidSessionOperation."""
    age = timedelta(0) if older_than is None else older_than
    if isinstance(age, int | float) and not isinstance(age, bool) and math.isfinite(age):
        age = timedelta(seconds=min(max(age, -1), 1e12))
    if not isinstance(age, timedelta) or age < timedelta(0):
        raise InvalidSessionOperation(f"older_than={shown(older_than)} is no age: take seconds, or a timedelta")
    return age
