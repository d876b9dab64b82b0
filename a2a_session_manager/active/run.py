"""RunVerbs: what a run is asked for that a session is not: its record, its own messages, and its moves."""

from __future__ import annotations

from a2a_session_manager.active.base import ActiveBase
from a2a_session_manager.active.run_keeper import RunKeeper
from a2a_session_manager.context.conversion import MessageFormat
from a2a_session_manager.context.reading import conversation
from a2a_session_manager.context.view import MessageView
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.models.token_tally import NOTHING_SPENT, TokenTally


class RunVerbs(ActiveBase):
    """What the run knows of itself."""

    _keeper: RunKeeper

    @property
    def id(self) -> str:
        """The run's id."""
        return self.record.id

    @property
    def record(self) -> SessionRun:
        """The run as it is known here; changes that you make to it are written when the block ends."""
        return self._keeper.record

    @property
    def status(self) -> RunStatus:
        """The run's status as it is known here."""
        return self.record.status

    async def messages(self, *, format: MessageFormat | None = None, repair: bool = True) -> MessageView:
        """Return what was said in this run, oldest first; that of the whole session is `chat.messages()`.

        No summary takes the place of any of it. `format` converts what is stored in another shape, and `repair=False`
        returns the log as it is; both are those of ActiveSession.messages.
        """
        return await conversation(self._store, self.session, format=format, repair=repair, run_id=self.id)

    async def usage(self) -> TokenTally:
        """Return the tokens and the cost of this run; those of the session are in `chat.usage()`."""
        return (await self._store.usage(self.session)).by_run.get(self.id, NOTHING_SPENT)

    async def mark_waiting(self) -> None:
        """Record that the run waits for input from outside, and hold it no more.

        When the block ends like this, the run stays waiting, and `run(id=…)` resumes it: of several that do so at once,
        one. Raises InvalidSessionOperation when the run has ended.
        """
        self.check_open()
        await self._keeper.wait()

    async def mark_running(self) -> None:
        """Record that the run continues after waiting, and hold it again.

        Raises InvalidSessionOperation when the run has ended, and RunBusy when somebody else has resumed it.
        """
        self.check_open()
        await self._keeper.go_on()
