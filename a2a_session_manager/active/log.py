"""ActiveLog: the verbs that an open session and a run share. They read the events of other writers as well."""

from __future__ import annotations

from a2a_session_manager.active.appending import AppendingVerbs
from a2a_session_manager.active.changing import ChangingVerbs
from a2a_session_manager.active.reading import LogReadingVerbs
from a2a_session_manager.active.spending import SpendingVerbs


class ActiveLog(AppendingVerbs, LogReadingVerbs, ChangingVerbs, SpendingVerbs):
    """The verbs that an open session and a run share; the events of a run have its id as `task_id`.

    Every verb that writes takes an `id`, which becomes the event's, or a `write_id`, which names the commit. Calling it
    again with the same one changes nothing and returns the first result, so that a retry is always safe.
    """
