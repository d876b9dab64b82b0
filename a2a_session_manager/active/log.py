"""ActiveLog: the verbs that an open session and a run share. They read the events of other writers as well."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar, Unpack, overload

from a2a_session_manager.active.holds import DEFAULT_EXPIRES, Hold, keeps_budgets, open_hold, tells_usage
from a2a_session_manager.active.state_view import StateView
from a2a_session_manager.active.titles import TitleBy, set_title
from a2a_session_manager.active.tool_use import ToolUse
from a2a_session_manager.context.conversion import MessageFormat
from a2a_session_manager.context.messages import event_from_message, source_of
from a2a_session_manager.context.reading import conversation
from a2a_session_manager.context.tail import context_size
from a2a_session_manager.context.window import MessageWindow, message_window
from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation
from a2a_session_manager.foreign_records.held import Held
from a2a_session_manager.foreign_records.recognition import messages_in
from a2a_session_manager.identifiers import shown
from a2a_session_manager.models import arguments
from a2a_session_manager.models.budget import SpendEstimate
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.event_filter import EventFilters
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_usage import UNKNOWN, TokenUsage
from a2a_session_manager.protocols import RepeatPolicy, SessionStore
from a2a_session_manager.shapes.client_objects import plain_message, plain_parts
from a2a_session_manager.tokens.counting import TokenCounter
from a2a_session_manager.usage.recorded import missing_usage, recorded_usage

MessageT = TypeVar("MessageT")

_NO_RESULT: Any = object()
_SOURCES: Final = {role: source_of(role) for role in ("user", "system", "assistant")}


class ActiveLog:
    """The verbs that an open session and a run share; the events of a run have its id as `task_id`.

    Every verb that writes takes an `id`, which becomes the event's, or a `write_id`, which names the commit. Calling it
    again with the same one changes nothing and returns the first result, so that a retry is always safe.
    """

    def __init__(self, store: SessionStore, session: Session[Any], run_id: str | None = None) -> None:
        self._store = store
        self._run_id = run_id
        self.session = session

    @property
    def state(self) -> Mapping[str, Any]:
        """The state as it was last read or written here, as a read-only copy; `set_state` changes it."""
        return StateView(self.session.state)

    async def window(
        self,
        *,
        max_tokens: int | None = None,
        model: str | None = None,
        counter: TokenCounter | None = None,
        format: MessageFormat | None = None,
        compacted: bool = True,
    ) -> MessageWindow:
        """Return the newest part of the conversation that takes at most `max_tokens` of a prompt for `model`.

        The system messages at the start stay, and the summary of a compaction. To them come whole turns, from the
        newest to the first that does not fit: what the user says, with all that follows to where the user speaks again.
        Of a turn that alone takes more, what is asked stays, with the newest exchanges that fit. The definitions of
        tools are not counted.

        Args:
            max_tokens: None returns the whole conversation.
            model: the model's name, which decides about the tokenizer. Without it, the count is an estimate.
            counter: counts the tokens in place of the library's own TiktokenCounter; see MediaTokens for pictures and
                other media.
            format, compacted: see ActiveSession.messages.

        Raises InvalidSessionOperation when the system messages, what the user asks and the newest exchange take more.
        """
        return await message_window(
            self._store,
            self.session,
            max_tokens=max_tokens,
            model=model,
            counter=counter,
            format=format,
            compacted=compacted,
        )

    async def context_size(self) -> int | None:
        """Return the input and output tokens of the newest request, which is how full the model's context is.

        That is not what was spent; see `usage`. None before the first usage, when the newest usage is a sum of several
        requests, and after a compaction until the next request has told.
        """
        return await context_size(self._store, self.session)

    @overload
    async def events(
        self,
        *,
        message_type: type[MessageT],
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        **which: Unpack[EventFilters],
    ) -> list[SessionEvent[MessageT]]: ...
    @overload
    async def events(
        self,
        *,
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        message_type: Any = None,
        **which: Unpack[EventFilters],
    ) -> list[SessionEvent[Any]]: ...
    async def events(
        self,
        *,
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        message_type: Any = None,
        **which: Unpack[EventFilters],
    ) -> list[SessionEvent[Any]]:
        """Return the visible events with a seq above `after`, oldest first, and at most the first `limit` of them.

        With `include_retracted`, the hidden ones come as well, marked `retracted`. `message_type` is the type to read
        messages as, such as a pydantic model; a message that does not fit it stays plain JSON, and its event's
        `message_error` says why. `type`, `source`, `run`, `since` and `until` leave out all events but those that fit
        each that is given; see EventFilters.
        """
        return await self._store.events(
            self.session,
            after=after,
            limit=limit,
            include_retracted=include_retracted,
            message_type=message_type,
            **which,
        )

    @overload
    async def events_by_id(
        self, *event_ids: str, message_type: type[MessageT]
    ) -> list[SessionEvent[MessageT] | None]: ...
    @overload
    async def events_by_id(self, *event_ids: str, message_type: Any = None) -> list[SessionEvent[Any] | None]: ...
    async def events_by_id(self, *event_ids: str, message_type: Any = None) -> list[SessionEvent[Any] | None]:
        """Return the events of these ids in the order given, None for each one that was never appended.

        A hidden event comes as well, marked `retracted`. `message_type` is that of `events`.
        """
        return await self._store.events_by_id(self.session, *event_ids, message_type=message_type)

    def follow(self, *, after: int = 0) -> AsyncGenerator[SessionEvent[Any], None]:
        """Yield every event with a seq above `after`, then each new one as it is committed; see SessionStore.follow."""
        return self._store.follow(self.session, after=after)

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
        return await self._say("user", content, _named(name), extra, id, metadata=metadata)

    async def system(
        self,
        content: Any,
        *,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        id: str | None = None,
    ) -> SessionEvent[Any]:
        """Append a system message; the parameters are those of `user`."""
        return await self._say("system", content, _named(name), extra, id, metadata=metadata)

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
        self._check_single(items, id)
        self._check_may_append()
        events = [event for item in items for event in self._events(item, id)]
        return await self._append(events, expected_revision=expected_revision, on_repeat=on_repeat)

    async def append_late(self, *items: object, id: str | None = None) -> list[SessionEvent[Any]]:
        """Append like `append`, and also through a run whose block has ended, for what a model said meanwhile.

        `items` and `id` are those of `append`.
        """
        self._check_single(items, id)
        events = [event for item in items for event in self._events(item, id)]
        return await self._store.append(self.session, *events)

    def spend(
        self,
        usd: Decimal | float | str | None = None,
        *,
        tokens: int | None = None,
        estimate: SpendEstimate | None = None,
        requests: int = 1,
        id: str | None = None,
        expires: float = DEFAULT_EXPIRES,
    ) -> Hold:
        """Return a hold for `async with`: room for one request in every budget that the session spends from.

        The append in the block that brings the usage settles the hold in the same commit. Without one, the hold is
        given back; after `hold.sent()`, it counts as estimated, until a late usage or a person says otherwise. Where
        nothing is limited, nothing is held.

        Args:
            usd: how many dollars the request may cost; None is an unknown price, which a limit of dollars refuses
                unless it says what such requests count.
            tokens: how many tokens it may use, which a limit of tokens has to be told.
            estimate: both, as `estimate()` returns them.
            requests: how many responses are paid for.
            id: of the hold, and of the event that brings the usage, unless that is given another one. A retry takes the
                same one; None makes a random one.
            expires: after how many seconds what is held counts as estimated, should this process die; a little more
                than the request may take. `hold.renew()` begins them anew.

        Entering the block raises BudgetExceeded where a budget has no room; then nothing is held, and a run that is
        left by it waits. Raises InvalidSessionOperation for amounts that are none, and outside a run's block.
        """
        self._check_may_begin()
        if estimate is not None:
            if usd is not None or tokens is not None:
                raise InvalidSessionOperation("an estimate says both: leave usd= and tokens= out, or estimate=")
            usd, tokens, requests = estimate[:3]
        return Hold(self._store, self.session, id=id, usd=usd, tokens=tokens, requests=requests, expires=expires)

    async def estimate(
        self,
        *,
        model: str,
        max_output_tokens: int,
        messages: str | Iterable[Mapping[str, Any]] | None = None,
        tools: Iterable[Mapping[str, Any]] | None = None,
        provider: str | None = None,
        service_tier: str | None = None,
        counter: TokenCounter | None = None,
    ) -> SpendEstimate:
        """Return the most that a request may cost, for `spend(estimate=…)`.

        The tokens of the prompt are counted, as if none of them were in a cache, and priced with an answer of
        `max_output_tokens` at the highest tier that the request can reach.

        Args:
            model, provider, service_tier: those of the request; an unknown price is None.
            max_output_tokens: what the request allows the model to return, reasoning included.
            messages: what is sent; None stands for the conversation as `messages()` returns it.
            tools: their definitions, as they go with the request. They count as JSON text, which is an estimate: no
                provider says how a model is given them.
            counter: counts the tokens in place of the library's own TiktokenCounter.
        """
        store = self._store
        if not keeps_budgets(store):
            raise InvalidSessionOperation(f"{type(store).__name__} keeps no budgets, and estimates nothing")
        prompt = messages
        if prompt is None:
            prompt = await conversation(self._store, self.session, format=None, repair=True)
        return await store.estimate(
            prompt,
            tools=tools,
            model=model,
            max_output_tokens=max_output_tokens,
            provider=provider,
            service_tier=service_tier,
            counter=counter,
        )

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
        event_id = self._id_of_usage(about.get("token_usage")) if id is None else id
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
        hold = open_hold(self.session)
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

    def _check_may_begin(self) -> None:
        """Raise what `check_open` raises, and LeaseLost for a run that is known to be somebody else's."""
        self.check_open()

    def _check_may_append(self) -> None:
        """Raise what `check_open` raises, before an event is made, unless its appending will do that."""

    def check_open(self) -> None:
        """Raise InvalidSessionOperation when nothing can be written, which is so for a run outside its block."""

    @property
    def _writable(self) -> SessionStore:
        self.check_open()
        return self._store

    def _check_single(self, items: Sequence[object], id: str | None) -> None:
        if id is not None and len(items) != 1:
            raise InvalidSessionOperation(f"id={id!r} fits one event, not {len(items)}: give each event its own id")

    def _events(self, item: object, id: str | None) -> list[SessionEvent[Any]]:
        """Return the event of an item, or those of the messages in a record of another program's file."""
        held = messages_in(item) if isinstance(item, Mapping) else []
        if not held:
            return [self._event(item, id)]
        ids = [None if id is None else id if number == 1 else f"{id}:{number}" for number in range(1, len(held) + 1)]
        return [
            event_from_message(each.message, **self._fields(own_id), **_usage_held(each))
            for own_id, each in zip(ids, held, strict=True)
        ]

    def _event(self, item: object, id: str | None) -> SessionEvent[Any]:
        if not isinstance(item, SessionEvent):
            message = plain_parts(item) if isinstance(item, Mapping) else plain_message(item)
            if message is None:
                raise InvalidEvent(
                    f"{shown(item)} is no event: append a SessionEvent, a chat message, or a message of an official "
                    "client such as reply.choices[0].message",
                    path="events",
                )
            return event_from_message(message, **self._fields(id), **_usage_in(item))
        changes: dict[str, Any] = {} if id is None else {"id": id}
        if item.task_id is None and self._run_id is not None:
            changes["task_id"] = self._run_id
        return item.model_copy(update=changes) if changes else item

    def _fields(self, id: str | None) -> dict[str, Any]:
        return {"task_id": self._run_id, **({} if id is None else {"id": id})}


def _named(name: str | None) -> Mapping[str, str]:
    return {} if name is None else {"name": name}


def _extra_keys(extra: Mapping[str, Any]) -> dict[str, Any]:
    keys = arguments.values("extra", extra)
    refused = sorted({"role", "content"} & keys.keys())
    if refused:
        raise InvalidEvent(
            f"extra={{{refused[0]!r}: …}} is no further key of a message: the verb says who speaks, and what",
            path=f"extra.{refused[0]}",
        )
    return keys


def _usage_held(held: Held) -> dict[str, TokenUsage]:
    """Return the usage that a foreign record has with a message."""
    return {} if held.usage is None else {"token_usage": recorded_usage(held.usage, model=held.model)}


def _usage_in(item: object) -> dict[str, TokenUsage]:
    """Return the usage in a message that is a provider's whole reply, such as Anthropic's or LangChain's."""
    if isinstance(item, Mapping):
        is_reply = item.get("role") == "assistant" and isinstance(item.get("usage"), Mapping)
    else:
        is_reply = any(getattr(item, name, None) is not None for name in ("usage", "usage_metadata"))
    return {"token_usage": recorded_usage(item)} if is_reply else {}
