"""Target: which session a verb means, and where it is."""

from __future__ import annotations

from functools import partial
from typing import Final, NamedTuple

from a2a_session_manager.budgets.settling import Settlement
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.models.lease import LeaseClaim
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.records import SessionKey


class Target(NamedTuple):
    """A session in a backend; `creation_id` names the incarnation that is meant, None takes whichever is there.

    `lease` is what each write claims of the lease of the run that it is of, `settles` the hold that it ends.
    """

    backend: Backend
    key: SessionKey
    limits: StoreLimits
    creation_id: str | None = None
    lease: LeaseClaim | None = None
    settles: Settlement | None = None


# A target of all its fields in their order, which takes half the time of the class itself.
target_of: Final = partial(tuple.__new__, Target)
