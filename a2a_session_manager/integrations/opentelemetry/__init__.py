"""OpenTelemetry, through its API alone: spans and metrics of a store's calls and of runs: `instrument(store)`."""

from __future__ import annotations

from a2a_session_manager.exceptions import MissingDependency

try:
    import opentelemetry.metrics as _metrics
except ModuleNotFoundError as error:
    raise MissingDependency("opentelemetry-api", "otel") from error

from a2a_session_manager.integrations.opentelemetry.instrumentation import instrument

del _metrics

__all__ = ["instrument"]
