"""TrustedLog: what is left of a damaged session, up to where the damage begins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from a2a_session_manager.storage.read_records import HeadRecord, StoredEvent


@dataclass(slots=True)
class TrustedLog:
    """The session as it was before what is damaged now.

    Attributes:
        head: as after the last commit that can be trusted.
        read: returns own events after a seq, as many as it likes and one at least, while there are more up to the
            head's last one.
        lost: what is left out, for people; None where nothing is damaged.
    """

    head: HeadRecord
    read: Callable[[int], Awaitable[Sequence[StoredEvent]]]
    lost: str | None
