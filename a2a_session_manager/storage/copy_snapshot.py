"""Snapshot: what `fork(detached=True)` copies, as the property of a copy says it for whoever has to go on with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from a2a_session_manager.storage import codec
from a2a_session_manager.storage.fork_rules import COPIED_FROM
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import Range


@dataclass(slots=True)
class Snapshot:
    """What is copied, as it was when that began: it is in the copy's property, for whoever has to go on with it.

    `hidden` are ranges; `summaries` are the compactions that count, each as its seq, range and pins; `placed` are the
    summaries that stand elsewhere, each as its seq and place.
    """

    id: str
    creation_id: str
    seq: int
    whole: bool
    hidden: list[Range] = field(default_factory=list)
    summaries: list[tuple[int, int, int, tuple[Range, ...]]] = field(default_factory=list)
    placed: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, head: HeadRecord) -> Snapshot:
        """Return that of a head which was cut at the point."""
        summaries = [(each.seq, each.first, each.last, each.pins) for each in head.compactions]
        placed = [(each.seq, each.place) for each in head.placed]
        return cls(head.key.id, head.creation_id, head.last_seq, False, list(head.hidden), summaries, placed)

    @classmethod
    def in_property(cls, value: Any) -> Snapshot | None:
        """Return what a property says; None for what is none, or somebody else's."""
        try:
            hidden = [(first, last) for first, last in value.get("hidden", ())]
            summaries = [
                (seq, first, last, tuple((one, other) for one, other in pins))
                for seq, first, last, pins in value.get("summaries", ())
            ]
            placed = [(seq, place) for seq, place in value.get("placed", ())]
            return cls(value["id"], value["creation_id"], value["seq"], value["whole"], hidden, summaries, placed)
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    def as_property(self) -> dict[str, Any]:
        """Return it as a property's value; of a whole copy, nothing is needed but where it comes from."""
        place = {"id": self.id, "creation_id": self.creation_id, "seq": self.seq, "whole": self.whole}
        if self.whole:
            return place
        summaries = [[seq, first, last, list(map(list, pins))] for seq, first, last, pins in self.summaries]
        placed = list(map(list, self.placed))
        return {**place, "hidden": list(map(list, self.hidden)), "summaries": summaries, "placed": placed}


def copy_in(head: HeadRecord) -> Snapshot | None:
    """Return what a session says that it is a copy of; None where it says nothing of that."""
    data = head.properties.get(COPIED_FROM)
    return None if data is None else Snapshot.in_property(codec.decode_value(data, head.key.id, "properties"))
