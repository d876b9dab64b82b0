"""Stores with one planted fault each: what they take for a namespace, and which ones they list."""

from __future__ import annotations

from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.read_records import NamespacePage
from a2a_session_manager.storage.store import NamespaceView


class JoinsNames(InMemorySessionStore):
    """Joins the names of nested namespaces, and escapes nothing."""

    def namespace(self, name: str) -> BaseSessionStore:
        return _JoiningView(self._backend, namespace=(name,) if name else ())


class _JoiningView(NamespaceView):
    def namespace(self, name: str) -> BaseSessionStore:
        joined = "/".join(filter(None, [*self._namespace, name]))
        return _JoiningView(self._backend, namespace=(joined,))


class LeadsToAnyNamespace(InMemorySessionStore):
    """Takes each name for one of the store's own."""

    def namespace(self, name: str) -> BaseSessionStore:
        return _LeadingView(self._backend, namespace=(name,) if name else ())


class _LeadingView(NamespaceView):
    def namespace(self, name: str) -> BaseSessionStore:
        return _LeadingView(self._backend, namespace=(name,) if name else self._namespace)


class _Remembering(MemoryBackend):
    def _link(self, *created: object) -> None:
        super()._link(*created)  # type: ignore[arg-type]  # it is handed on as it came
        self._known = getattr(self, "_known", set()) | {key.namespace for key in self._sessions}

    async def list_namespaces(self, namespace: Namespace, *, cursor: str | None, limit: int) -> NamespacePage:
        depth = len(namespace)
        known: set[Namespace] = getattr(self, "_known", set())
        names = {each[depth] for each in known if len(each) > depth and each[:depth] == namespace}
        return NamespacePage(sorted(names), None)


class ListsEmptyNamespaces(BaseSessionStore):
    """Goes on listing namespaces whose sessions have been deleted."""

    def __init__(self) -> None:
        super().__init__(_Remembering())


class _Directly(MemoryBackend):
    async def list_namespaces(self, namespace: Namespace, *, cursor: str | None, limit: int) -> NamespacePage:
        direct = {key.namespace[-1] for key in self._sessions if key.namespace[:-1] == namespace and key.namespace}
        return NamespacePage(sorted(direct), None)


class ListsNoOuterNamespaces(BaseSessionStore):
    """Leaves out namespaces whose sessions are all in others inside them."""

    def __init__(self) -> None:
        super().__init__(_Directly())
