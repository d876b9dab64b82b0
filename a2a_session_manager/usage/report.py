"""Report: a usage as plain JSON, and what lies around it in the reply, or in the events of a stream, that holds it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from a2a_session_manager.pricing.usage_reader import UsageReader
from a2a_session_manager.serialization.plain_objects import plain
from a2a_session_manager.usage.conventions import Convention, convention_of
from a2a_session_manager.usage.modifiers import SERVING_KEYS, said_of_serving
from a2a_session_manager.usage.places import MODEL_KEYS, Located, located, model_of
from a2a_session_manager.usage.reply_tools import TOOL_KEYS, counted_beside, tools_shown
from a2a_session_manager.usage.reported_cost import COST_KEYS, ReportedCost, reported_cost
from a2a_session_manager.usage.response_ids import RESPONSE_KEYS, response_id_of
from a2a_session_manager.usage.streams import merge

_NO_COST = ReportedCost()
# The keys of all that a reply may say beside its usage.
_AROUND = frozenset((*SERVING_KEYS, *COST_KEYS, *TOOL_KEYS, *RESPONSE_KEYS, *MODEL_KEYS))


class Report:
    """What a provider says of one request.

    Attributes:
        raw: the usage as plain JSON, which need not be one that anybody knows; with what is counted beside it.
        convention: what reads it; None where nobody knows it.
        model: the name of the model, the caller's or the reply's; None for none.
        response_id: the provider's id of the response, None for none.
        tools: what the reply shows that is paid by use, by the names of a TokenUsage.
        requests: how many requests the usage is of.
        is_batch: whether it is in a line of batch results.
    """

    def __init__(self, model: str | None) -> None:
        self.raw: Any = {}
        self.convention: Convention | None = None
        self.model = model or None
        self.response_id: str | None = None
        self.requests = 1
        self.is_batch = False
        self._said: dict[str, str] = {}
        self._cost = _NO_COST
        self.tools: dict[str, int] = {}

    @classmethod
    def of(cls, thing: object, *, model: str | None) -> Report:
        """Return what `thing`, a usage or what holds one, reports."""
        report, found = cls(model), located(thing)
        report.raw, report.requests, report.is_batch = plain(found.usage), found.requests, found.is_batch
        report.convention = found.convention or _convention(report.raw)
        report._look_around(found, report.raw, thing)
        return report

    @classmethod
    def of_stream(cls, events: Iterable[object], *, model: str | None) -> Report:
        """Return what the `events` of one streamed reply report, each of them totals so far."""
        report = cls(model)
        for event in events:
            found = located(event)
            raw = plain(found.usage)
            if isinstance(raw, dict) and (found.usage is not event or found.convention is not None):
                merge(report.raw, raw)
            report._look_around(found, raw, event)
        report.convention = _convention(report.raw)
        return report

    @property
    def serving(self) -> dict[str, str]:
        """How the request was served, by the fields of a TokenUsage; what the usage says goes before the reply."""
        return {**self._said, **said_of_serving(self.raw, None)} if self._says_more() else self._said

    @property
    def cost(self) -> ReportedCost:
        """What the request cost; what the usage says goes before the reply."""
        inside = reported_cost(self.raw, None) if self._says_more() else _NO_COST
        return self._cost if inside == _NO_COST else inside

    def _says_more(self) -> bool:
        return isinstance(self.raw, dict) and not _AROUND.isdisjoint(self.raw)

    def _look_around(self, found: Located, raw: Any, whole: object) -> None:
        holder = found.holder
        if type(holder) is dict and holder is whole and _AROUND.isdisjoint(holder):
            return  # a usage alone
        if self.response_id is None:
            self.response_id = response_id_of(raw if holder is found.usage else holder, whole)
        self.model = self.model or model_of(holder, raw if isinstance(raw, dict) else {})
        self._said.update(said_of_serving({}, holder))
        cost = reported_cost({}, holder)
        if cost == _NO_COST and holder is not whole:
            cost = reported_cost({}, whole)  # of a line of a log, such as Claude Code's
        self._cost = self._cost if cost == _NO_COST else cost
        for name, count in tools_shown(holder, self.model).items():
            self.tools[name] = max(count, self.tools.get(name, 0))
        if isinstance(self.raw, dict):
            merge(self.raw, counted_beside(holder))


def _convention(raw: object) -> Convention | None:
    return convention_of(UsageReader(raw)) if isinstance(raw, dict) else None
