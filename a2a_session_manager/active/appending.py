"""AppendingVerbs: what is said, by whom, and what tools answer; each is an event at the end of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.active.base import ActiveBase
from a2a_session_manager.active.holds import OPEN_HOLDS, open_hold, tells_usage
from a2a_session_manager.active.new_events import check_single, new_events
from a2a_session_manager.active.tool_use import ToolUse
from a2a_session_manager.context.messages import event_from_message, source_of
from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.models import arguments
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_usage import UNKNOWN, TokenUsage
from a2a_session_manager.protocols import RepeatPolicy
from a2a_session_manager.shapes.client_objects import plain_parts
from a2a_session_manager.usage.recorded import missing_usage, recorded_usage

_NO_RESULT: Any = object()
_SOURCES: Final = {role: source_of(role) for role in ("user", "system", "assistant")}


class AppendingVerbs(ActiveBase):
    """What is new. A retry with the same `id` appends nothing more, and returns the event that is stored."""

    async def user(
        self,
        content: Any,
        *,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        id: str | None = None,
    ) -> SessionEvent[Any]:
        """Append a user's message.

        Args:
            content: a text, or a list of content parts.
            name: tells users of one conversation apart; it is sent to the model.
            metadata: of the event; no model is given it.
            extra: further keys of the chat message, which are sent to the model. `role` and `content` are refused.
            id: the event's.
        """
        return await self._say("user", content, {} if name is None else {"name": name}, extra, id, metadata=metadata)

    async def system(
        self,
        content: Any,
        *,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        id: str | None = None,
    ) -> SessionEvent[Any]:
        """Append a system message.

        `content` is a text, or a list of content parts. `name`, `metadata`, `extra` and the event's `id` are what they
        are in `user`.
        """
        return await self._say("system", content, {} if name is None else {"name": name}, extra, id, metadata=metadata)

    async def assistant(
        self,
        content: Any = None,
        *,
        model: str | None = None,
        usage: object = None,
        provider: str | None = None,
        service_tier: str | None = None,
        batch: bool = False,
        response_id: str | None = None,
        tool_calls: Sequence[object] | None = None,
        refusal: str | None = None,
        reasoning_content: str | None = None,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        id: str | None = None,
    ) -> SessionEvent[Any]:
        """Append a model's answer.

        Args:
            content: a text, or a list of content parts; None for an answer of tool calls alone.
            model: the name of the model that answered; a usage is priced and summed under it. Without a usage, the
                request counts in `requests_without_usage`.
            usage: what the request used: a TokenUsage, a mapping of its fields, or a provider's usage object as it is.
                One that is empty or not understood is kept in the `details` of a TokenUsage with the `basis`
                "unknown", so that the answer is not lost. Raises InvalidEvent for what is no such object, such as text.
            provider: who served the model, where that changes what a usage means; see `usage_from`.
            service_tier: what was asked for, such as "flex". What the usage says was served goes before it.
            batch: True where the request was one of a batch, which costs half of the price at most providers.
            response_id: the provider's id of the response, such as `reply.id`, where the usage does not say it. The
                session counts each response once, however often it is recorded; see TokenUsage.
            tool_calls: the calls in OpenAI's chat format, or as its client returns them; `append` takes others.
            refusal: what the model says in place of an answer that it refuses.
            reasoning_content: what the model thought, for models that want it back, such as DeepSeek's.
            name: of the participant, where several agents talk.
            metadata: of the event; no model is given it.
            extra: further keys of the chat message, which are sent to the model.
            id: the event's.
        """
        about: dict[str, Any] = {"metadata": metadata}
        if usage is not None:
            about["token_usage"] = recorded_usage(
                usage, model=model, provider=provider, service_tier=service_tier, batch=batch, response_id=response_id
            )
        elif model is not None or response_id:
            about["token_usage"] = missing_usage(model or "", provider, response_id)
            if model is not None:
                known_metadata = {} if metadata is None else arguments.values("metadata", metadata)
                about["metadata"] = {"model": model, **known_metadata}
        known = {
            "name": name,
            "tool_calls": None if tool_calls is None else list(arguments.items("tool_calls", tool_calls)),
            "refusal": refusal,
            "reasoning_content": reasoning_content,
        }
        return await self._say("assistant", content, known, extra, id, **about)

    async def tool(
        self,
        name: str,
        args: Mapping[str, Any] | str | None = None,
        *,
        result: Any = _NO_RESULT,
        call_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        id: str | None = None,
    ) -> list[SessionEvent[Any]]:
        """Append a tool call and its result in one commit, and return their events.

        Args:
            name: the tool's.
            args: the arguments; what is no text is stored as JSON text.
            result: likewise, but for a list of content parts, such as texts and pictures, which stays one. Without it,
                the call alone is appended.
            call_id: the provider's id of the call. While a call of this id is open, which means recorded without a
                result, and in the same run, the result alone is appended, in the format of its call. It is looked for
                among the latest 50 events, and in the whole conversation when `args` are left out; with other `args`
                than these, it is another call, as local servers number theirs from 0 each time. Without a `call_id`,
                one is derived from `id`, or else random.
            metadata: of both events; no model is given it.
            id: becomes the id of the call's event; the result's is `id` + ":result".
        """
        use = ToolUse(self._writable, self.session, self._run_id, name, args, call_id, metadata, id)
        return await (use.append() if result is _NO_RESULT else use.append_result(result))

    async def append(
        self,
        *items: object,
        id: str | None = None,
        expected_revision: int | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> list[SessionEvent[Any]]:
        """Append `items`, which are events or chat messages, in one commit.

        A chat message is a mapping of any known shape, or a message object of the clients of OpenAI, Anthropic, Google,
        LangChain, pydantic-ai, A2A and AG-UI. A record of another program's file, such as a line of a fine-tuning
        file or of Claude Code's log, is appended as the messages in it, at once.

        Returns the events in the same order as they are stored, each with its `seq`. `id` becomes the event's, and is
        allowed for a single item only; of a record's second message it becomes `id` + ":2", and so on. A message of an
        assistant that is a provider's whole reply, with its `usage` in it, counts as its request. `on_repeat` decides
        about an id that is stored already with other content: "refuse" raises InvalidEvent, "keep" returns the stored
        event. With `expected_revision`, raises SessionConflict when the session has another revision by then.
        Raises InvalidEvent for what cannot be stored.
        """
        check_single(items, id)
        self._check_may_append()
        events = new_events(items, id, self._run_id)
        return await self._append(events, expected_revision=expected_revision, on_repeat=on_repeat)

    async def append_late(self, *items: object, id: str | None = None) -> list[SessionEvent[Any]]:
        """Append like `append`, and also through a run whose block has ended, for what a model said meanwhile.

        `items` and `id` are those of `append`.
        """
        check_single(items, id)
        return await self._store.append(self.session, *new_events(items, id, self._run_id))

    async def _say(
        self,
        role: str,
        content: Any,
        known: Mapping[str, Any],
        extra: Mapping[str, Any] | None,
        id: str | None,
        *,
        metadata: Mapping[str, Any] | None,
        **about: Any,
    ) -> SessionEvent[Any]:
        self._check_may_append()
        about["task_id"] = self._run_id
        event_id = self._id_of_usage(about.get("token_usage")) if id is None and OPEN_HOLDS.get() else id
        if event_id is not None:
            about["id"] = event_id
        if metadata is not None:
            about["metadata"] = arguments.values("metadata", metadata)
        more = {key: value for key, value in known.items() if value is not None} if known else {}
        if extra is not None:
            more |= _extra_keys(extra)
        if isinstance(content, str) and not more:
            event: SessionEvent[Any] = SessionEvent(message=content, source=_SOURCES[role], **about)
        else:
            event = event_from_message(plain_parts({"role": role, "content": content, **more}), **about)
            if isinstance(content, list) and not more:
                about |= {"source": event.source, "type": event.type}
                event = SessionEvent(message=event.message["content"], **about)
        return (await self._append([event]))[0]

    async def _append(self, events: Sequence[SessionEvent[Any]], **options: Any) -> list[SessionEvent[Any]]:
        hold = open_hold(self.session) if OPEN_HOLDS.get() else None
        if hold is None:
            return await self._writable.append(self.session, *events, **options)
        if not any(map(tells_usage, events)):
            if any(event.token_usage is not None for event in events):
                hold.sent()  # the model has answered, and nobody knows what that cost
            return await self._writable.append(self.session, *events, **options)
        new = await hold.settling(self._writable).append(self.session, *events, **options)
        await hold.note_settled(new)
        return new

    def _id_of_usage(self, usage: TokenUsage | None) -> str | None:
        """Return the id of the event that settles a hold; None for one that settles none."""
        hold = None if usage is None or usage.basis == UNKNOWN else open_hold(self.session)
        return None if hold is None else hold.id


def _extra_keys(extra: Mapping[str, Any]) -> dict[str, Any]:
    keys = arguments.values("extra", extra)
    refused = sorted({"role", "content"} & keys.keys())
    if refused:
        raise InvalidEvent(
            f"extra={{{refused[0]!r}: …}} is no further key of a message: the verb says who speaks, and what",
            path=f"extra.{refused[0]}",
        )
    return keys
