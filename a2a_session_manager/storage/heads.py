"""Head records: a new one, and a copy that a backend can hand out."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Receipt
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import SessionKey, StoredRun

# A bounded read returns so many of the newest runs, and every unfinished one.
BOUNDED_RUNS = 20


def new_head(key: SessionKey, creation: Creation) -> HeadRecord:
    """Return the head of a session that is just being created, before its first commit."""
    parent, fork = creation.parent, creation.fork
    head = HeadRecord(
        key=key,
        creation_id=creation.creation_id,
        parent_id=None if parent is None else parent.id,
        root_id=key.id if parent is None else parent.root_id,
        depth=1 if parent is None else parent.depth + 1,
        created_at=creation.created_at,
        updated_at=creation.active_at,
    )
    if fork is not None:
        head.last_seq, head.forked_from, head.segments = fork.source.seq, fork.source, fork.segments
        head.hidden, head.compactions, head.placed = list(fork.hidden), list(fork.compactions), list(fork.placed)
    return head


def made_head(key: SessionKey, creation: Creation, commit: EncodedCommit, receipt: Receipt) -> HeadRecord:
    """Return the head of a fork that was just created."""
    head = new_head(key, creation)
    head.revision, head.last_seq, head.tag = receipt.revision, receipt.last_seq, receipt.tag
    head.state = {name: data for name, data in commit.state.items() if data is not None}
    head.properties = {name: data for name, data in commit.properties.items() if data is not None}
    return head


def copied(head: HeadRecord, *, whole_head: bool) -> HeadRecord:
    """Return a copy of a head, which later commits do not change.

    With `whole_head` it has all runs, else the unfinished ones and the newest.
    """
    shown = head.runs if whole_head else _few(head.runs, head.unfinished)
    return replace(
        head,
        state=dict(head.state),
        properties=dict(head.properties),
        runs=dict(shown),
        unfinished=dict(head.unfinished),
        leases=dict(head.leases),
        hidden=list(head.hidden),
        compactions=list(head.compactions),
        placed=list(head.placed),
        blocks=dict(head.blocks),
        totals={cell: dict(counters) for cell, counters in head.totals.items()},
        run_totals={
            run_id: dict(counters)
            for run_id in (head.run_totals if whole_head else shown)
            if (counters := head.run_totals.get(run_id)) is not None
        },
    )


def _few(runs: dict[str, StoredRun], unfinished: dict[str, None]) -> dict[str, StoredRun]:
    newest = list(islice(reversed(runs), BOUNDED_RUNS))[::-1]
    # A run that is not among the newest was committed before them, and both dicts are in the order of first commit.
    older = [run_id for run_id in unfinished if run_id not in newest]
    return {run_id: runs[run_id] for run_id in [*older, *newest]}
