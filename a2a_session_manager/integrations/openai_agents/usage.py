"""The usage of a model response of openai-agents, as an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import Agent, ModelResponse

from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.usage.recorded import missing_usage, recorded_usage

if TYPE_CHECKING:
    from agents import RunErrorDetails
    from agents.result import RunResultBase


def usage_event(
    response: ModelResponse, agent: Agent[Any], model: str | None, run_id: str | None, id: str
) -> SessionEvent[Any]:
    """Return the event with the usage of a response, be it that none was reported; `model` wins over the agent's."""
    named = model or model_of(agent)
    response_id = response.response_id
    # The framework puts 0 where the provider reported nothing.
    has_usage = response.usage.input_tokens or response.usage.output_tokens
    metadata = {"agent": agent.name, "response_id": response_id}
    return SessionEvent(
        id=id,
        source=EventSource.LLM,
        type="model_response",
        task_id=run_id,
        metadata={name: value for name, value in metadata.items() if value is not None},
        token_usage=(
            recorded_usage(response, model=named, response_id=response_id)
            if has_usage
            else missing_usage(named or "", response_id=response_id)
        ),
    )


def agent_of(response: ModelResponse, result: RunResultBase | RunErrorDetails) -> Agent[Any]:
    """Return the agent of a run that got a response."""
    for item in result.new_items:
        if any(item.raw_item is output for output in response.output):
            return item.agent
    return result.last_agent


def model_of(agent: Agent[Any]) -> str | None:
    """Return the name of the agent's model; None when the framework chooses the model."""
    model = agent.model if isinstance(agent.model, str) else getattr(agent.model, "model", None)
    return model if isinstance(model, str) else None
