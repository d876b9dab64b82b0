"""ChangingVerbs: events that are hidden or shown again, state, properties and the title."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from a2a_session_manager.active.base import ActiveBase
from a2a_session_manager.active.titles import TitleBy, set_title
from a2a_session_manager.models import arguments
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session_event import SessionEvent


class ChangingVerbs(ActiveBase):
    """What is written but for new events. A retry with the same `write_id` changes nothing."""

    async def retract(
        self, *event_ids: str, last: int | None = None, after: int | None = None, write_id: str | None = None
    ) -> list[SessionEvent[Any]]:
        """Hide events from the conversation, and return those that this call hid, oldest first.

        Which ones is said in exactly one way: by `event_ids`, as the `last` ones that are visible now (1 is the
        newest), or as all with a seq above `after` (0 means all). A repeat of a `write_id` hides nothing more and
        returns what the first call hid. Raises InvalidSessionOperation when none or several ways are used, and for an
        id that was never appended.
        """
        return await self._writable.retract(self.session, *event_ids, last=last, after=after, write_id=write_id)

    async def restore(
        self, *event_ids: str, write_id: str | None = None, id: str | None = None
    ) -> list[SessionEvent[Any]]:
        """Show hidden events again in the conversation, and return those that this call restored, oldest first.

        Which ones is said in exactly one way: by `event_ids`, however they were hidden, or by the `write_id` that the
        retraction to undo was given. `id` is this call's own write id: a repeat restores nothing more and returns what
        the first call restored. What is visible again already stays so and is not returned.

        Raises InvalidSessionOperation, and restores nothing, when none or both ways are used; for an event id that was
        never appended or never hidden; for a write id that is not known or hid nothing; and for that of
        `retract(last=)`, which claims events: they come back by their ids alone.
        """
        return await self._writable.restore(self.session, *event_ids, write_id=write_id, id=id)

    async def set_state(
        self, values: Mapping[str, Any] | None = None, /, *, write_id: str | None = None, **keys: Any
    ) -> None:
        """Set keys of the state, given as `values` or as keyword arguments, each as a whole; other keys stay.

        A retry with the same `write_id` undoes nothing that others have set since. A key that is called `write_id` goes
        into `values`.
        """
        given = {} if values is None else arguments.values("values", values)
        change = SessionChange(set_state={**given, **keys})
        await self._writable.commit(self.session, change, write_id=write_id)

    async def unset_state(self, *keys: str, write_id: str | None = None) -> None:
        """Remove `keys` from the state; one that is not there is fine. A retry takes the same `write_id`."""
        await self._writable.commit(self.session, SessionChange(unset_state=keys), write_id=write_id)

    async def set_properties(
        self, values: Mapping[str, Any] | None = None, /, *, write_id: str | None = None, **keys: Any
    ) -> None:
        """Set properties of the session, given as `values` or as keyword arguments, each as a whole; other keys stay.

        A session does not count as active by it: its `updated_at` stays. A retry with the same `write_id` undoes
        nothing that others have set since. A key that is called `write_id` goes into `values`.
        """
        given = {} if values is None else arguments.values("values", values)
        change = SessionChange(set_properties={**given, **keys})
        await self._writable.commit(self.session, change, write_id=write_id)

    async def unset_properties(self, *keys: str, write_id: str | None = None) -> None:
        """Remove `keys` from the properties; one that is not there is fine. A retry takes the same `write_id`."""
        await self._writable.commit(self.session, SessionChange(unset_properties=keys), write_id=write_id)

    async def set_title(self, text: str, *, by: TitleBy = "user", write_id: str | None = None) -> bool:
        """Set the session's title, unless a stronger one is there; return whether it was set.

        The title is the property `title`, and who gave it is `title_by`. A title is as strong as who gave it: "auto" is
        weaker than "agent", and "agent" than "user", also among writers at the same time; of equals, the later one
        stays. A `title` that was set as a plain property counts as the user's. A session does not count as active by
        it.

        Args:
            text: the title; it may not be empty. `unset_properties("title", "title_by")` removes one.
            by: who gives it: "auto" for what was made of the conversation without being asked, "agent" for an agent's.
            write_id: names the commit, so that a retry undoes nothing that others have set since.

        Raises SessionConflict when others commit to the session all the time; nothing was set then. The user's title
        is always set.
        """
        return await set_title(self._writable, self.session, text, by=by, write_id=write_id)
