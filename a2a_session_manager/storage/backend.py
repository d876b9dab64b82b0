"""What an implementer writes: a few primitives over encoded bytes. `BaseSessionStore` makes a store of them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.storage.records import (
    Creation,
    EncodedCommit,
    Guard,
    LoadedSession,
    LogPage,
    Receipt,
    SessionKey,
    TreeNode,
    TreeTotals,
)


class Backend(ABC):
    """Keeps encoded bytes. Every write is one atomic, durable step: all of it or nothing, however it is cut off.

    Keys arrive checked, commits encoded and within the limits. A write may be `async def`, which then runs in
    a task of its own, or return a future. It is never cancelled by its caller. The rules of a commit are in
    `commit_rules`; a backend that decides elsewhere keeps the same ones. Errors are those of `exceptions`.
    """

    is_closed = False

    @property
    def place(self) -> object:
        """What is equal for two backends that surely keep the same data; None where this cannot be told."""
        return None

    @property
    def shown_place(self) -> str:
        """What a store's `repr` says of where its data is, such as a URL: never a user, a password or an option."""
        return ""

    def check_open(self) -> None:
        """Raise StoreUnavailable once the store is closed."""
        if self.is_closed:
            raise StoreUnavailable("the store is closed: open a new one")

    @abstractmethod
    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        """Make the session, holding `commit`, as revision 1, below its parent if it has one.

        A session that exists and knows the commit's write id answers with its first result; one that does
        not raises SessionAlreadyExists. Raises SessionNotFound when that life of the parent is gone.
        """

    @abstractmethod
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        """Write what `commit_rules.decide` says, or answer a known write id with its first result.

        Raises SessionNotFound when the session, or the life of it that is meant, is gone, and EventsKnown, as
        `commit_rules.decide` does, for a commit with events that are stored already: then nothing is written.
        """

    @abstractmethod
    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> Awaitable[None]:
        """Delete this life of the session and, with `cascade`, all below it; gone already is fine.

        Raises SessionConflict when the session itself is not where `guard` expects it, which is looked at in the same
        step: no commit comes in between. Without `cascade` raises InvalidSessionOperation when it has children. What
        a deleted session spent stays in the totals of its root. A commit that comes later finds nothing, and brings
        nothing back.
        """

    async def creation_id_of(self, key: SessionKey) -> str | None:
        """Return which life of the session is there, to be deleted; None when there is none.

        A backend that can tell it of a damaged session does so, for then it can be deleted.
        """
        loaded = (await self.load([key], last=0, whole_head=False))[0]
        return None if loaded is None else loaded.head.creation_id

    def cut_damaged_tail(self, key: SessionKey) -> Awaitable[int]:
        """Move what is damaged at the end of the session out of the way, where nobody's data is lost by it.

        Return how many bytes; 0 where nothing is damaged, and for a backend that has no such way out, as here.
        """
        return _nothing()

    @abstractmethod
    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        """Return heads with their newest `last` visible events (None: all), in the order of `keys`.

        `whole_head` brings all runs and the child ids; without it come the unfinished runs and the last 20.
        The caller keeps what it gets: no later write may show in it.
        """

    @abstractmethod
    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        """Return up to `limit` events behind the seq `after`; None when there is no such session.

        Together they hold no more than `max_bytes`, but one comes always, where there is one. A backend may leave
        `max_bytes` out of account; then readers of large events hold a page of them.
        """

    @abstractmethod
    async def children(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        """Return up to `limit` (1 or more) child ids in creation order, from behind `cursor`; None without
        the session. InvalidSessionOperation for a cursor that no page gave.
        """

    @abstractmethod
    async def tree(self, key: SessionKey) -> list[TreeNode] | None:
        """Return the whole tree that holds the session, in creation order; None without the session."""

    @abstractmethod
    async def tree_totals(self, key: SessionKey) -> TreeTotals | None:
        """Return what a root's tree has spent, deleted sessions included; None when `key` is no root."""

    @abstractmethod
    async def list_page(
        self, namespace: str, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> SessionPage:
        """Return up to `limit` (1 or more) ids that start with `prefix`, in a stable order, from behind `cursor`."""

    async def wait(self, key: SessionKey, creation_id: str, revision: int) -> None:
        """Return when this life of the session may have left `revision` or is over; early is fine."""
        await asyncio.sleep(0.1)

    @abstractmethod
    async def aclose(self) -> None:
        """Finish what is under way, release what was opened, and set `is_closed`; twice is fine."""


async def _nothing() -> int:
    return 0
