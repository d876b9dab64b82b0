"""WritableStore: what a store promises of writing, each time in one atomic step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from a2a_session_manager.models.change import CommitResult, SessionChange
from a2a_session_manager.models.event_message import MessageTail
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent

ChildPolicy = Literal["refuse", "cascade"]
# What is done about an event whose id is stored already with other content: InvalidEvent is raised, or what is stored
# stays.
RepeatPolicy = Literal["refuse", "keep"]


class ForkEnding(Protocol):
    """Makes, of the newest visible messages up to the event where a fork begins, the events that it has as its own
    first ones, such as results for open calls; it may raise instead.

    `marks` are bytes: a message whose JSON has none of them is nothing to it. Where none of the messages has any, it is
    not asked.
    """

    @property
    def marks(self) -> Sequence[bytes]: ...

    def __call__(self, tail: MessageTail) -> Sequence[SessionEvent[Any]] | None:
        """Return the events; None asks for more messages than these."""
        ...


class WritableStore(Protocol):
    """Writes sessions, and deletes them. SessionStore says what the parameters and errors of all verbs mean."""

    async def create(
        self,
        id: str | None = None,
        *,
        parent_id: Session[Any] | str | None = None,
        change: SessionChange | None = None,
        write_id: str | None = None,
        expires: bool = True,
    ) -> Session[Any]:
        """Create a session and commit `change` to it, in one step; return it, with the events of `change`.

        `id=None` makes a random one. `parent_id` puts the session below another one of the same namespace, for good.
        `write_id` needs an `id`: creating again with both returns what the first call created. With `expires=False`,
        the session stays until it is deleted, though others of the store expire; those that are made below it expire,
        unless that is said of them, too.

        Raises SessionAlreadyExists when the id is taken, SessionNotFound when there is no such parent, and
        InvalidSessionOperation when the parent is 256 levels deep already, and for `expires=False` below a parent that
        expires.
        """

    async def fork(
        self,
        session: Session[Any] | str,
        *,
        at: int | str | None = None,
        new_id: str | None = None,
        properties: Mapping[str, Any] | None = None,
        ending: ForkEnding | None = None,
        detached: bool = False,
    ) -> Session[Any]:
        """Create a session that goes on from an event of this one, and return its head; nothing is copied but that.

        The fork shows the events up to `at`, with their ids and seqs, and its own from `at + 1` on. What is hidden, the
        compactions, state and properties are those of the source when it is forked; what either does later, the other
        never shows. Runs, write ids and what was spent stay with the source: the fork's usage begins at 0. Its
        `forked_from` tells where it begins.

        It hangs in the tree below the session that has stored the event `at`: this one or, where this is a fork itself,
        perhaps the one that it comes from. There `forks` lists it, and `children` does not. What the fork spends counts
        for the tree, and what is above it is not deleted without it.

        Args:
            at: the seq or the id of a visible event. None means the newest one.
            new_id: the id of the fork; None makes a random one. Forking again with it, at the same point, returns the
                fork that the first call made.
            properties: those that the fork has beside the source's, or in their place.
            ending: makes the events that the fork begins with. What is said does not matter to a store: without it, a
                fork may begin inside an exchange, which SessionManager.fork refuses.
            detached: copy the events up to `at` into a new root, hidden ones too, instead of naming them: it has no
                `forked_from`, and stays when the source is deleted. What they used was spent in the source, and counts
                nowhere else. The events are copied in batches; until all are, `whole` is false in the property
                `copied_from`, and forking again with the same `new_id` goes on with what is missing. A summary without
                a range stands in its own place in the copy.

        Raises InvalidSessionOperation for an event that is not there or hidden, and for a fork that would be deeper
        than 256 levels; SessionAlreadyExists when `new_id` is taken by another session, or a fork of another point.
        """

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        """Commit what changed in `session` since it was read, or create it; then it is in step with the store.

        A session that was made by hand is created, as is one that was read from other data. One that was read through
        another store object over the same data is the same session. With `expected_revision`, the save is refused
        when the session has another revision by then; usually that is `session.revision`.

        Raises SessionAlreadyExists when a session made by hand has an id that is taken, SessionNotFound when the
        stored one was deleted since it was read or when the parent is missing, SessionConflict for a late
        `expected_revision`, and InvalidSessionOperation when stored events were removed, moved or replaced.
        """

    async def commit(
        self,
        session: Session[Any] | str,
        change: SessionChange,
        *,
        expected_revision: int | None = None,
        write_id: str | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> CommitResult:
        """Commit `change` as one atomic step, and return what it did.

        Without `expected_revision` it never conflicts with other writers. With it, raises SessionConflict, which
        brings the events that were missed, when the session has another revision by then. A `write_id` that was
        committed before changes nothing and returns the first result. `on_repeat` decides about an event whose id is
        stored already with other content: "refuse" raises InvalidEvent, "keep" returns the stored one.
        """

    async def append(
        self,
        session: Session[Any] | str,
        *events: SessionEvent[Any],
        expected_revision: int | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> list[SessionEvent[Any]]:
        """Append events in one commit, and return them in the same order as they are stored, each with its `seq`.

        The cost does not grow with the session. With `expected_revision`, raises SessionConflict when the session has
        another revision by then. `on_repeat` decides about an event whose id is stored already with other content:
        "refuse" raises InvalidEvent, "keep" returns the stored one.
        """

    async def retract(
        self,
        session: Session[Any] | str,
        *event_ids: str,
        last: int | None = None,
        after: int | None = None,
        write_id: str | None = None,
    ) -> list[SessionEvent[Any]]:
        """Hide events from the default view, and return those that this call hid, oldest first.

        Which ones is said in exactly one way: by `event_ids`, as the `last` ones that are visible now, or as all with
        a seq above `after`. An event that is hidden already stays so and is not returned. A repeat of a `write_id`
        hides nothing more and returns what the first call hid. The log, its numbering and the usage stay.

        Raises InvalidSessionOperation when none or several ways are used, and for an id that was never appended.
        """

    async def restore(
        self, session: Session[Any] | str, *event_ids: str, write_id: str | None = None, id: str | None = None
    ) -> list[SessionEvent[Any]]:
        """Show hidden events again in the default view, and return those that this call restored, oldest first.

        Which ones is said in exactly one way. `event_ids` name them, however they were hidden. `write_id` is that of
        the retraction to undo: all that it hid comes back, but for what was restored since, and perhaps hidden by
        another. An event that is visible again already stays so and is not returned. Seqs, the usage and the first
        results of retries stay; the events stand where they stood.

        `id` is this call's own write id: a repeat restores nothing more and returns what the first call restored.
        Without one, a retry after a lost reply restores nothing twice either, and returns what is left to restore.

        Raises InvalidSessionOperation, and restores nothing, when none or both ways are used; for an event id that was
        never appended or never hidden; for a write id that is not known or hid nothing; and for that of
        `retract(last=)`, which claims events: whoever has them may have used them, and they come back by id alone.
        """

    async def delete(
        self,
        session: Session[Any] | str,
        *,
        children: ChildPolicy = "refuse",
        expected_revision: int | None = None,
    ) -> None:
        """Delete the session for good. When there is none, nothing happens.

        `children` decides about a session that has any, or forks: "refuse" raises InvalidSessionOperation, "cascade"
        deletes all below it in the same step. With `expected_revision`, raises SessionConflict and deletes nothing when
        the session itself has another revision by then; those below it are not guarded.
        """
