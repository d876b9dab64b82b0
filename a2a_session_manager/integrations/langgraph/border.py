"""The border to LangGraph: its configs as our ids, and our errors as those that its savers raise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation
from a2a_session_manager.integrations.foreign_ids import joined_id, parts_of, prefix_of

_FIRST: Final = "langgraph"  # of all ids, so that other sessions of the namespace are no threads
ALL_THREADS: Final = prefix_of(_FIRST)


class Place(NamedTuple):
    """A thread and a checkpoint namespace in it, "" for that of the graph itself; those of subgraphs lie below it."""

    thread_id: str
    namespace: str = ""

    @property
    def session_id(self) -> str:
        """The id of our session."""
        if not self.namespace:
            return thread_session(self.thread_id)
        return joined_id(_FIRST, self.thread_id, self.namespace)

    @property
    def parent_id(self) -> str | None:
        """The id of the session that it lies below."""
        return thread_session(self.thread_id) if self.namespace else None

    def config(self, checkpoint_id: str) -> Any:
        """Return the config that names a checkpoint here."""
        where = {"thread_id": self.thread_id, "checkpoint_ns": self.namespace, "checkpoint_id": checkpoint_id}
        return {"configurable": where}


def thread_session(thread_id: Any) -> str:
    """Return the id of our session for a thread. Raises InvalidSessionOperation for what cannot be one."""
    return joined_id(_FIRST, thread_id)


def place_of_session(session_id: str) -> Place:
    """Return what a session of ours is for."""
    _, thread_id, *namespace = parts_of(session_id)
    return Place(thread_id, *namespace[:1])


def place_of(config: Mapping[str, Any]) -> Place:
    """Return what a config names. Raises InvalidSessionOperation without a thread."""
    where = config.get("configurable") or {}
    if "thread_id" not in where:
        raise InvalidSessionOperation('the config names no thread: pass {"configurable": {"thread_id": "…"}}')
    thread_id, namespace = where["thread_id"], where.get("checkpoint_ns") or ""
    # Threads are often numbered; every saver of LangGraph takes what it gets.
    place = Place(str(thread_id) if isinstance(thread_id, int) else thread_id, namespace)
    _ = place.session_id  # it can be one
    return place


@contextmanager
def bad_input() -> Iterator[None]:
    """Raise ValueError for what can never be stored; ours is its cause."""
    try:
        yield
    except (InvalidEvent, InvalidSessionOperation) as error:
        raise ValueError(str(error)) from error
