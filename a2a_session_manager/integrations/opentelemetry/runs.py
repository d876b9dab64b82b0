"""Runs as spans: one for each block, which the calls inside it are children of."""

from __future__ import annotations

import asyncio
from time import perf_counter

from opentelemetry.context import attach, detach
from opentelemetry.trace import set_span_in_context

from a2a_session_manager.integrations.opentelemetry import names
from a2a_session_manager.integrations.opentelemetry.telemetry import Telemetry, mark_error
from a2a_session_manager.models.money import usd_from_pico
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.storage.records import SessionKey, UsageDelta


class RunSpans:
    """Begins spans of runs, and knows those that are open, so that usages find them; it is a RunObserver."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._open: dict[tuple[SessionKey, str], RunSpan] = {}

    def begin_run(self, key: SessionKey, run: SessionRun) -> RunSpan:
        """Begin the span of a block of the run, and make it the current one."""
        span = RunSpan(self._telemetry, key, run, self._open)
        self._open[key, run.id] = span
        return span

    def usage_committed(self, key: SessionKey, run_id: str | None, usage: UsageDelta) -> None:
        """Add a usage to the run that it was committed in, if that is open here."""
        if run_id is not None and (span := self._open.get((key, run_id))) is not None:
            span.add(usage)


class RunSpan:
    """The span of one block of a run; it is a WatchedRun."""

    def __init__(
        self, telemetry: Telemetry, key: SessionKey, run: SessionRun, open_spans: dict[tuple[SessionKey, str], RunSpan]
    ) -> None:
        self._telemetry = telemetry
        self._open_spans = open_spans
        self._place = (key, run.id)
        self._counted: dict[str, int] = {}
        agent = {} if run.agent is None else {names.AGENT_NAME: run.agent}
        self._span = telemetry.tracer.start_span(
            names.INVOKE_AGENT if run.agent is None else f"{names.INVOKE_AGENT} {run.agent}",
            attributes={names.GEN_AI_OPERATION: names.INVOKE_AGENT, **agent, **telemetry.ids_of(key, run.id)},
        )
        self._token = attach(set_span_in_context(self._span))
        self._task = asyncio.current_task()
        self._began = perf_counter()

    def add(self, usage: UsageDelta) -> None:
        """Add a usage that was committed in the run."""
        for name in ("prompt_tokens", "completion_tokens", "cost_pico_usd"):
            self._counted[name] = self._counted.get(name, 0) + usage.counters.get(name, 0)

    def end(self, run: SessionRun, error: BaseException | None) -> None:
        """End the span with the run's status; an error is told by its type alone."""
        seconds = perf_counter() - self._began
        if self._open_spans.get(self._place) is self:
            del self._open_spans[self._place]
        # A block that is left in another task, as fixtures and dependencies may be, has no context to put back.
        if asyncio.current_task() is self._task:
            detach(self._token)
        error_type = _error_type(run, error)
        if error_type is not None:
            mark_error(
                self._span, error_type, is_failure=isinstance(error, Exception) or run.status is RunStatus.FAILED
            )
        self._span.set_attribute(names.RUN_STATUS, run.status.value)
        if self._counted:
            self._span.set_attribute(names.INPUT_TOKENS, self._counted["prompt_tokens"])
            self._span.set_attribute(names.OUTPUT_TOKENS, self._counted["completion_tokens"])
            self._span.set_attribute(names.RUN_COST, float(usd_from_pico(self._counted["cost_pico_usd"])))
        self._span.end()
        self._telemetry.metrics.run_ended(seconds, run, error_type)


def _error_type(run: SessionRun, error: BaseException | None) -> str | None:
    if error is not None:
        return type(error).__name__
    if run.status is RunStatus.FAILED:  # marked by hand
        return run.error_type or names.OTHER_ERROR
    return None
