"""A whole head to one JSON document and back, for backends that store it in one piece."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from a2a_session_manager.budgets.blocks import Block
from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.models.forked_from import ForkedFrom
from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.storage.codec import FORMAT
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import (
    Lease,
    PlacedSummary,
    Range,
    Segment,
    SessionKey,
    StoredCompaction,
    StoredRun,
    Totals,
)

# The head of a fork: a release that knows none would read a part of its log for the whole.
FORK_FORMAT = 2


def encode_head(head: HeadRecord) -> bytes:
    """Return the head as JSON, without its key. Values and runs, which are JSON already, are strings in it."""
    document = {
        "v": FORMAT,
        "creation_id": head.creation_id,
        "parent_id": head.parent_id,
        "root_id": head.root_id,
        "depth": head.depth,
        "created_at": head.created_at,
        "updated_at": head.updated_at,
        "revision": head.revision,
        "tag": head.tag,
        "last_seq": head.last_seq,
        "state": {name: data.decode() for name, data in head.state.items()},
        "properties": {name: data.decode() for name, data in head.properties.items()},
        "runs": [[run_id, run.status, run.data.decode()] for run_id, run in head.runs.items()],
        "unfinished": list(head.unfinished),
        "hidden": head.hidden,
        "compactions": head.compactions,
        "placed": head.placed,
        "totals": totals_document(head.totals),
        "run_totals": head.run_totals,
    }
    if head.blocks:
        document["blocks"] = head.blocks
    if head.leases:
        document["leases"] = head.leases
    if head.forked_from is not None:
        document |= {"v": FORK_FORMAT, "forked_from": head.forked_from, "segments": head.segments}
    return json.dumps(document, separators=(",", ":")).encode()


def decode_head(data: bytes, key: SessionKey) -> HeadRecord:
    """Return the head of session `key` that `encode_head` made into `data`.

    Raises CorruptSession for anything else, and for what a newer release has written.
    """
    try:
        return _decoded(parsed(data), key)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptSession(
            key.id, f"session {key.id!r}: its head is damaged: restore it from a backup; nothing was changed"
        ) from error


def totals_document(totals: Totals) -> list[Any]:
    """Return totals as JSON values."""
    return [[model, source, counters] for (model, source), counters in totals.items()]


def totals_in(document: Iterable[Any]) -> Totals:
    """Return the totals that `totals_document` made into JSON values."""
    return {(model, source): counters for model, source, counters in document}


def _decoded(document: dict[str, Any], key: SessionKey) -> HeadRecord:
    if document.pop("v") > FORK_FORMAT:
        raise CorruptSession(key.id, f"session {key.id!r} was written by a newer release: upgrade a2a_session_manager")
    runs = {run_id: StoredRun(status, text.encode()) for run_id, status, text in document.pop("runs")}
    return HeadRecord(
        key=key,
        state={name: text.encode() for name, text in document.pop("state").items()},
        properties={name: text.encode() for name, text in document.pop("properties").items()},
        runs=runs,
        unfinished=dict.fromkeys(document.pop("unfinished")),
        leases={run_id: Lease(*lease) for run_id, lease in document.pop("leases", {}).items()},
        hidden=_ranges(document.pop("hidden")),
        compactions=[
            StoredCompaction(seq, first, last, tuple(_ranges(pins)))
            for seq, first, last, pins in document.pop("compactions", ())
        ],
        placed=[PlacedSummary(seq, place) for seq, place in document.pop("placed", ())],
        blocks={name: Block(*block) for name, block in document.pop("blocks", {}).items()},
        totals=totals_in(document.pop("totals")),
        forked_from=ForkedFrom(*fork) if (fork := document.pop("forked_from", None)) is not None else None,
        segments=tuple(Segment(*segment) for segment in document.pop("segments", ())),
        **document,
    )


def _ranges(pairs: Iterable[Any]) -> list[Range]:
    return [(first, last) for first, last in pairs]
