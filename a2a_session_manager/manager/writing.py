"""WritingVerbs: what changes a session that is there."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from a2a_session_manager.active.titles import TitleBy, set_title
from a2a_session_manager.context.tail import newest
from a2a_session_manager.exceptions import SessionConflict
from a2a_session_manager.manager.base import ManagerBase
from a2a_session_manager.models import arguments
from a2a_session_manager.models.change import CommitResult, SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.protocols import ChildPolicy, RepeatPolicy

SessionEdit = Callable[[Session[Any]], Awaitable[None] | None]

EDIT_TRIES = 8
_FIRST_PAUSE_SECONDS = 0.005


class WritingVerbs(ManagerBase):
    """Commits of any kind, each in one atomic step, and the deletion of a session."""

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
        return await self._store.append(session, *events, expected_revision=expected_revision, on_repeat=on_repeat)

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

        With `expected_revision`, raises SessionConflict when the session has another revision by then. A `write_id`
        that was committed before changes nothing and returns the first result. `on_repeat` is that of `append`.
        """
        return await self._store.commit(
            session, change, expected_revision=expected_revision, write_id=write_id, on_repeat=on_repeat
        )

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        """Commit what changed in `session` since it was read, or create it; see SessionStore.save.

        With `expected_revision`, usually `session.revision`, raises SessionConflict when the session has another one by
        then.
        """
        await self._store.save(session, expected_revision=expected_revision)

    async def edit(self, id: str, change: SessionEdit, *, last: int | None = 0) -> Session[Any]:
        """Read the session, call `change(session)`, and save what it changed; return what was saved.

        `change` is a plain or an async function. When somebody else commits meanwhile, it is called again on a fresh
        read, up to 8 times in all; then SessionConflict is raised. The read loads the newest `last` events, none unless
        asked for. After StoreUnavailable the change may have been saved: edit again only if it may be made twice.
        """
        for attempt in range(1, EDIT_TRIES):
            try:
                return await self._edit_once(id, change, last)
            except SessionConflict:
                await asyncio.sleep(random.uniform(0, _FIRST_PAUSE_SECONDS * 2**attempt))
        return await self._edit_once(id, change, last)

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
        a seq above `after`. A repeat of a `write_id` hides nothing more and returns what the first call hid. Raises
        InvalidSessionOperation when none or several ways are used, and for an id that was never appended.
        """
        return await self._store.retract(session, *event_ids, last=last, after=after, write_id=write_id)

    async def restore(
        self, session: Session[Any] | str, *event_ids: str, write_id: str | None = None, id: str | None = None
    ) -> list[SessionEvent[Any]]:
        """Show hidden events again in the default view, and return those that this call restored, oldest first.

        Which ones is said in exactly one way: by `event_ids`, or by the `write_id` of the retraction to undo. `id` is
        this call's own write id, which makes it repeatable. Raises InvalidSessionOperation for what was never hidden,
        is unknown, or was claimed by `retract(last=)` and so comes back by id alone; see SessionStore.restore.
        """
        return await self._store.restore(session, *event_ids, write_id=write_id, id=id)

    async def set_properties(
        self,
        session: Session[Any] | str,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        write_id: str | None = None,
        **keys: Any,
    ) -> None:
        """Set properties, given as `values` or as keyword arguments, each as a whole; other keys stay.

        A session does not count as active by it: its `updated_at` stays. A retry with the same `write_id` undoes
        nothing that others have set since. A key that is called `write_id` goes into `values`.
        """
        given = {} if values is None else arguments.values("values", values)
        await self._store.commit(session, SessionChange(set_properties={**given, **keys}), write_id=write_id)

    async def unset_properties(self, session: Session[Any] | str, *keys: str, write_id: str | None = None) -> None:
        """Remove `keys` from the properties; one that is not there is fine. A retry takes the same `write_id`."""
        await self._store.commit(session, SessionChange(unset_properties=keys), write_id=write_id)

    async def set_title(
        self, session: Session[Any] | str, text: str, *, by: TitleBy = "user", write_id: str | None = None
    ) -> bool:
        """Set the title to `text`, unless a stronger one is there; return whether it was set.

        A title is as strong as who gives it, which `by` says: "auto" is weaker than "agent", and "agent" than "user".
        A retry with the same `write_id` undoes nothing that others have set since. See ActiveSession.set_title.
        """
        return await set_title(self._store, session, text, by=by, write_id=write_id)

    async def delete(
        self,
        session: Session[Any] | str,
        *,
        children: ChildPolicy = "refuse",
        expected_revision: int | None = None,
    ) -> None:
        """Delete the session for good. When there is none, nothing happens.

        `children` decides about a session that has any: "refuse" raises InvalidSessionOperation, "cascade" deletes all
        below it in the same step. With `expected_revision`, raises SessionConflict and deletes nothing when the session
        itself has another revision by then; those below it are not guarded.
        """
        await self._store.delete(session, children=children, expected_revision=expected_revision)

    async def _edit_once(self, id: str, change: SessionEdit, last: int | None) -> Session[Any]:
        session = await newest(self._store, id, last=last)
        outcome = change(session)
        if inspect.isawaitable(outcome):
            await outcome
        await self._store.save(session, expected_revision=session.revision)
        return session
