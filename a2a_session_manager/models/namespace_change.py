"""NamespaceChange: what follow_namespace yields."""

from __future__ import annotations

from typing import Literal, NamedTuple

from a2a_session_manager.models.session_head import SessionHead


class NamespaceChange(NamedTuple):
    """A session of a namespace came, changed or went.

    Attributes:
        kind: "came" for one that was not there before; "changed" for one that was, also when it has been deleted and
            created anew meanwhile; "gone" for one that was deleted or has expired.
        id: the session's id.
        head: what it is now, with all that happened since the last time; None when it is gone.
    """

    kind: Literal["came", "changed", "gone"]
    id: str
    head: SessionHead | None
