"""Where sessions come from: the sessions of a store, one by one, parents first."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from a2a_session_manager.budgets.steps import ReadBudgets
from a2a_session_manager.bundles.carried_events import CarriedEvent
from a2a_session_manager.bundles.records import UNFINISHED, SessionRecord, record_of
from a2a_session_manager.bundles.report import Loss
from a2a_session_manager.bundles.snapshot import read_events, read_head
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound
from a2a_session_manager.identifiers import shown
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.storage import reads
from a2a_session_manager.storage.commit_records import Guard
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import Totals
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.target import Target

_REQUESTS: Final = "requests"


class SourceSession(ABC):
    """A session that is to be moved, as it was at one moment."""

    record: SessionRecord

    @abstractmethod
    def events(self) -> AsyncIterator[list[CarriedEvent]]:
        """Return its own events from the first one on, in pages; called again, from the first one on again."""


class SessionSource(ABC):
    """Sessions that are to be moved.

    Attributes:
        ids: each after its parent, a fork after the session that it was forked of, and each tree after the other.
        is_fixed: whether they are the same each time, as those in a file are.
    """

    ids: list[str]
    is_fixed = False

    @abstractmethod
    async def open(self, session_id: str) -> SourceSession | None:
        """Return one of the sessions; None when it was deleted meanwhile."""

    @abstractmethod
    def begins_tree(self, session_id: str) -> bool:
        """Tell whether a session is the first one of its tree."""

    @abstractmethod
    def has_below(self, session_id: str) -> bool:
        """Tell whether sessions below this one are moved, too."""

    @abstractmethod
    async def losses(self) -> list[Loss]:
        """Return what of them does not come along; called once all were opened."""


class TreeSession(SourceSession):
    """A session of a store. `guard` names the moment that the record is of."""

    def __init__(self, target: Target, head: HeadRecord, record: SessionRecord) -> None:
        self.record = record
        self.guard = Guard(head.revision, head.tag)
        self.creation_id = head.creation_id
        self._target = target
        self._head = head

    def events(self) -> AsyncIterator[list[CarriedEvent]]:
        record = self.record
        # What `record` has for its own though another session stores it was paid for there.
        spent_up_to = self._head.inherited if record.inherited == 0 else 0
        return read_events(
            self._target, self._head, after=record.inherited, last=record.last_seq, spent_up_to=spent_up_to
        )


class TreeSource(SessionSource):
    """A session of a store with all below it."""

    def __init__(self, store: BaseSessionStore, top: str, ids: list[str], requests: int) -> None:
        self.ids = ids
        self._store = store
        self._top = top
        self._inside = frozenset(ids)
        # Of all sessions of the tree, deleted ones too; 0 where only a part of the tree is moved.
        self._requests = requests
        self._spent: dict[str, int] = {}
        self._losses: list[Loss] = []

    @classmethod
    async def of(cls, store: BaseSessionStore, top: str) -> TreeSource:
        """Return that of the session `top` as its tree is now. Raises SessionNotFound."""
        target = store.target(top)
        # Before the sessions: what is spent meanwhile is spent by sessions that are there.
        totals = await target.backend.tree_totals(target.key)
        inside = {top}
        tree = await reads.load_tree(target)
        for node in tree:
            if node.parent_id in inside:
                inside.add(node.id)
        requests = 0 if totals is None else _requests_in(totals.totals)
        return cls(store, top, [node.id for node in tree if node.id in inside], requests)

    def begins_tree(self, session_id: str) -> bool:
        return session_id == self._top

    def has_below(self, session_id: str) -> bool:
        return True  # some may come meanwhile

    async def open(self, session_id: str) -> TreeSession | None:
        target = self._store.target(session_id)
        head = await read_head(target)
        if head is None:
            if session_id == self._top:
                raise SessionNotFound(session_id)
            return None
        self._note_losses(head)
        await self._note_budgets(target, head)
        return TreeSession(target, head, record_of(head, top=self._top, inside=self._inside))

    async def losses(self) -> list[Loss]:
        missing = self._requests - sum(self._spent.values())
        if missing <= 0:
            return self._losses
        text = f"{missing} requests of deleted sessions count in its tree there, and go nowhere"
        return [*self._losses, Loss(self._top, "deleted_spend", text)]

    def _note_losses(self, head: HeadRecord) -> None:
        session_id, source = head.key.id, head.forked_from
        is_top = session_id == self._top
        self._spent[session_id] = _requests_in(head.totals)
        if is_top and source is not None:
            text = (
                f"it was forked of {source.id!r} at {source.seq}: it takes these events along, and is no fork any more"
            )
            self._note(session_id, "flattened", text)
        elif is_top and head.parent_id is not None:
            self._note(session_id, "parent", f"its parent {head.parent_id!r} stays behind: it is a root")
        elif source is not None and source.id not in self._inside:
            self._note(
                session_id, "source", f"its source {source.id!r} is deleted: no session is named by that any more"
            )
        if UNFINISHED in head.properties:
            self._note(session_id, "unfinished", "it was being brought here, and is not whole: bring it again first")

    async def _note_budgets(self, target: Target, head: HeadRecord) -> None:
        """Note the budgets of a session: they are its tree's, and their holds are under way where it is."""
        with suppress(InvalidSessionOperation, SessionNotFound):  # a store that keeps none; a session that goes
            reply = await target.backend.step_budget(target.key, head.creation_id, ReadBudgets())
            own = [each.budget.id for each in reply.figures if each.budget.creation_id == head.creation_id]
            if own:
                self._note(head.key.id, "budgets", f"its budgets stay behind: {', '.join(map(shown, own))}")

    def _note(self, session_id: str, code: str, text: str) -> None:
        loss = Loss(session_id, code, text)
        if loss not in self._losses:
            self._losses.append(loss)


def base_store(store: SessionStore) -> BaseSessionStore:
    """Return the store as one whose records can be moved. Raises InvalidSessionOperation for another one."""
    if isinstance(store, BaseSessionStore):
        return store
    raise InvalidSessionOperation(
        f"{shown(type(store).__name__)} is no BaseSessionStore: sessions move between stores over a Backend"
    )


def _requests_in(totals: Totals) -> int:
    return sum(counters.get(_REQUESTS, 0) for counters in totals.values())
