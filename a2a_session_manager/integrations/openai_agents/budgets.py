"""BudgetHooks: room in the budgets for each model call of a run, settled by its usage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from agents import Agent, FunctionTool, ModelResponse

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import new_id
from a2a_session_manager.integrations.openai_agents.session import AgentsSession, UsageHooks
from a2a_session_manager.integrations.openai_agents.usage import model_of, usage_event
from a2a_session_manager.models.budget import PlacedHold
from a2a_session_manager.protocols import BudgetKeeper

if TYPE_CHECKING:
    from agents import RunContextWrapper, TResponseInputItem


class BudgetHooks(UsageHooks):
    """Asks the budgets of a session for room before each model call, and records its usage, which settles it.

    `async with BudgetHooks(session, max_output_tokens=2_000) as hooks:`, and in the block `Runner.run(agent, "Hello",
    session=session, hooks=hooks)`, or `Runner.run_streamed`, until its stream has ended. Where there is no room, the
    run ends with BudgetExceeded before the model is called. A call that fails after that may have been paid for: from
    the block's end on, it counts as estimated; without a block, once the hold expires. The definitions of the agent's
    own functions are counted with the prompt; those of MCP servers and hosted tools are not known here.

    Args:
        session: the session; its budgets and those above it are asked. It is created if it is not there.
        max_output_tokens: how much of an answer is held for, where the agent's settings have no `max_tokens`.
        model: as that of UsageHooks.
    """

    def __init__(self, session: AgentsSession, *, max_output_tokens: int, model: str | None = None) -> None:
        super().__init__(session, model=model)
        self._most = max_output_tokens
        self._open: dict[int, PlacedHold] = {}

    async def on_llm_start(
        self,
        context: RunContextWrapper[Any],
        agent: Agent[Any],
        system_prompt: str | None,
        input_items: list[TResponseInputItem],
    ) -> None:
        """Hold room for the call; the framework calls this. Raises BudgetExceeded."""
        await self._charge(id(agent))
        store, session = self._store, await self._session.ensure_created()
        instructions: Sequence[Mapping[str, Any]] = (
            [] if system_prompt is None else [{"role": "system", "content": system_prompt}]
        )
        estimate = await store.estimate(
            [*instructions, *(dict(item) for item in input_items)],
            model=self._model or model_of(agent) or "",
            max_output_tokens=agent.model_settings.max_tokens or self._most,
            tools=[_definition(tool) for tool in agent.tools if isinstance(tool, FunctionTool)],
        )
        placed = await store.place_hold(session, usd=estimate.usd, tokens=estimate.tokens)
        if placed.is_held:
            self._open[id(agent)] = placed

    async def on_llm_end(self, context: RunContextWrapper[Any], agent: Agent[Any], response: ModelResponse) -> None:
        """Append an event with the usage of `response`, which settles the hold; the framework calls this."""
        placed = self._open.pop(id(agent), None)
        is_told = bool(response.usage.input_tokens or response.usage.output_tokens)
        event_id = new_id() if placed is None or not is_told else placed.id
        await self._session._append([usage_event(response, agent, self._model, self._session._run_id, event_id)])
        if placed is None:
            return
        if not is_told:
            await self._store.charge_hold(self._session.session_id, placed.id)
        await self._store.note_crossings(self._session.session_id)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for name in [*self._open]:
            await self._charge(name)

    async def _charge(self, name: int) -> None:
        """Count a call as estimated of which nobody has heard any more."""
        placed = self._open.pop(name, None)
        if placed is not None:
            await self._store.charge_hold(self._session.session_id, placed.id)

    @property
    def _store(self) -> BudgetKeeper:
        store = self._session.store
        if not isinstance(store, BudgetKeeper):
            raise InvalidSessionOperation(f"{type(store).__name__} keeps no budgets: use UsageHooks, or another store")
        return store


def _definition(tool: FunctionTool) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.params_json_schema,
        "strict": tool.strict_json_schema,
    }
