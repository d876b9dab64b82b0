"""What is written for a checkpoint: its record, the values that are new in it, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, NamedTuple

from a2a_session_manager.identifiers import derived_id
from a2a_session_manager.integrations.langgraph.encoding import Encoder
from a2a_session_manager.integrations.langgraph.lists import KnownLists, ListRef, NewList, next_list
from a2a_session_manager.integrations.langgraph.records import CHECKPOINT, VALUE, Record, Ref
from a2a_session_manager.integrations.langgraph.usage import usage_events
from a2a_session_manager.models.session_event import SessionEvent


class Put(NamedTuple):
    """A checkpoint as LangGraph gives it, and which of its channels have changed."""

    checkpoint: Mapping[str, Any]
    metadata: Mapping[str, Any]
    new_versions: Mapping[str, Any]
    parent_id: str | None

    @property
    def id(self) -> str:
        """The checkpoint's id."""
        return str(self.checkpoint["id"])


class Draft:
    """The events of a checkpoint, under ids that are not `taken`.

    Attributes:
        refs: where the values of all its channels lie.
        usages: what the answers in it cost that are new.
    """

    def __init__(
        self,
        encoder: Encoder,
        lists: KnownLists,
        session_id: str,
        put: Put,
        before: Mapping[str, Ref],
        taken: Set[str],
    ) -> None:
        self._encoder = encoder
        self._lists = lists
        self._session_id = session_id
        self._put = put
        self._before = before
        self._taken = taken
        self._new_lists: list[NewList] = []
        self.refs: dict[str, Ref] = {}
        self.events: list[SessionEvent[Any]] = []
        self.usages: list[SessionEvent[Any]] = []
        self._draw()

    @property
    def goes_on(self) -> bool:
        """Tell whether values of the checkpoint before it may be among its own."""
        return bool(self._before)

    def remember(self) -> None:
        """Remember the lists, once they are stored."""
        for new in self._new_lists:
            self._lists.remember(self._session_id, new.ref, new.items)

    def _draw(self) -> None:
        put, values = self._put, self._put.checkpoint.get("channel_values", {})
        for channel in {**put.checkpoint.get("channel_versions", {}), **values}:
            is_new = channel in put.new_versions or channel not in self._before
            if is_new and channel in values:
                self.refs[channel] = self._add(channel, values[channel])
            elif not is_new:
                self.refs[channel] = self._before[channel]
        about = {name: value for name, value in put.checkpoint.items() if name != "channel_values"}
        record = Record(
            put.id, put.parent_id, self._encoder.encode(about), self._encoder.encode(dict(put.metadata)), self.refs
        )
        name = f"c:{put.id}"
        self._append(self._free(name if len(name) <= 400 else f"c:{derived_id(name)}"), CHECKPOINT, record.as_message())

    def _add(self, channel: str, value: Any) -> Ref:
        if type(value) is list and value:
            return self._add_list(channel, value)
        event_id = self._free(f"v:{derived_id(f'{self._put.id} {channel}')}")
        self._append(event_id, VALUE, {"value": self._encoder.encode(value)})
        self.usages += usage_events([value])
        return event_id

    def _add_list(self, channel: str, value: list[Any]) -> Ref:
        base = self._before.get(channel)
        if not isinstance(base, ListRef):
            base = None
        known = [] if base is None else self._lists.get(self._session_id, base) or []
        line = derived_id(f"{self._put.id} {channel}")
        line = self._free(f"l:{line}:0").removeprefix("l:").removesuffix(":0")
        new = next_list(value, self._encoder, base, known, line, self._is_free)
        self._append(f"l:{new.ref.line}:{new.ref.number}", VALUE, new.message)
        self._new_lists.append(new)
        self.usages += usage_events(value[new.message["keep"] :])
        return new.ref

    def _append(self, id: str, type: str, message: Any) -> None:
        self.events.append(SessionEvent(id=id, message=message, type=type))

    def _is_free(self, id: str) -> bool:
        return id not in self._taken

    def _free(self, name: str) -> str:
        """Return the first id that is not taken: of a checkpoint, `#1` and so on; of a value, another name."""
        if name not in self._taken:
            return name
        if name.startswith("c:"):
            return next(each for each in (f"{name}#{number}" for number in range(1, 10_000)) if self._is_free(each))
        kind, _, rest = name.partition(":")
        stem, number = (rest.removesuffix(":0"), ":0") if kind == "l" else (rest, "")
        return self._free(f"{kind}:{derived_id(f'{stem} again')}{number}")
