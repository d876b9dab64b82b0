"""Telemetry: what spans and metrics go to, and ObservedCall: the span and the duration of one call of a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from opentelemetry.context import attach, detach
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from a2a_session_manager.integrations.opentelemetry import names
from a2a_session_manager.integrations.opentelemetry.metrics import Metrics
from a2a_session_manager.namespaces import path_of
from a2a_session_manager.storage.records import SessionKey


class Telemetry:
    """A tracer and the metrics of one store, and what is put into attributes.

    Args:
        system: what keeps the sessions, such as "redis".
        ids: whether ids of sessions and runs, and namespaces, become attributes.
    """

    def __init__(self, tracer: Tracer, metrics: Metrics, *, system: str, ids: bool) -> None:
        self.tracer = tracer
        self.metrics = metrics
        self.system = system
        self._ids = ids
        self._attributes: dict[str, dict[str, str]] = {}  # by call: those that all its spans have
        # The convention keeps CLIENT for what usually is another process.
        self._kind = SpanKind.INTERNAL if system in ("memory", "file") else SpanKind.CLIENT

    def call(self, operation: str, key: SessionKey | None = None) -> ObservedCall:
        """Begin a call of the store; `key` is the one session that it is about, if there is one."""
        known = self._attributes.get(operation)
        if known is None:
            known = self._attributes[operation] = {
                names.DB_SYSTEM: self.system,
                names.DB_COLLECTION: names.SESSIONS,
                names.DB_OPERATION: operation,
            }
        span = self.tracer.start_span(
            f"{operation} {names.SESSIONS}", kind=self._kind, attributes={**known, **self.ids_of(key)}
        )
        return ObservedCall(self, operation, span)

    @contextmanager
    def block(self, operation: str, key: SessionKey | None = None, *, count: int = 1) -> Iterator[Span]:
        """Make a call of the block; its span is the current one inside. `count`: how many things are asked at once."""
        call = self.call(operation, key)
        if count > 1:
            call.span.set_attribute(names.BATCH_SIZE, count)
        try:
            with call.current():
                yield call.span
        except BaseException as error:
            call.end(error)
            raise
        call.end()

    def ids_of(self, key: SessionKey | None, run_id: str | None = None) -> dict[str, str]:
        """Return the attributes that name a session and a run: none of them where ids are switched off."""
        if not self._ids or key is None:
            return {}
        found = {names.CONVERSATION_ID: key.id}
        if key.namespace:
            found[names.NAMESPACE] = path_of(key.namespace)
        if run_id is not None:
            found[names.RUN_ID] = run_id
        return found


class ObservedCall:
    """One call of a store, from its beginning to `end`."""

    __slots__ = ("_began", "_operation", "_telemetry", "span")

    def __init__(self, telemetry: Telemetry, operation: str, span: Span) -> None:
        self.span = span
        self._telemetry = telemetry
        self._operation = operation
        self._began = perf_counter()

    def end(self, error: BaseException | None = None) -> None:
        """End the span; an error is told by its type alone, because its text may hold what was said."""
        seconds = perf_counter() - self._began
        error_type = None if error is None else type(error).__name__
        if error_type is not None:
            mark_error(self.span, error_type, is_failure=isinstance(error, Exception))
        self.span.end()
        self._telemetry.metrics.call_ended(seconds, self._telemetry.system, self._operation, error_type)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the span the current one, so that what is begun inside is a child of it."""
        # Without an SDK there is nothing that children could hang on.
        token = attach(set_span_in_context(self.span)) if self.span.get_span_context().is_valid else None
        try:
            yield
        finally:
            if token is not None:
                detach(token)


def mark_error(span: Span, error_type: str, *, is_failure: bool) -> None:
    """Note on `span` what it ended with. A cancellation, which is no failure, leaves the status unset."""
    span.set_attribute(names.ERROR_TYPE, error_type)
    if is_failure:
        span.set_status(Status(StatusCode.ERROR))
