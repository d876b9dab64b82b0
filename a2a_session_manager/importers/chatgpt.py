"""ChatGPT's data export: a conversation is a tree of messages, whose branches become forks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.foreign_records import chatgpt
from a2a_session_manager.foreign_records.held import text_of
from a2a_session_manager.importers.records import Record, SessionStart, opaque, safe_id, said, stray, without
from a2a_session_manager.importers.source import SourceFile, Value
from a2a_session_manager.importers.times import Clock, time_of
from a2a_session_manager.usage.recorded import missing_usage

NAME: Final = "chatgpt"
WHAT: Final = "ChatGPT's data export: conversations.json"


def is_mine(values: Sequence[Any]) -> bool:
    """Tell whether the first values of a file are exported conversations."""
    return all(isinstance(value, Mapping) and chatgpt.is_conversation(value) for value in values)


def read(source: SourceFile) -> Iterator[Record]:
    """Yield a session for each conversation, which shows the branch that was shown last, and a fork for each other."""
    for number, value in enumerate(source.values(), start=1):
        if not (isinstance(value.data, Mapping) and chatgpt.is_conversation(value.data)):
            yield from stray(source, value, is_first=number == 1, what="conversation of ChatGPT's")
            continue
        yield from _Conversation(value, f"{source.name}-{number}", source).records()


class _Conversation:
    def __init__(self, value: Value, name: str, source: SourceFile) -> None:
        record = value.data
        self._record = record
        self._mapping: Mapping[str, Mapping[str, Any]] = record["mapping"]
        self._weight = value.weight // max(1, len(self._mapping))
        self._id = text_of(record.get("conversation_id")) or text_of(record.get("id")) or name
        self._clock = Clock(source.modified_at)
        # The nodes that were looked at, and those that are events.
        self._told: set[str] = set()
        self._kept: set[str] = set()

    def records(self) -> Iterator[Record]:
        record = self._record
        made, changed = time_of(record.get("create_time")), time_of(record.get("update_time"))
        about = {"id": self._id, "record": without(record, "mapping", "title", "create_time", "update_time")}
        made = made or self._clock.at(None).time
        self._clock.at(made)
        title = text_of(record.get("title"))
        yield SessionStart(self._id, created_at=made, updated_at=changed, title=title, about=about)
        path = chatgpt.path_to(self._mapping, record.get("current_node"))
        yield from self._branch(self._id, path)
        # The newest branch last, and each after the one that it leaves.
        pending = [(self._id, path)]
        while pending:
            session_id, shown = pending.pop(0)
            for node_id in shown:
                for child in chatgpt.children_of(self._mapping, self._mapping[node_id]):
                    if child in self._told:
                        continue
                    rest = self._path_from(child)
                    fork_id = f"{self._id}/{child}"
                    yield self._fork(fork_id, session_id, node_id, child)
                    yield from self._branch(fork_id, rest)
                    pending.append((fork_id, rest))
        for node_id in self._mapping:
            if node_id not in self._told:  # no path leads to it
                yield from self._branch(self._id, [node_id], is_lost=True)

    def _fork(self, fork_id: str, session_id: str, node_id: str, first: str) -> SessionStart:
        message = self._mapping[first].get("message")
        made = chatgpt.time_of(message) if isinstance(message, Mapping) else None
        about = {"id": self._id, "branch": first}
        title = text_of(self._record.get("title"))
        created_at = self._clock.at(made).time
        point = safe_id(node_id) if node_id in self._kept else None  # else there is nothing that a fork could share
        return SessionStart(fork_id, session_id, point, created_at=created_at, title=title, about=about)

    def _path_from(self, node_id: str) -> list[str]:
        """Return the nodes from one on, always the newest of several."""
        path: dict[str, None] = {}
        while node_id not in path:
            path[node_id] = None
            children = chatgpt.children_of(self._mapping, self._mapping[node_id])
            following = [each for each in children if each not in self._told and each not in path]
            if not following:
                break
            node_id = following[-1]
        return list(path)

    def _branch(self, session_id: str, path: Sequence[str], *, is_lost: bool = False) -> Iterator[Record]:
        call_id = None
        for node_id in path:
            self._told.add(node_id)
            node = self._mapping[node_id]
            message = node.get("message")
            if not isinstance(message, Mapping):
                if message is not None or len(chatgpt.children_of(self._mapping, node)) > 1 or is_lost:
                    self._kept.add(node_id)
                    yield opaque(
                        session_id, dict(node), "node", id=node_id, at=self._clock.at(None), weight=self._weight
                    )
                continue
            self._kept.add(node_id)
            call_id = self._call_before(node) if call_id is None else call_id
            written = None if is_lost else chatgpt.message_of(message, call_id)
            call_id = chatgpt.call_made_by(message) or call_id
            at = self._clock.at(chatgpt.time_of(message))
            if written is None or _is_hidden(message):
                content = message.get("content")
                kind = content.get("content_type") if isinstance(content, Mapping) else None
                kind = "hidden" if written is not None else text_of(kind) or "message"
                yield opaque(session_id, dict(message), kind, id=node_id, at=at, weight=self._weight)
                continue
            model = chatgpt.model_of(message)
            usage = None if model is None else missing_usage(model)
            rest = without(message, "create_time")
            yield said(session_id, written, id=node_id, at=at, rest=rest, usage=usage, weight=self._weight)

    def _call_before(self, node: Mapping[str, Any]) -> str | None:
        """Return the call that the nearest message above makes, on the way from a branch's first node to the root."""
        parent = node.get("parent")
        if not isinstance(parent, str) or parent not in self._mapping:
            return None
        above = (self._mapping[each].get("message") for each in reversed(chatgpt.path_to(self._mapping, parent)))
        found = (chatgpt.call_made_by(message) for message in above if isinstance(message, Mapping))
        return next((call_id for call_id in found if call_id is not None), None)


def _is_hidden(message: Mapping[str, Any]) -> bool:
    """Tell whether ChatGPT hides a message from the conversation, such as an empty one of the system."""
    metadata = message.get("metadata")
    return isinstance(metadata, Mapping) and metadata.get("is_visually_hidden_from_conversation") is True
