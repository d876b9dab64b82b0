"""ConversationVerbs: the verbs of an open session that give, check and shorten what goes to a model."""

from __future__ import annotations

from typing import Any

from a2a_session_manager.active.base import ActiveBase
from a2a_session_manager.context.compacting import PolicyCompactor
from a2a_session_manager.context.compaction import CompactionRequest, compact_session, expanded
from a2a_session_manager.context.compaction_policy import CompactionPolicy
from a2a_session_manager.context.conversion import MessageFormat
from a2a_session_manager.context.findings import Finding
from a2a_session_manager.context.reading import conversation
from a2a_session_manager.context.repair import OpenToolCall, findings_of, open_calls_of, repaired
from a2a_session_manager.context.summaries import Summarizer
from a2a_session_manager.context.view import MessageView
from a2a_session_manager.context.window import message_window
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.tokens.counting import TokenCounter


class ConversationVerbs(ActiveBase):
    """The verbs of an open session that make views of it."""

    _compactor: PolicyCompactor | None = None

    async def messages(
        self,
        *,
        max_tokens: int | None = None,
        model: str | None = None,
        format: MessageFormat | None = None,
        repair: bool = True,
        compacted: bool = True,
    ) -> MessageView:
        """Return the visible conversation as messages that a model may be given, oldest first.

        Each call has its results right after it, a call without a result one that says so, and empty or repeated
        messages are left out; the view's `report` says what was done. The log stays as it is.

        Args:
            max_tokens: return only the newest part, which takes at most so many tokens; see `window`, which also says
                how many were left out.
            model: the name of the model whose tokens are counted.
            format: "openai", "anthropic", "gemini" or "responses" converts what is stored in another shape, and reports
                what the format cannot hold. None returns messages as they were given.
            repair: False returns the log as it is, in its order; it cannot be cut to a budget.
            compacted: False returns what was said in place of the summary that stands for it; see `compact`.

        Raises InvalidSessionOperation for an unknown format, and when the budget is smaller than what has to be in it.
        """
        if max_tokens is None:
            return await conversation(self._store, self.session, format=format, repair=repair, compacted=compacted)
        if not repair:
            raise InvalidSessionOperation("repair=False is the whole log: leave out max_tokens, or repair=False")
        newest = await message_window(
            self._store, self.session, max_tokens=max_tokens, model=model, format=format, compacted=compacted
        )
        return newest.messages

    async def open_calls(self) -> list[OpenToolCall]:
        """Return the tool calls that have no result yet, in the order in which they were made."""
        return await open_calls_of(self._store, self.session)

    async def check(self) -> list[Finding]:
        """Return what a model would not be given as it is stored, and more that is not as it looks; see the README.

        That is: runs that have not ended, and responses whose usage came several times, and was counted once.
        Nothing is written. An empty list says that the conversation is sound.
        """
        return await findings_of(self._store, self.session.id)

    async def repair(self) -> list[SessionEvent[Any]]:
        """Append a result that says "interrupted" to each open call, as views show it, and return these events.

        A result that comes later takes its place in views. Doing it twice changes nothing.
        """
        return await repaired(self._writable, self.session)

    async def compact(
        self,
        summarize: Summarizer,
        *,
        keep: int = 0,
        format: MessageFormat | None = None,
        budget: int | None = None,
        max_tokens: int | None = None,
        minimum_gain: int = 1,
        model: str | None = None,
        counter: TokenCounter | None = None,
        id: str | None = None,
    ) -> SessionEvent[Any]:
        """Let a summary take the place of what was said, in views, and return its event; the log stays as it is.

        It stands for whole exchanges that are over. What the system says, calls without a result, the newest exchange
        of a run that has not ended, and a question that is being worked on stay as they are. What others write
        meanwhile comes after it. `messages(compacted=False)` and `expand` give what was said, and `retract(event.id)`
        undoes it, as does any retraction or restoration of what it stands for.

        Args:
            summarize: gets what was said as messages, a MessageView, and returns the summary, or an awaitable of it: a
                text, a message, several, a client's whole reply, or a Summary of these with a usage. What a provider
                has compacted for itself alone is kept as it came, and left out in other formats.
            keep: the newest turns stay that together take at most so many tokens; of a turn that alone takes more, the
                newest exchanges, with what the user asked.
            format: the messages for `summarize` are converted to it; see `messages`.
            budget: what is given to `summarize` takes at most so many tokens. It is what was said; where that takes
                more, the summary so far with what came since; where that does, too, only the beginning.
            max_tokens: a summary that takes more is refused.
            minimum_gain: one that spares fewer tokens is refused.
            model: the name of the model whose tokens are counted. Without it, counts are estimates.
            counter: counts the tokens in place of the library's own TiktokenCounter.
            id: of the summary's event. A repeated call with it returns that event, and does not summarise again.

        Raises InvalidSessionOperation, with nothing written, when there is nothing to be gained, and for a summary that
        says nothing, or takes as much as what it stands for; SessionConflict when events that it stands for are
        retracted or restored each time while they are summarised; and whatever `summarize` raises.
        """
        request = CompactionRequest(
            summarize, keep, format, budget, max_tokens, minimum_gain, model=model, counter=counter, id=id
        )
        return await compact_session(self._writable, self.session, request)

    async def maybe_compact(
        self, policy: CompactionPolicy, summarize: Summarizer, *, format: MessageFormat | None = None
    ) -> SessionEvent[Any] | None:
        """Compact when `policy` says that it is time, and return the summary's event; None when it is not.

        It goes by the context size that the newest request since the last compaction has reported; a usage that was not
        reported says nothing. `summarize` gets what was said as messages, converted to `format`, and returns the
        summary, as in `compact`; what else that takes is in the policy. While another one is under way on this handle,
        and for a while after a try that came to nothing, it returns None. Where nothing is to be gained it does, too;
        otherwise it raises what `compact` does.
        """
        if self._compactor is None:
            self._compactor = PolicyCompactor()
        return await self._compactor.compact_if_due(self._writable, self.session, policy, summarize, format)

    async def expand(self, first: int, last: int, *, format: MessageFormat | None = None) -> MessageView:
        """Return what was said in the visible events from seq `first` to `last`, in their order and as it is stored.

        So people, and a model by a tool, see again what a summary stands for; the event of a summary has the seqs under
        "compaction" in its metadata. `format` is that of `messages`.
        """
        return await expanded(self._store, self.session, first, last, format)
