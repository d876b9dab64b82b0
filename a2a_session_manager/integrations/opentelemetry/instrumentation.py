"""instrument: switches spans and metrics of one store on."""

from __future__ import annotations

from typing import TypeVar

from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.trace import TracerProvider, get_tracer

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.integrations.opentelemetry import names
from a2a_session_manager.integrations.opentelemetry.metrics import Metrics
from a2a_session_manager.integrations.opentelemetry.observed_backend import ObservedBackend
from a2a_session_manager.integrations.opentelemetry.telemetry import Telemetry
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.store import BaseSessionStore, NamespaceView

StoreT = TypeVar("StoreT", bound=SessionStore)


def instrument(
    store: StoreT,
    *,
    ids: bool = True,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> StoreT:
    """Make spans and metrics of what `store` does from now on, also in its namespaces, and of runs; return the store.

    Call it before the store is used and before a namespace is taken from it. Of a manager, pass its `store`. Nothing
    that was said, no state, property, place or error text becomes an attribute.

    Args:
        ids: False leaves out the ids of sessions and runs and the names of namespaces, where these tell who somebody
            is; the names of agents and models stay.
        tracer_provider, meter_provider: where spans and metrics go to; None takes the global ones, also when they are
            set later.

    Raises InvalidSessionOperation for what is no BaseSessionStore, for a namespace's view of one, and for a store that
    is instrumented already.
    """
    if not isinstance(store, BaseSessionStore):
        raise InvalidSessionOperation(f"{shown(store)} cannot be instrumented: pass a store; of a manager, its .store")
    if isinstance(store, NamespaceView):
        raise InvalidSessionOperation("a namespace is instrumented with its store: pass the store")
    tracer = get_tracer(names.SCOPE, tracer_provider=tracer_provider)
    metrics = Metrics(get_meter(names.SCOPE, meter_provider=meter_provider))

    def observed(backend: Backend) -> Backend:
        if backend.run_observer is not None:
            raise InvalidSessionOperation("the store is instrumented already: call instrument once")
        system = type(backend).__name__.removesuffix("Backend").lower()
        return ObservedBackend(backend, Telemetry(tracer, metrics, system=system, ids=ids))

    store.wrap_backend(observed)
    return store
