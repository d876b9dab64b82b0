"""Recorded: a store's telemetry, kept in memory by the real SDK; without the SDK, what imports this is skipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import pytest

from a2a_session_manager import TokenUsage
from a2a_session_manager.integrations.opentelemetry import instrument
from a2a_session_manager.storage.store import BaseSessionStore

StoreT = TypeVar("StoreT", bound=BaseSessionStore)

trace_sdk = pytest.importorskip("opentelemetry.sdk.trace")
trace_export = pytest.importorskip("opentelemetry.sdk.trace.export")
memory_export = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
metrics_sdk = pytest.importorskip("opentelemetry.sdk.metrics")
metrics_export = pytest.importorskip("opentelemetry.sdk.metrics.export")

USAGE = TokenUsage(prompt_tokens=90, completion_tokens=12, model="gpt-4o-mini")


class Recorded:
    """What the stores that are instrumented through it have told."""

    def __init__(self) -> None:
        self._exporter = memory_export.InMemorySpanExporter()
        self.tracer_provider = trace_sdk.TracerProvider(shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(trace_export.SimpleSpanProcessor(self._exporter))
        self._reader = metrics_export.InMemoryMetricReader()
        self.meter_provider = metrics_sdk.MeterProvider([self._reader], shutdown_on_exit=False)

    def instrument(self, store: StoreT, *, ids: bool = True) -> StoreT:
        return instrument(store, ids=ids, tracer_provider=self.tracer_provider, meter_provider=self.meter_provider)

    @property
    def spans(self) -> Sequence[Any]:
        """The spans that have ended, in the order of their ends."""
        found: Sequence[Any] = self._exporter.get_finished_spans()
        return found

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]

    def forget(self) -> None:
        self._exporter.clear()

    def points(self, name: str) -> list[Any]:
        """Return the data points of a metric, by its name without our prefix."""
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == f"a2a_session_manager.{name}"
            for point in metric.data.data_points
        ]

    def tokens(self) -> dict[str, int]:
        """Return the tokens that were counted, by their type."""
        return {point.attributes["gen_ai.token.type"]: point.value for point in self.points("usage.tokens")}


def children(spans: Sequence[Any], parent: Any) -> list[Any]:
    return [span for span in spans if span.parent is not None and span.parent.span_id == parent.context.span_id]


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()
