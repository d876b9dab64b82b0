"""Events, runs and sums as the page has them: JSON with short keys, since there may be ten thousand of each.

`timeline/page/model.js` reads it, and nobody else: the form may change with each release.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from a2a_session_manager.context.messages import message_from_event
from a2a_session_manager.models.compaction import compaction_in
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_tally import TokenTally
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.shapes.normal_form import (
    Call,
    Instruction,
    Json,
    Media,
    Opaque,
    Other,
    Part,
    Reasoning,
    Result,
    Text,
)
from a2a_session_manager.shapes.recognition import is_plain, read_message
from a2a_session_manager.timeline.pairing import Answers, PartPlace
from a2a_session_manager.timeline.redaction import Redactor
from a2a_session_manager.timeline.texts import Texts

Row = dict[str, Any]


class RowWriter:
    """Makes rows for one page, without the secrets that `redactor` finds, and with long texts in `texts`."""

    def __init__(self, redactor: Redactor, texts: Texts) -> None:
        self._redactor = redactor
        self._texts = texts

    def events(self, events: Iterable[SessionEvent[Any]], answers: Answers) -> list[Row]:
        """Return the rows of events, with each result's call."""
        return [self._event(event, answers) for event in events]

    def value(self, value: Any, name: str = "") -> Any:
        """Return any JSON value for the page; `name` is the key that it stands under."""
        return self._texts.value(self._redactor.value(value, name))

    def run(self, run: SessionRun, spent: TokenTally | None) -> Row:
        """Return the row of a run, with what it has spent."""
        row: Row = {
            "id": run.id,
            "agent": None if run.agent is None else self._redactor.text(run.agent),
            "status": run.status.value,
            "start": milliseconds(run.started_at),
            "end": milliseconds(run.ended_at),
            "error_type": run.error_type,
            "error": self.value(run.error),
            "metadata": self.value(run.metadata),
            "spent": None if spent is None else tally_row(spent),
        }
        return {key: value for key, value in row.items() if value not in (None, {})}

    def _event(self, event: SessionEvent[Any], answers: Answers) -> Row:
        before = self._redactor.total
        payload = self._redactor.value(event.message, "message")
        clean = event if payload is event.message else event.model_copy(update={"message": payload})
        row: Row = {
            "q": event.seq,
            "i": event.id,
            "t": milliseconds(event.timestamp),
            "s": event.source.value,
            "y": str(event.type),
        }
        self._add_message(row, clean, answers)
        if event.task_id is not None:
            row["k"] = event.task_id
        if event.retracted:
            row["r"] = 1
        if event.metadata:
            row["m"] = self.value(event.metadata)
        if event.token_usage is not None:
            row["u"] = usage_row(event.token_usage)
        compaction = compaction_in(event.type, event.metadata)
        if compaction is not None:
            row["z"] = {**compaction._asdict(), "pins": [list(pin) for pin in compaction.pins]}
        if self._redactor.total > before:
            row["x"] = self._redactor.total - before
        return row

    def _add_message(self, row: Row, event: SessionEvent[Any], answers: Answers) -> None:
        payload = event.message
        if payload is None:
            return
        # A compaction says nothing where it stands; its summary is shown all the same.
        is_summary = compaction_in(event.type, event.metadata) is not None
        message = message_from_event(event.model_copy(update={"metadata": {}}) if is_summary else event)
        if message is None:
            row["o"] = self._texts.value(payload)
            return
        read = read_message(message)
        row["w"] = read.role
        if read.name is not None:
            row["n"] = read.name
        row["p"] = [self._part(part, answers.get(PartPlace(event.seq or 0, at))) for at, part in enumerate(read.parts)]
        if is_plain(message) and payload is message and message["role"] == read.role:
            row["c"] = 1  # the page makes the message of the role and the text again
        elif not isinstance(payload, str):
            row["o"] = self._texts.value(payload)

    def _part(self, part: Part, call: PartPlace | None) -> list[Any]:
        text = self._texts.text
        match part:
            case Text():
                return ["text", text(part.text)]
            case Instruction():
                return ["instruction", text(part.text)]
            case Reasoning():
                return ["reasoning", text(part.text)]
            case Media():
                data = None if part.data is None else text(part.data)
                url = None if part.url is None else text(part.url)
                said = None if part.text is None else text(part.text)
                return ["media", part.kind, part.mime_type, part.name, url, data, said]
            case Json():
                return ["json", self._texts.value(part.value)]
            case Call():
                return ["call", part.id, part.name, self._texts.value(part.arguments), int(part.is_hosted)]
            case Result():
                content = [self._part(each, None) for each in part.content]
                return ["result", part.call_id, part.name, int(part.is_error), content, call]
            case Opaque():
                return ["opaque", part.what, self._texts.value(part.raw)]
            case Other():
                return ["other", self._texts.value(part.raw)]


def usage_row(usage: TokenUsage) -> Row:
    """Return what one request used; without `cost`, that is not known."""
    row: Row = {"model": usage.model, "in": usage.prompt_tokens, "out": usage.completion_tokens}
    more: Row = {
        "cache": usage.cache_read_tokens,
        "written": usage.cache_write_tokens,
        "reasoning": usage.reasoning_tokens,
        "provider": usage.provider,
        "basis": None if usage.basis == "reported" else usage.basis,
        "tier": usage.service_tier,
        "partly": int(usage.partially_priced),
        "requests": usage.requests if usage.requests != 1 else None,
        "response": usage.response_id,
        "tools": usage.tool_uses,
    }
    row.update({name: value for name, value in more.items() if value})
    if usage.cost_pico_usd is not None:
        row["cost"] = str(usage.cost_pico_usd)
        row["by"] = usage.priced_by
    return row


def tally_row(tally: TokenTally) -> Row:
    """Return a sum. Its cost is a text: the largest would be rounded as a number."""
    return {
        "requests": tally.requests,
        "unpriced": tally.unpriced_requests,
        "partly": tally.partially_priced_requests,
        "unknown": tally.requests_without_usage,
        "repeated": tally.repeated_requests,
        "in": tally.prompt_tokens,
        "out": tally.completion_tokens,
        "cache": tally.cache_read_tokens,
        "written": tally.cache_write_tokens,
        "reasoning": tally.reasoning_tokens,
        "cost": str(tally.cost_pico_usd),
    }


def milliseconds(moment: datetime | None) -> float | None:
    """Return a moment as browsers count: milliseconds since 1970."""
    return None if moment is None else round(moment.timestamp() * 1_000, 3)
