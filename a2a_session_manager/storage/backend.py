"""Backend: the primitives over encoded bytes that a store is made of. `BaseSessionStore` makes a store of them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping, MutableMapping, Sequence
from typing import TypeVar

from a2a_session_manager.budgets.steps import BudgetReply, BudgetStep
from a2a_session_manager.diagnosis import StoreFinding
from a2a_session_manager.exceptions import (
    InvalidSessionOperation,
    StoreFull,
    StoreUnavailable,
)
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.statistics import StoreStatistics
from a2a_session_manager.storage import derived_primitives
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Guard, LeaseRenewal, Receipt
from a2a_session_manager.storage.fork_rules import ForkDraft
from a2a_session_manager.storage.observer import QueueObserver, RunObserver
from a2a_session_manager.storage.page_records import HeadPage, PageQuery
from a2a_session_manager.storage.page_walk import count_by_walking, page_by_walking
from a2a_session_manager.storage.read_records import (
    FoundEvents,
    HeadRecord,
    LoadedSession,
    LogPage,
    LogTail,
    NamespacePage,
    TreeNode,
    TreeTotals,
)
from a2a_session_manager.storage.records import HeldLease, SessionKey
from a2a_session_manager.storage.trusted_log import TrustedLog

AnswerT = TypeVar("AnswerT")


class Backend(ABC):
    """Keeps encoded bytes. Every write is one atomic, durable step: it is made as a whole or not at all.

    Keys are checked before they come here, commits are encoded and within the limits. A primitive may be an
    `async def`, or return what can be awaited, such as a future. A write that is an `async def` is run in a task of its
    own, and its caller never cancels it. `commit_rules` has the rules of a commit; a backend that decides elsewhere,
    such as in a script of the server, follows the same ones. Errors are those of `exceptions`, raised from the foreign
    ones.

    A creation id names one incarnation of a session id: after a deletion, a new session of that id has another one.
    """

    is_closed = False
    # Streams of `follow` that wait for news; whoever follows counts itself.
    followers = 0
    # By loop; see `heartbeats.py`, which puts them here.
    heartbeats: Mapping[asyncio.AbstractEventLoop, object] | None = None
    # By loop and namespace; see `namespace_looks.py`, which puts them here.
    looks: MutableMapping[tuple[asyncio.AbstractEventLoop, Namespace], object] | None = None
    # Who is told of the runs over this backend; see `BaseSessionStore.wrap_backend`.
    run_observer: RunObserver | None = None
    # What was told of budgets, so that it need not be asked for again; see `crossings.py`.
    _told_crossings: set[tuple[str, str]] | None = None
    # The properties that sessions may be found by in `page` and `count`; the verbs refuse all others.
    indexed: Sequence[str] = ()

    @property
    def place(self) -> object:
        """A value that is equal for two backends which certainly have the same data; None when this is unknown."""
        return None

    @property
    def shown_place(self) -> str:
        """What a store's `repr` says of where its data is, such as a URL: never a user, a password or an option."""
        return ""

    @property
    def told(self) -> set[tuple[str, str]]:
        """The crossings of budgets that were told, by the creation id of the session and the id of the event."""
        if self._told_crossings is None:
            self._told_crossings = set()
        return self._told_crossings

    def statistics(self) -> StoreStatistics:
        """Return what was counted, and what is open now. It may be called from any thread, and of a closed backend."""
        return StoreStatistics(followers=self.followers)

    def observe(self, observer: QueueObserver) -> None:
        """Tell `observer` of batches and retries from now on; a backend without them, like this one, tells nothing."""
        return

    def check_open(self) -> None:
        """Raise StoreUnavailable once the store is closed."""
        if self.is_closed:
            raise StoreUnavailable("the store is closed: open a new one")

    @abstractmethod
    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        """Create the session with `commit` as its revision 1, below the parent in `creation`, if there is one.

        With `creation.fork`, its head begins as `heads.new_head` says, its retractions with `forks.first_retraction`,
        and its log is read through `forks.log_parts`. The ids of the events that it inherits are known to it, as are
        the responses that were counted up to there.

        When the session exists, return its first result if it knows the commit's write id, and raise
        SessionAlreadyExists otherwise. Raises SessionNotFound when that incarnation of the parent has been deleted.
        """

    def fork_at_once(
        self, source: SessionKey, key: SessionKey, draft: ForkDraft
    ) -> Awaitable[HeadRecord | LoadedSession | None] | None:
        """Read the source and create its fork `key` in one step, as `draft.planned` says, and return the fork's head.

        Where that takes a closer look, it returns what `load_until` would, and None where anything is in the way.
        Nothing was made then, and the verb looks, and creates. Raises what these do. A backend for which one step is no
        cheaper returns None itself, like this one.
        """
        return None

    @abstractmethod
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        """Write what `commit_rules.decide` says, or return the first result of a write id that is known.

        Raises SessionNotFound when the session does not exist, or is another incarnation than the commit names; and
        EventsKnown, like `commit_rules.decide`, for a commit with events that are stored already. Then nothing is
        written.
        """

    @abstractmethod
    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> Awaitable[None]:
        """Delete the incarnation `creation_id` of the session and, with `cascade`, all below it.

        When it does not exist any more, do nothing. Raises SessionConflict when the session itself is not at the
        revision of `guard`; this is checked in the same step. Without `cascade`, raises InvalidSessionOperation when it
        has children. What a deleted session spent stays in the totals of its root. A commit that arrives later finds no
        session, and creates none.
        """

    def creation_id_of(self, key: SessionKey) -> Awaitable[str | None]:
        """Return the creation id of the session, to delete it; None when there is none.

        A backend that can read it from a damaged session does so, so that the session can be deleted.
        """
        return derived_primitives.creation_id_of(self, key)

    def cut_damaged_tail(self, key: SessionKey) -> Awaitable[int]:
        """Move the damaged end of the session's data elsewhere, without removing it, and return how many bytes it had.

        Return 0 when nothing is damaged. A backend that has no such way out always does, like this one.
        """
        return _answered(0)

    def trusted_log(self, key: SessionKey) -> Awaitable[TrustedLog | None]:
        """Return the longest part of the session, from its start, that can be trusted; nothing is changed.

        None where reading page by page tells as much, as here. A backend that cannot read a damaged session in pages
        does better. Raises CorruptSession when nothing can be trusted.
        """
        return _answered(None)

    @abstractmethod
    def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> Awaitable[list[LoadedSession | None]]:
        """Return the head of each session with its newest `last` visible events (None: all), in the order of `keys`.

        With `whole_head`, a head has all runs and the child ids, without forks; without it, the unfinished runs and the
        20 newest. The caller keeps the result, so no later write may change it.
        """

    def load_until(self, key: SessionKey, *, seq: int | None, last: int) -> Awaitable[LoadedSession | None]:
        """Return the head, with what is hidden, and the newest `last` visible events up to `seq`; None for no session.

        A `seq` of None, or above the last one, is the end of the log. All is as it was in one moment. This one reads
        several times, and so may bring what was hidden in a later moment than the rest.
        """
        return derived_primitives.load_until(self, key, seq, last)

    def read_tail(self, key: SessionKey, *, last: int | None) -> Awaitable[LogTail | None]:
        """Return the newest `last` visible events (None: all) without the head; None when there is no such session.

        A backend that loads heads at a cost has a shorter way.
        """
        return derived_primitives.read_tail(self, key, last)

    def read_compacted(self, key: SessionKey, *, last: int | None) -> Awaitable[LogTail | None]:
        """Return what a view is made of that is to hold the newest `last` events (None: all), as `read_tail` does.

        `compactions.shown` says what that is. A backend that loads heads at a cost has a shorter way.
        """
        return derived_primitives.read_compacted(self, key, last)

    @abstractmethod
    def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> Awaitable[LogPage | None]:
        """Return up to `limit` events with a seq above `after`, hidden ones too; None when there is no such session.

        Together they have at most `max_bytes`, but at least one is returned if there is one. A backend may ignore
        `max_bytes`; then readers hold whole pages of large events in memory.
        """

    def find_events(
        self, key: SessionKey, event_ids: Sequence[str], *, max_bytes: int
    ) -> Awaitable[FoundEvents | None]:
        """Return the events of `event_ids`, all different, and hidden ones too; None when there is no session.

        Together they have about `max_bytes` at most, but one is returned at least; the ids of the others are `unread`.
        A backend that knows where its events lie does better than this one, which reads the log from its start.
        """
        return derived_primitives.find_events(self, key, event_ids, max_bytes)

    @abstractmethod
    def children(self, key: SessionKey, *, cursor: str | None, limit: int) -> Awaitable[SessionPage | None]:
        """Return up to `limit` (1 or more) child ids in creation order, those after `cursor`; forks are left out.

        Return None when there is no such session. Raises InvalidSessionOperation for what is no cursor of a page.
        """

    def forks(self, key: SessionKey, *, cursor: str | None, limit: int) -> Awaitable[SessionPage | None]:
        """Return up to `limit` (1 or more) ids of the forks right below the session, those after `cursor`.

        This one reads the whole tree. A backend that keeps forks apart from children has a shorter way.
        """
        return derived_primitives.forks(self, key, cursor, limit)

    @abstractmethod
    def tree(self, key: SessionKey) -> Awaitable[list[TreeNode] | None]:
        """Return the whole tree that the session is in, in creation order; None when there is no such session."""

    @abstractmethod
    def tree_totals(self, key: SessionKey) -> Awaitable[TreeTotals | None]:
        """Return what a root's tree has spent, deleted sessions included; None when `key` is no root."""

    @abstractmethod
    def list_page(
        self, namespace: Namespace, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> Awaitable[SessionPage]:
        """Return up to `limit` (1 or more) ids that start with `prefix`, in a stable order, those after `cursor`.

        With `roots_only`, sessions that have a parent are left out.
        """

    def page(
        self, namespace: Namespace, query: PageQuery, *, cursor: str | None, limit: int, last: int
    ) -> Awaitable[HeadPage]:
        """Return up to `limit` (1 or more) sessions that `query` takes, in its order, those after `cursor`.

        Each comes with its newest `last` visible events. A page has fewer sessions than `limit` only when there are no
        more. A session is on one page of a paging at most, and one whose place stays is on one exactly; `page_rules`
        says what is taken, and where it stands. Between pages, an order by activity may be wrong by 10 seconds.

        Raises InvalidSessionOperation for what is no cursor of a page. This one reads the heads of all sessions of the
        namespace, at each call; a backend with an index does not.
        """
        return page_by_walking(self, namespace, query, cursor=cursor, limit=limit, last=last)

    def count(self, namespace: Namespace, query: PageQuery) -> Awaitable[int]:
        """Return how many sessions `query` takes, exactly. This one reads the heads of all of the namespace."""
        return count_by_walking(self, namespace, query)

    def stamps(self, keys: Sequence[SessionKey]) -> Awaitable[list[str | None]]:
        """Return a text for each session, which is another one after each commit that changed it; None for no session.

        A later session of the same id has another one as well. What is in a stamp is the backend's own. This one loads
        the heads, which a backend that can tell without them does not.
        """
        return derived_primitives.stamps(self, keys)

    def sizes(self, keys: Sequence[SessionKey]) -> Awaitable[list[int | None]]:
        """Return how many bytes each session takes where it is stored; None where that is not known, as here.

        What is not there takes 0. It may be an estimate, and what a tree has for itself counts as the root's.
        """
        return _answered([None] * len(keys))

    def rebuild_index(self, namespace: Namespace) -> Awaitable[int | None]:
        """Make what sessions of the namespace are found by anew, from these, and return how many are in it now.

        None stands for a backend that keeps no index, like this one.
        """
        return _answered(None)

    def list_namespaces(self, namespace: Namespace, *, cursor: str | None, limit: int) -> Awaitable[NamespacePage]:
        """Return up to `limit` (1 or more) names directly below `namespace`, in a stable order, those after `cursor`.

        These are the names of namespaces that hold a session, or have one below them that does. A backend that cannot
        tell raises InvalidSessionOperation, like this one.
        """
        raise InvalidSessionOperation(
            f"{type(self).__name__} keeps no list of namespaces: ask for each by its name, or give the backend a "
            "list_namespaces()"
        )

    def held_leases(self, runs: Sequence[tuple[SessionKey, str]]) -> Awaitable[list[HeldLease | None]]:
        """Return who holds each of `runs` now, given by its session and its id; None for a run that nobody holds.

        This reads the leases of heads, as one does that lets `commit_rules` decide by the clock of the machine.
        """
        return derived_primitives.held_leases(self, runs)

    def renew_leases(self, renewals: Sequence[LeaseRenewal]) -> Awaitable[list[bool | None]]:
        """Let each lease of `renewals` begin anew, and tell whether its holder still has it: None where that is not
        known, and it is to be tried again. No revision moves, and no time of the session.

        A backend that keeps many runs has a shorter way than this, which is a commit for each.
        """
        return derived_primitives.renew_leases(self, renewals)

    def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> Awaitable[BudgetReply]:
        """Do what `budgets.step_rules.decide` says that a step does to the budgets of the session's tree, in one step.

        No revision moves, and no time of the session. The store's clock tells the time. A commit that settles a hold
        (`EncodedCommit.settles`), or brings an event whose id is a hold's, ends that hold in the same step; see
        `budgets.settling`. `creation_id` names the incarnation of the session; None means whichever has the id. Raises
        SessionNotFound like a commit, and what `decide` raises.

        This one refuses: a backend that keeps no budgets must not pass for one that limits anything.
        """
        raise InvalidSessionOperation(
            f"{type(self).__name__} keeps no budgets: use a store that does, or give the backend a step_budget()",
            session_id=key.id,
        )

    def wait(self, key: SessionKey, creation_id: str, revision: int) -> Awaitable[None]:
        """Return when the session `creation_id` may have another revision than `revision`, or was deleted.

        Too early is fine.
        """
        return asyncio.sleep(0.1)

    def ping(self) -> Awaitable[None]:
        """Raise StoreUnavailable, or StoreFull, when the data cannot be reached or written now.

        This one only reads. A backend that can tell more does so.
        """
        return derived_primitives.ping(self)

    def diagnose(self) -> Awaitable[list[StoreFinding]]:
        """Return what is found of where the data is: settings, rights, versions, what is left over or damaged there.

        This one only pings. A backend that can tell more does so.
        """
        return _diagnosed(self)

    @abstractmethod
    def aclose(self) -> Awaitable[None]:
        """Finish what is under way, release what was opened, and set `is_closed`; twice is fine."""


async def _answered(answer: AnswerT) -> AnswerT:
    return answer


async def _diagnosed(backend: Backend) -> list[StoreFinding]:
    try:
        await backend.ping()
    except (StoreUnavailable, StoreFull) as error:
        return [StoreFinding("error", "unavailable", backend.shown_place, str(error))]
    return []
