"""What was moved, and what could not be: the answers of the verbs that move sessions."""

from __future__ import annotations

from typing import Literal, NamedTuple

# "new": written now. "continued": an earlier call had begun it. "there": it was there as it is. "ahead": it has gone on
# since, where it is, and was left alone.
MoveStatus = Literal["new", "continued", "there", "ahead"]


class Loss(NamedTuple):
    """Something of a session that does not come along.

    Attributes:
        session_id: the session's id where it came from.
        code: what kind of thing: `parent`, `source`, `flattened`, `deleted_spend`, `budgets`, `unfinished` or `damage`.
        text: what it was, for people.
    """

    session_id: str
    code: str
    text: str


class MovedSession(NamedTuple):
    """One session of a move: its id where it came from and where it went, what was done, and how many events it has."""

    id: str
    new_id: str
    status: MoveStatus
    events: int


class MoveReport(NamedTuple):
    """What an import, a copy or a claim did, or with `dry_run` would do, session by session, parents first."""

    sessions: list[MovedSession]
    losses: list[Loss]
    dry_run: bool = False

    @property
    def events(self) -> int:
        """How many events these sessions have."""
        return sum(each.events for each in self.sessions)

    @property
    def written(self) -> int:
        """How many of the sessions were written, or would be."""
        return sum(each.status in ("new", "continued") for each in self.sessions)


class ExportReport(NamedTuple):
    """What a bundle holds: the ids of its sessions, parents first, how many events, and its digest.

    Attributes:
        sha256: of all lines before the last one, which says it.
        losses: what of the sessions is not in it.
    """

    session_ids: list[str]
    events: int
    sha256: str
    losses: list[Loss]
