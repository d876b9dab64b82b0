"""CompactingAgentsSession: the openai-agents session that the framework lets compact itself after each turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from a2a_session_manager.context.compacting import PolicyCompactor
from a2a_session_manager.context.compaction import CompactionRequest, NothingToGainError, compact_session
from a2a_session_manager.context.compaction_policy import CompactionPolicy
from a2a_session_manager.context.summaries import Summarizer, Summary
from a2a_session_manager.context.tail import newest
from a2a_session_manager.context.view import MessageView
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound
from a2a_session_manager.integrations.openai_agents.session import AgentsSession
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.session_event import SessionEvent

if TYPE_CHECKING:
    from agents import SessionSettings
    from agents.memory import OpenAIResponsesCompactionArgs
    from openai import AsyncOpenAI

# As many as the framework's own compaction lets gather.
_ITEMS: Final = 10


class CompactingAgentsSession(AgentsSession):
    """An AgentsSession that the framework lets compact itself after each turn (OpenAIResponsesCompactionAwareSession).

    A compaction is that of `chat.compact`: `get_items` gives the summary in the place of what it stands for, and our
    log keeps all. Items that are added meanwhile stay, and a tool's call is never parted from its result.

    Args:
        session_id, sessions, run_id, session_settings: see AgentsSession.
        summarize: makes the summary; `responses_compaction` lets OpenAI do it.
        policy: when it is due, by the usage that was recorded. Without one, it is as soon as there are `items` items
            that are neither the user's nor a compaction.
    """

    def __init__(
        self,
        session_id: str,
        sessions: SessionManager,
        *,
        summarize: Summarizer,
        policy: CompactionPolicy | None = None,
        items: int = _ITEMS,
        run_id: str | None = None,
        session_settings: SessionSettings | None = None,
    ) -> None:
        super().__init__(session_id, sessions, run_id=run_id, session_settings=session_settings)
        if not callable(summarize):
            raise InvalidSessionOperation(f"summarize={summarize!r} is no function: pass one that takes messages")
        self._summarize = summarize
        self._policy = policy
        self._items = items
        self._compactor = PolicyCompactor()

    async def branch(self, **where: Any) -> Self:
        """Return a session that goes on from a point of this one, and compacts itself likewise.

        `where` are the parameters of AgentsSession.branch.
        """
        branch = await super().branch(**where)
        branch._compactor = PolicyCompactor()
        return branch

    async def run_compaction(self, args: OpenAIResponsesCompactionArgs | None = None) -> None:
        """Compact if it is due, or when `args` has `force`; the framework calls this after each turn.

        Does nothing when nothing is to be gained. Raises what `ActiveSession.compact` does.
        """
        self._check_open()
        await self.compact(force=bool(args and args.get("force")))

    async def compact(self, *, force: bool = False) -> SessionEvent[Any] | None:
        """Compact if it is due, or with `force` in any case, and return the summary's event; None for none."""
        store = self._sessions.store
        try:
            session = await newest(store, self.session_id, last=0)
        except SessionNotFound:
            return None
        if not force and self._policy is not None:
            return await self._compactor.compact_if_due(store, session, self._policy, self._summarize, "responses")
        if not force and not await self._has_gathered():
            return None
        keep = 0 if self._policy is None else self._policy.kept
        try:
            return await compact_session(store, session, CompactionRequest(self._summarize, keep, "responses"))
        except NothingToGainError:
            return None

    async def _has_gathered(self) -> bool:
        items = await self._newest(None, compacted=True)
        others = [
            each
            for each in items.messages
            if each.get("role") != "user" and not str(each.get("type")).startswith("compaction")
        ]
        return len(others) >= self._items


def responses_compaction(client: AsyncOpenAI, model: str) -> Summarizer:
    """Return a summariser that lets OpenAI compact, by `client.responses.compact` and the `model` of this name.

    What comes back is stored as it came; only OpenAI can read it, and views in another format leave it out.
    """

    async def summarize(view: MessageView) -> Summary:
        items: Any = list(view)
        reply = await client.responses.compact(model=model, input=items)
        return Summary(list(reply.output), usage=reply.usage, model=model, method="responses.compact")

    return summarize
