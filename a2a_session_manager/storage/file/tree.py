"""One root's tree file: which sessions exist below it, and what the deleted ones had spent.

A session exists when its log does and its root's tree file names its creation id. So the line in this file
is what makes a child, and what ends one: everything below a deleted session ends with it, in one step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from a2a_session_manager.budgets.amounts import NOTHING, Spent, spent_by
from a2a_session_manager.budgets.blocks import Block, count_in
from a2a_session_manager.budgets.codec import budget_from
from a2a_session_manager.budgets.records import BudgetRecord, Key
from a2a_session_manager.models.forked_from import ForkedFrom
from a2a_session_manager.serialization.plain_json import dumped, parsed
from a2a_session_manager.storage import commit_rules
from a2a_session_manager.storage.file.atomic_files import read_regular
from a2a_session_manager.storage.file.creation_records import (
    BUDGET_FORMAT,
    FORK_FORMAT,
    FORMAT,
    CreationRecord,
    check_format,
)
from a2a_session_manager.storage.file.frame_writing import append_frames, no_room
from a2a_session_manager.storage.file.framed_file import FramedFile
from a2a_session_manager.storage.file.framing import FIRST_BYTES, Frame, begins_for_disk, framed
from a2a_session_manager.storage.file.handle_pool import HandlePool
from a2a_session_manager.storage.file.hold_file import HoldFile
from a2a_session_manager.storage.file.stored_shapes import all_text, check_counters, check_forked_from
from a2a_session_manager.storage.records import SessionKey, Totals


class TreeEntry(NamedTuple):
    """A session's place in the tree; ordinals count every session ever created in it."""

    id: str
    parent_id: str | None
    creation_id: str
    ordinal: int
    forked_from: ForkedFrom | None = None


class SeenSpent(NamedTuple):
    """What a session had spent when its log was as `stamp` tells: device, inode, size and time of change."""

    path: str
    stamp: tuple[int, int, int, int]
    spent: Spent
    blocks: Mapping[str, Block]


class TreeFile(FramedFile):
    """The existing sessions of a tree in creation order, and the deleted ones whose logs are not purged yet."""

    def __init__(self, path: Path, root: SessionKey, pool: HandlePool, *, root_log: Path, durable: bool) -> None:
        super().__init__(path, root.id, pool, durable=durable)
        self._root_log = root_log
        self.holds = HoldFile(path, root.id, pool, durable=durable)
        # What was spent, by the creation id of a session: see `spending.py`. It tells by itself when it is outdated.
        self.spent: dict[str, SeenSpent] = {}
        self.root = root
        self.forget()

    def forget(self) -> None:
        self.sessions: dict[str, TreeEntry] = {}
        # By creation id: of the root's present incarnation, whose spend is the tree's, and of its earlier ones.
        self.deleted: dict[str, TreeEntry] = {}
        self.deleted_earlier: dict[str, TreeEntry] = {}
        self.purged_totals: Totals = {}
        self.created = 0
        # By creation id, that of the parent: of every session that was ever in the tree.
        self._known: dict[str, str | None] = {}
        # Replaced, never changed, so that one who does not hold the file may read it.
        self.budgets: dict[Key, BudgetRecord] = {}
        self.windowed: tuple[BudgetRecord, ...] = ()
        # What deleted sessions, whose logs are purged, had spent below each session, by creation id.
        self.purged_below: dict[str, Spent] = {}
        # What they had spent in windows of budgets.
        self.purged_blocks: dict[str, Block] = {}
        self._children: dict[str, dict[str, None]] = {}

    def is_present(self, session_id: str, creation_id: str) -> bool:
        entry = self.sessions.get(session_id)
        return entry is not None and entry.creation_id == creation_id

    def names(self, creation: CreationRecord) -> bool:
        """Tell whether the session of this creation exists, under the root it was made under."""
        return self.is_present(creation.root_id, creation.root_creation_id) and self.is_present(
            creation.key.id, creation.creation_id
        )

    @property
    def is_empty(self) -> bool:
        """True when the tree has no session, and no log of a deleted one is left."""
        return not (self.sessions or self.deleted or self.deleted_earlier)

    def unpurged(self, creation_id: str) -> TreeEntry | None:
        """Return the entry of that session if it was deleted, and its log not purged yet."""
        return self.deleted.get(creation_id) or self.deleted_earlier.get(creation_id)

    def all_unpurged(self) -> Iterator[TreeEntry]:
        """Yield the entries of the deleted sessions whose logs are not purged yet, those below others first."""
        yield from self.deleted_earlier.values()
        yield from self.deleted.values()

    def knows(self, creation_id: str) -> bool:
        """Tell whether that session was ever in the tree."""
        return creation_id in self._known

    def path_of(self, creation_id: str) -> tuple[str, ...]:
        """Return the creation ids from the root to a session that is, or was, in the tree."""
        path = [creation_id]
        while (above := self._known.get(path[-1])) is not None:
            path.append(above)
        return tuple(reversed(path))

    def windowed_above(self, creation_id: str) -> Sequence[BudgetRecord]:
        """Return the budgets with windows that a session spends from. Others may hold the file meanwhile."""
        if not self.windowed:
            return ()
        path = self.path_of(creation_id)
        return [budget for budget in self.windowed if budget.creation_id in path]

    def children(self, session_id: str) -> list[TreeEntry]:
        """Return the existing children in creation order, without forks."""
        return [entry for entry in self._right_below(session_id) if entry.forked_from is None]

    def forks(self, session_id: str) -> list[TreeEntry]:
        """Return the existing forks right below the session in creation order."""
        return [entry for entry in self._right_below(session_id) if entry.forked_from is not None]

    def below(self, session_id: str) -> Iterator[TreeEntry]:
        """Yield the session's own entry and those of all below it."""
        waiting = [session_id]
        while waiting:
            current = waiting.pop()
            yield self.sessions[current]
            waiting.extend(self._children.get(current, []))

    def add(
        self, session_id: str, parent_id: str | None, creation_id: str, forked_from: ForkedFrom | None = None
    ) -> None:
        """Write that a session exists."""
        if forked_from is None:
            self._write({"+": [session_id, parent_id, creation_id]})
        else:
            self._write({"+": [session_id, parent_id, creation_id, forked_from], "v": FORK_FORMAT})

    def put_budget(self, budget: BudgetRecord) -> None:
        """Write a budget as it is from now on."""
        self._write({"=": budget, "v": BUDGET_FORMAT})

    def delete(self, session_id: str) -> None:
        """Write that a session, and all below it, exist no more."""
        self._write({"-": session_id})

    def purge(self, spent: Sequence[tuple[TreeEntry, Totals, Mapping[str, Block]]]) -> None:
        """Write, in one write, what each of some deleted sessions had spent: their logs are not needed any more."""
        self._write(*[_purge_record(*each) for each in spent])

    def may_be_lost_whole(self) -> bool:
        # It has its name before its first line; the root's log is whole on disk before that, and says for what.
        try:
            is_for_disk = begins_for_disk(read_regular(self._root_log, most=64))
        except FileNotFoundError:
            return False
        return is_for_disk and self.on_disk.mark.read(None) == 0

    def take(self, frame: Frame) -> None:
        record: dict[str, Any] = parsed(frame.payload)
        check_format(record.pop("v", FORMAT))
        if len(record) != 1:
            raise ValueError("no line of a tree")
        if "+" in record:
            self._take_creation(*record["+"])
        elif "-" in record:
            self._take_deletion(record["-"])
        elif "=" in record:
            self._take_budget(budget_from(record["="]))
        else:
            self._take_purge(*record["$"])

    def _take_creation(
        self, session_id: str, parent_id: str | None, creation_id: str, source: list[Any] | None = None
    ) -> None:
        if not all_text(session_id, creation_id) or creation_id in self._known or session_id in self.sessions:
            raise ValueError("a session that is there already")
        if parent_id not in self.sessions if self.sessions else (parent_id, session_id) != (None, self.root.id):
            raise ValueError("a session without its parent")
        if source is not None:
            check_forked_from(source)
        self.created += 1
        forked_from = None if source is None else ForkedFrom(*source)
        self.sessions[session_id] = TreeEntry(session_id, parent_id, creation_id, self.created, forked_from)
        self._known[creation_id] = None if parent_id is None else self.sessions[parent_id].creation_id
        if parent_id is not None:
            self._children.setdefault(parent_id, {})[session_id] = None
        else:
            # A new incarnation of the root: what the earlier one spent is not its own.
            self.deleted_earlier |= self.deleted
            self.deleted = {}
            self.purged_totals = {}
            self._keep_budgets({})
            self.purged_below, self.purged_blocks = {}, {}

    def _take_deletion(self, session_id: str) -> None:
        if session_id not in self.sessions:
            raise ValueError("the end of a session that is not there")
        ended = list(self.below(session_id))
        parent_id = ended[0].parent_id
        if parent_id is not None:
            del self._children[parent_id][session_id]
        for entry in ended:
            del self.sessions[entry.id]
            self._children.pop(entry.id, None)
        # The one that was deleted comes last: while its log is there, its deletion can be taken up again.
        self.deleted |= {entry.creation_id: entry for entry in reversed(ended)}

        if self.budgets:
            # A grant of a session that is gone holds nothing any more.
            gone = {entry.creation_id for entry in ended}
            self._keep_budgets({key: budget for key, budget in self.budgets.items() if key[0] not in gone})

    def _take_budget(self, budget: BudgetRecord) -> None:
        if not self.is_present(budget.session_id, budget.creation_id):
            raise ValueError("a budget of a session that is not there")
        if budget.path != self.path_of(budget.creation_id):
            raise ValueError("a budget of another tree")
        self._keep_budgets({**self.budgets, budget.key: budget})

    def _keep_budgets(self, budgets: dict[Key, BudgetRecord]) -> None:
        self.budgets = budgets
        live = (budget for budget in budgets.values() if not budget.is_removed)
        self.windowed = tuple(budget for budget in live if budget.window is not None)

    def _take_purge(self, creation_id: str, cells: list[Any], blocks: dict[str, list[int]] | None = None) -> None:
        # One that the tree never named was made while it was copied: it has spent nothing here.
        if self.unpurged(creation_id) is None and (creation_id in self._known or cells):
            raise ValueError("a deleted session that is not there, or was counted already")
        for model, source, counters in cells:
            check_counters(counters)
            if not all_text(model, source):
                raise ValueError("a wrong model")
        self._known.setdefault(creation_id, None)
        if self.deleted_earlier.pop(creation_id, None) is not None:
            return
        self.deleted.pop(creation_id, None)
        for model, source, counters in cells:
            commit_rules.add_counters(self.purged_totals.setdefault((model, source), {}), counters)
        for name, fields in (blocks or {}).items():
            block = Block(*fields)
            count_in(self.purged_blocks, [(name, block.begin)], block.spent)
        spent = spent_by(counters for _, _, counters in cells)
        for above in self.path_of(creation_id)[:-1]:
            self.purged_below[above] = self.purged_below.get(above, NOTHING).plus(spent)

    def _right_below(self, session_id: str) -> Iterator[TreeEntry]:
        return (self.sessions[child_id] for child_id in self._children.get(session_id, ()))

    def _write(self, *records: dict[str, Any]) -> None:
        if self.offset == 0:
            records[0].setdefault("v", FORMAT)
        synced = self.on_disk.for_a_record(self._first_bytes)
        payloads = list(map(dumped, records))
        frames = [framed(payload, synced) for payload in payloads]
        whole = append_frames(self, frames, synced)
        if self.offset == 0 and whole:
            self._first_bytes = frames[0][:FIRST_BYTES]
        for payload, frame in zip(payloads[:whole], frames, strict=False):
            self._take(Frame(self.offset, self.offset + len(frame), payload, synced))
        if whole < len(frames):
            raise no_room(self)


def _purge_record(entry: TreeEntry, totals: Totals, blocks: Mapping[str, Block]) -> dict[str, Any]:
    if not blocks:
        return {"$": [entry.creation_id, _cells(totals)]}
    return {"$": [entry.creation_id, _cells(totals), blocks], "v": BUDGET_FORMAT}


def _cells(totals: Totals) -> list[list[Any]]:
    return [[model, source, counters] for (model, source), counters in totals.items()]
