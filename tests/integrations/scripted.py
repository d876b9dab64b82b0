"""A model with scripted answers, which needs no network and no key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

from agents import Agent, Model, ModelResponse, Usage, set_tracing_disabled
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputItem,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseStreamEvent,
    ResponseUsage,
)
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

set_tracing_disabled(True)  # traces would go to a server

Turn = list[ResponseOutputItem] | BaseException


def says(text: str, id: str = "msg_1") -> ResponseOutputItem:
    content = ResponseOutputText(annotations=[], text=text, type="output_text", logprobs=[])
    return ResponseOutputMessage(id=id, content=[content], role="assistant", status="completed", type="message")


def calls(name: str, arguments: str = "{}", call_id: str = "call_1") -> ResponseOutputItem:
    return ResponseFunctionToolCall(
        id=f"fc_{call_id}", call_id=call_id, name=name, arguments=arguments, type="function_call"
    )


class ScriptedModel(Model):
    """Answers with its turns one after the other; an exception among them is raised."""

    model = "gpt-4o"

    def __init__(self, turns: Sequence[Turn], streamed_id: str | None = None) -> None:
        self.turns = list(turns)
        self.streamed_id = streamed_id
        self.inputs: list[Any] = []

    async def get_response(self, system_instructions: str | None, input: Any, *args: Any, **more: Any) -> ModelResponse:
        output = self._next(input)
        usage = Usage(requests=1, input_tokens=100, output_tokens=10, total_tokens=110)
        # No two responses have one id, as at a provider: each counts once.
        return ModelResponse(output=output, usage=usage, response_id=f"resp_{uuid4().hex}")

    async def stream_response(
        self, system_instructions: str | None, input: Any, *args: Any, **more: Any
    ) -> AsyncIterator[ResponseStreamEvent]:
        output = self._next(input)
        usage = ResponseUsage(
            input_tokens=100,
            output_tokens=10,
            total_tokens=110,
            input_tokens_details=InputTokensDetails.model_validate({"cached_tokens": 0, "cache_write_tokens": 0}),
            output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
        )
        response = Response(
            id=self.streamed_id or f"resp_{uuid4().hex}",
            created_at=0,
            model=self.model,
            object="response",
            output=output,
            tool_choice="auto",
            tools=[],
            parallel_tool_calls=False,
            usage=usage,
        )
        yield ResponseCompletedEvent(response=response, sequence_number=0, type="response.completed")

    def _next(self, input: Any) -> list[ResponseOutputItem]:
        self.inputs.append(input if isinstance(input, str) else list(input))
        turn = self.turns.pop(0)
        if isinstance(turn, BaseException):
            raise turn
        return turn


def agent(*turns: Turn, **fields: Any) -> Agent[Any]:
    """Return an agent whose model says `turns`."""
    return Agent(**{"name": "planner", "model": ScriptedModel(turns), **fields})
