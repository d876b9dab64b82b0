"""Metrics: the instruments, and what is counted of queues, calls, runs and usages."""

from __future__ import annotations

from typing import Final

from opentelemetry.metrics import Meter

from a2a_session_manager.integrations.opentelemetry import names
from a2a_session_manager.models.money import usd_from_pico
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage.records import UsageDelta

# Those of the convention for databases begin at a millisecond; a memory store answers in a hundredth of that.
_CALL_SECONDS: Final = (0.00001, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
_RUN_SECONDS: Final = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
_COMMITS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The instruments of one meter; it is a QueueObserver."""

    def __init__(self, meter: Meter) -> None:
        scope = names.SCOPE
        self._series: dict[tuple[str, str, str | None], dict[str, str]] = {}  # ready made: each call takes one
        self._calls = meter.create_histogram(
            f"{scope}.operation.duration",
            "s",
            "How long a call of a store took, until it was answered or its caller was cancelled.",
            explicit_bucket_boundaries_advisory=_CALL_SECONDS,
        )
        self._batches = meter.create_histogram(
            f"{scope}.batch.size",
            "{commit}",
            "How many commits left together, in one round trip or in one job of a thread.",
            explicit_bucket_boundaries_advisory=_COMMITS,
        )
        self._retries = meter.create_counter(
            f"{scope}.retries",
            "{retry}",
            "How often a round trip was made again, or a commit waited for a file or a slot that was held.",
        )
        self._runs = meter.create_histogram(
            f"{scope}.run.duration",
            "s",
            "How long the block of a run took.",
            explicit_bucket_boundaries_advisory=_RUN_SECONDS,
        )
        self._tokens = meter.create_counter(
            f"{scope}.usage.tokens", "{token}", "Tokens of the usages that were committed."
        )
        self._cost = meter.create_counter(
            f"{scope}.usage.cost", "USD", "The cost of the usages that were committed, where it is known."
        )

    def batch_sent(self, commits: int) -> None:
        self._batches.record(commits)

    def retried(self, times: int) -> None:
        self._retries.add(times)

    def call_ended(self, seconds: float, system: str, operation: str, error_type: str | None) -> None:
        """Record one call of a store."""
        series = system, operation, error_type
        attributes = self._series.get(series)
        if attributes is None:
            attributes = {names.DB_SYSTEM: system, names.DB_OPERATION: operation}
            if error_type is not None:
                attributes[names.ERROR_TYPE] = error_type
            self._series[series] = attributes
        self._calls.record(seconds, attributes)

    def run_ended(self, seconds: float, run: SessionRun, error_type: str | None) -> None:
        """Record one block of a run."""
        attributes = {names.RUN_STATUS: run.status.value}
        if run.agent is not None:
            attributes[names.AGENT_NAME] = run.agent
        if error_type is not None:
            attributes[names.ERROR_TYPE] = error_type
        self._runs.record(seconds, attributes)

    def usage_committed(self, usage: UsageDelta) -> None:
        """Count what a usage brings to the totals."""
        model = {names.REQUEST_MODEL: usage.model} if usage.model else {}
        for name, token_type in (("prompt_tokens", "input"), ("completion_tokens", "output")):
            if count := usage.counters.get(name, 0):
                self._tokens.add(count, {**model, names.TOKEN_TYPE: token_type})
        if pico := usage.counters.get("cost_pico_usd", 0):
            self._cost.add(float(usd_from_pico(pico)), model)
