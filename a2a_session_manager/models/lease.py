"""LeaseClaim: what a write says of the lease of the run that it is of."""

from __future__ import annotations

import math
import os
import socket
from typing import Any, Final, Literal, NamedTuple, cast, get_args

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import hidden_id, shown

# Seconds.
DEFAULT_LEASE: Final = 30.0
_SHORTEST: Final = 1.0
_LONGEST: Final = 86_400.0

# `acquire` takes a lease that nobody else holds, `take_over` whoever holds it; a `hold` is refused without it, a
# `release` gives it up, and `vacant` is refused while anybody holds one.
BusyPolicy = Literal["refuse", "wait", "take_over"]
LeaseStep = Literal["acquire", "take_over", "hold", "release", "vacant"]


class LeaseClaim(NamedTuple):
    """What a write claims of the lease of a run; the store checks it in the same step.

    Attributes:
        token: random, and new for each acquisition: two processes never have the same one, whatever their names.
        milliseconds: how long the lease lasts without being renewed; 0 acquires none, if nobody else holds one.
        holder: what an error calls the holder.
    """

    run_id: str
    token: str
    step: LeaseStep
    milliseconds: int = 0
    holder: str = ""


def acquisition(run_id: str, lease: float | None, *, take_over: bool) -> LeaseClaim:
    """Return the claim that acquires the lease of a run for `lease` seconds; None acquires none."""
    milliseconds = 0 if lease is None else round(lease * 1000)
    return LeaseClaim(run_id, hidden_id(), "take_over" if take_over else "acquire", milliseconds, _holder())


def checked_lease(lease: Any) -> float | None:
    """Return the seconds of a lease. Raises InvalidSessionOperation for what is no such time."""
    if lease is None:
        return None
    if isinstance(lease, bool) or not isinstance(lease, int | float) or not math.isfinite(lease):
        raise InvalidSessionOperation(
            f"lease={shown(lease)} is no time: take seconds, or None for a run without a lease"
        )
    if not _SHORTEST <= lease <= _LONGEST:
        raise InvalidSessionOperation(
            f"lease={shown(lease)} cannot be kept: take {_SHORTEST:g} to {_LONGEST:g} seconds; it is renewed while the "
            "run goes on"
        )
    return float(lease)


def checked_busy(busy: Any) -> BusyPolicy:
    """Return what to do about a run that somebody else holds. Raises InvalidSessionOperation for anything else."""
    for policy in get_args(BusyPolicy):
        if busy == policy:
            return cast("BusyPolicy", policy)
    raise InvalidSessionOperation(f"busy={shown(busy)} is unknown: take 'refuse', 'wait' or 'take_over'")


def _holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
