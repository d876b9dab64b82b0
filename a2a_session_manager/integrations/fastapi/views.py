"""What the read-only router shows of a session."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel

from a2a_session_manager.context.messages import message_from_event
from a2a_session_manager.models.fields_set import model_of
from a2a_session_manager.models.forked_from import ForkedFrom
from a2a_session_manager.models.money import usd_from_pico
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_head import SessionHead
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.models.token_tally import TokenTally
from a2a_session_manager.shapes.normal_form import text_of
from a2a_session_manager.shapes.recognition import read_message

_PREVIEW_CHARACTERS = 200
# White space is joined, so more than that is read.
_READ_CHARACTERS = 1_000


class SessionList(BaseModel):
    """A page of ids; `cursor` asks for the next page and is null on the last one."""

    session_ids: list[str]
    cursor: str | None


class ForkPoint(BaseModel):
    """Where a fork begins: its events up to `seq` are those of the session `id`, of which there may be another now."""

    id: str
    creation_id: str
    seq: int

    @classmethod
    def of(cls, forked_from: ForkedFrom | None) -> Self | None:
        return None if forked_from is None else cls(**forked_from._asdict())


class Spend(BaseModel):
    """A sum of tokens and costs; the cost is a lower bound when some requests have no price, or not for all of them.

    `tool_uses` counts what is paid by use, such as `web_searches`, without what is 0.
    """

    requests: int
    unpriced_requests: int
    partially_priced_requests: int
    requests_without_usage: int
    repeated_requests: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    tool_uses: dict[str, int]
    estimated_cost_usd: Decimal  # a JSON string, so that no reader rounds it
    cost_pico_usd: int
    is_lower_bound: bool

    @classmethod
    def of(cls, tally: TokenTally) -> Self:
        # A session may have ten thousand runs: what a tally holds needs no check, and its dict is quick to ask.
        held = tally.__dict__
        unpriced, partially = held["unpriced_requests"], held["partially_priced_requests"]
        without_usage, cost = held["requests_without_usage"], held["cost_pico_usd"]
        prompt, completion = held["prompt_tokens"], held["completion_tokens"]
        fields = {
            "requests": held["requests"],
            "unpriced_requests": unpriced,
            "partially_priced_requests": partially,
            "requests_without_usage": without_usage,
            "repeated_requests": held["repeated_requests"],
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "tool_uses": tally.tool_uses,
            "estimated_cost_usd": usd_from_pico(cost),
            "cost_pico_usd": cost,
            "is_lower_bound": bool(unpriced or partially or without_usage),
        }
        return model_of(cls, fields, _SPEND_FIELDS)


_SPEND_FIELDS = set(Spend.model_fields)


class Preview(BaseModel):
    """The newest visible message of a session: who speaks, and the beginning of the text, on one line."""

    seq: int
    role: str
    text: str
    timestamp: AwareDatetime

    @classmethod
    def of(cls, event: SessionEvent[Any] | None) -> Self | None:
        message = None if event is None else message_from_event(event)
        if event is None or message is None:
            return None
        read = read_message(message)
        text = " ".join(text_of(read.parts, " ")[:_READ_CHARACTERS].split())
        return cls(seq=event.seq or 0, role=read.role, text=text[:_PREVIEW_CHARACTERS], timestamp=event.timestamp)


class HeadView(BaseModel):
    """A session in a list; `preview` is null unless previews were asked for, and for a session without messages."""

    id: str
    parent_id: str | None
    root_id: str
    forked_from: ForkPoint | None
    title: str | None
    properties: dict[str, Any]
    created_at: AwareDatetime
    updated_at: AwareDatetime
    last_seq: int
    revision: int
    usage: Spend
    unfinished_runs: list[SessionRun]
    preview: Preview | None

    @classmethod
    def of(cls, head: SessionHead) -> Self:
        return cls(
            id=head.id,
            parent_id=head.parent_id,
            root_id=head.root_id,
            forked_from=ForkPoint.of(head.forked_from),
            title=head.title,
            properties=head.properties,
            created_at=head.created_at,
            updated_at=head.updated_at,
            last_seq=head.last_seq,
            revision=head.revision,
            usage=Spend.of(head.token_summary.total),
            unfinished_runs=head.unfinished_runs,
            preview=Preview.of(head.newest_message),
        )


class HeadList(BaseModel):
    """A page of sessions; `cursor` asks for the next page of the same query and is null on the last one."""

    sessions: list[HeadView]
    cursor: str | None


class SessionCount(BaseModel):
    """How many sessions there are, or have the properties that were asked for."""

    count: int


class SessionView(BaseModel):
    """A session's head, its unfinished and latest runs, and its newest visible events."""

    id: str
    parent_id: str | None
    root_id: str | None
    forked_from: ForkPoint | None
    revision: int
    last_seq: int
    created_at: AwareDatetime
    updated_at: AwareDatetime
    properties: dict[str, Any]
    state: dict[str, Any]
    runs: list[SessionRun]
    events: list[SessionEvent[Any]]

    @classmethod
    def of(cls, session: Session[Any]) -> Self:
        return cls(
            id=session.id,
            parent_id=session.parent_id,
            root_id=session.root_id,
            forked_from=ForkPoint.of(session.forked_from),
            revision=session.revision,
            last_seq=session.last_seq,
            created_at=session.metadata.created_at,
            updated_at=session.metadata.updated_at,
            properties=session.metadata.properties,
            state=session.state,
            runs=session.runs,
            events=session.events,
        )


class EventPage(BaseModel):
    """A page of visible events, oldest first; `next_after` asks for the next page and is null on the last one."""

    events: list[SessionEvent[Any]]
    next_after: int | None


class TreeNode(BaseModel):
    """A session of a tree, and its parent; for a fork, also where it begins."""

    id: str
    parent_id: str | None
    forked_from: ForkPoint | None


class TreeView(BaseModel):
    """The whole tree that a session is in, in creation order."""

    sessions: list[TreeNode]


class UsageView(BaseModel):
    """What a session spent, or it and all sessions below it; `by_run` is empty for the latter."""

    total: Spend
    by_model: dict[str, Spend]
    by_source: dict[str, Spend]
    by_run: dict[str, Spend]

    @classmethod
    def of(cls, summary: TokenSummary) -> Self:
        return cls(
            total=Spend.of(summary.total),
            by_model={name: Spend.of(tally) for name, tally in summary.usage_by_model.items()},
            by_source={name: Spend.of(tally) for name, tally in summary.usage_by_source.items()},
            by_run={name: Spend.of(tally) for name, tally in summary.by_run.items()},
        )
