"""SessionStore: the promises that every store keeps, and that callers may rely on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self, TypeVar, Unpack, overload, runtime_checkable

from a2a_session_manager.diagnosis import StoreFinding
from a2a_session_manager.models.budget import BudgetMode, BudgetStatus, BudgetWindow, PlacedHold, SpendEstimate
from a2a_session_manager.models.change import CommitResult, SessionChange
from a2a_session_manager.models.event_filter import EventFilters
from a2a_session_manager.models.event_message import MessageTail
from a2a_session_manager.models.forked_from import TreeNode
from a2a_session_manager.models.lease import LeaseClaim
from a2a_session_manager.models.namespace_change import NamespaceChange
from a2a_session_manager.models.pruning import PruneResult
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_head import SessionHead
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.models.unfinished_run import UnfinishedRun
from a2a_session_manager.statistics import StoreStatistics
from a2a_session_manager.tokens.counting import TokenCounter

MessageT = TypeVar("MessageT")
ChildPolicy = Literal["refuse", "cascade"]
# What is done about an event whose id is stored already with other content: InvalidEvent is raised, or what is stored
# stays.
RepeatPolicy = Literal["refuse", "keep"]


# By the time of the last activity or of the creation, or in the store's own stable order of ids.
PageOrder = Literal["updated", "created", "id"]


class ForkEnding(Protocol):
    """Makes, of the newest visible messages up to the event where a fork begins, the events that it has as its own
    first ones, such as results for open calls; it may raise instead.

    `marks` are bytes: a message whose JSON has none of them is nothing to it. Where none of the messages has any, it is
    not asked.
    """

    @property
    def marks(self) -> Sequence[bytes]: ...

    def __call__(self, tail: MessageTail) -> Sequence[SessionEvent[Any]] | None:
        """Return the events; None asks for more messages than these."""
        ...


class SessionPage(NamedTuple):
    """One page of a listing; `cursor` asks for the next page and is None on the last one."""

    session_ids: list[str]
    cursor: str | None


class EventsPage(NamedTuple):
    """One page of a session's events; `next_after` is the `after` of the next page, and None on the last one."""

    events: list[SessionEvent[Any]]
    next_after: int | None


class HeadsPage(Sequence[SessionHead]):
    """One page of heads, which is a sequence of them.

    Attributes:
        cursor: asks for the next page of the same query; None on the last one. It may be put into a URL as it is.
    """

    __slots__ = ("_heads", "cursor")

    def __init__(self, heads: Sequence[SessionHead], cursor: str | None) -> None:
        self._heads = tuple(heads)
        self.cursor = cursor

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} sessions, cursor={self.cursor!r}>"

    def __len__(self) -> int:
        return len(self._heads)

    @overload
    def __getitem__(self, index: int) -> SessionHead: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SessionHead]: ...
    def __getitem__(self, index: int | slice) -> SessionHead | Sequence[SessionHead]:
        return self._heads[index]


@runtime_checkable
class MessageReader(Protocol):
    """A store that can read messages without their events, as prompts need them. From other stores, events are read."""

    async def read_messages(
        self, session: Session[Any] | str, *, last: int | None = None, compacted: bool = False
    ) -> MessageTail:
        """Return the messages of the newest `last` visible events, oldest first; None returns all, 0 none.

        With `compacted`, what the compaction in force covers is not among them; what stands before that and is not
        covered, and the summaries, always are.

        The caller may change the messages, but not their metadata, which several may share. Raises SessionNotFound,
        CorruptSession for a damaged event, as `events` does, and StoreUnavailable.
        """
        ...


class KeptAlive(Protocol):
    """A lease that is renewed while somebody refers to this; `is_lost` once a renewal or a write found it gone."""

    is_lost: bool

    def stop(self) -> None:
        """Renew it no more."""


@runtime_checkable
class LeaseKeeper(Protocol):
    """A store that keeps leases of runs. Through other stores, a run is entered with `lease=None`."""

    def claiming(self, claim: LeaseClaim) -> SessionStore:
        """Return this store for the writes of one run: each write to a session that was read makes `claim`, in the same
        step. It needs no closing.

        Then a write raises RunBusy for a run that somebody else holds, and LeaseLost when the claim does not hold; of
        that write, the usage alone is stored, once.
        """
        ...

    async def claim(self, session: Session[Any], claim: LeaseClaim) -> None:
        """Make `claim` alone: no revision moves. Raises RunBusy, LeaseLost, SessionNotFound, and
        InvalidSessionOperation for a run that has ended."""
        ...

    def unfinished_runs(self, *, older_than: float | timedelta | None = None) -> AsyncGenerator[UnfinishedRun, None]:
        """Yield the runs that have not ended, of all sessions of the namespace, with who holds each; in no order.

        With `older_than`, in seconds or as a timedelta, only those that began before that long. The heads of all
        sessions are read, 100 at a time. A run that begins or ends meanwhile may be missed.
        """
        ...

    def keep_alive(self, session: Session[Any], claim: LeaseClaim) -> KeptAlive:
        """Renew the lease that `claim` has acquired, until `stop` is called or nobody refers to what this returns."""
        ...


@runtime_checkable
class BudgetKeeper(Protocol):
    """A store that keeps budgets. A budget limits what a session and all below it spend together, forks included, and
    also what those had spent that were deleted.

    Each verb takes a session that was read, or the id of one, and raises SessionNotFound, StoreUnavailable, and
    InvalidSessionOperation for amounts that are none and for what is not there.
    """

    async def set_budget(
        self,
        session: Session[Any] | str,
        id: str = "default",
        *,
        usd: Decimal | float | str | None = None,
        tokens: int | None = None,
        requests: int | None = None,
        mode: BudgetMode = "hard",
        window: BudgetWindow | None = None,
        timezone: str | None = None,
        unpriced: Decimal | float | str | Literal["refuse"] = "refuse",
        grant: bool = False,
        replace: bool = False,
        write_id: str | None = None,
    ) -> BudgetStatus:
        """Set a budget of the session, and return how things stand with it.

        What was spent before counts, in a limit for good. Recording is never refused: above a limit, it is holds that
        are. Only who names this session raises or removes its budget: nothing below it can.

        Args:
            id: names the budget among those of the session.
            usd, tokens, requests: the limits, one at least; a request is a provider's response with a usage, and tokens
                are those of prompts, cached ones included, and of completions. Dollars are exact to 12 digits after the
                point.
            mode: "hard" refuses holds for which there is no room; "warn" only tells what is crossed.
            window: the limit is for each "day" or "month" of `timezone`, or for each timedelta from now on. None is a
                limit for good.
            timezone: such as "Europe/Oslo"; for days and months.
            unpriced: what a request counts of which nobody knows the price, in dollars; "refuse" refuses holds then,
                under a limit of dollars.
            grant: what is left of this limit is held out of the budgets above the session, so that nobody else takes
                it. It returns when the budget is removed, or the session deleted. Raises BudgetExceeded where they have
                no room for it.
            replace: sets a budget anew that is there; without it, that raises InvalidSessionOperation.
            write_id: names the call, so that a retry changes nothing that others have set since.
        """
        ...

    async def raise_budget(
        self,
        session: Session[Any] | str,
        id: str = "default",
        *,
        usd: Decimal | float | str | None = None,
        tokens: int | None = None,
        requests: int | None = None,
        write_id: str | None = None,
    ) -> BudgetStatus:
        """Raise limits of a budget of the session; those that are left out stay. The parameters are those of
        `set_budget`.

        Raises InvalidSessionOperation for a limit that is not above the present one, and above what is spent; and
        BudgetExceeded for a grant that the budgets above have no room for.
        """
        ...

    async def remove_budget(
        self, session: Session[Any] | str, id: str = "default", *, write_id: str | None = None
    ) -> None:
        """Remove a budget of the session; what a grant has left returns to the budgets above. A retry takes the same
        `write_id`."""
        ...

    async def budget(self, session: Session[Any] | str, id: str = "default") -> BudgetStatus:
        """Return how things stand with a budget of the session."""
        ...

    async def budgets(self, session: Session[Any] | str) -> list[BudgetStatus]:
        """Return how things stand with all budgets that the session spends from: its own, and those above it.

        The root's come first.
        """
        ...

    async def void_hold(self, session: Session[Any] | str, hold_id: str, *, reason: str) -> None:
        """Let an estimated hold count no more, of the session or of one below it.

        The log of the session says so, with the `reason`: an event of the type "budget", which no view shows. Raises
        InvalidSessionOperation for a hold that is open: its block ends it, or it expires.
        """
        ...

    async def place_hold(
        self,
        session: Session[Any] | str,
        *,
        id: str | None = None,
        usd: Decimal | float | str | None = None,
        tokens: int | None = None,
        requests: int = 1,
        expires: float = 660.0,
    ) -> PlacedHold:
        """Hold room in all budgets that the session spends from, or in none.

        The same `id` again, while it is held, answers as before. What is not released or settled in `expires` seconds
        counts as estimated from then on. Where an event that was appended to the session has the `id`, its usage is
        counted: the hold is answered if there is room for it, and keeps none. Raises BudgetExceeded.
        """
        ...

    async def renew_hold(self, session: Session[Any] | str, hold_id: str, *, expires: float = 660.0) -> None:
        """Let the seconds of a hold begin anew; nothing happens to one that is not there."""
        ...

    async def charge_hold(self, session: Session[Any] | str, hold_id: str) -> None:
        """Count a hold as estimated: its request went out, and its usage never came. Nothing happens to one that is not
        there."""
        ...

    async def release_hold(self, session: Session[Any] | str, hold_id: str) -> None:
        """Give a hold back. Nothing happens to one that is not there."""
        ...

    async def note_crossings(self, session: Session[Any] | str) -> None:
        """Append what was crossed, 50, 80 and 100 percent, to the log of each budget's session, once per setting."""
        ...

    async def estimate(
        self,
        prompt: str | Iterable[Mapping[str, Any]],
        *,
        model: str,
        max_output_tokens: int,
        tools: Iterable[Mapping[str, Any]] | None = None,
        provider: str | None = None,
        service_tier: str | None = None,
        counter: TokenCounter | None = None,
    ) -> SpendEstimate:
        """Return the most that a request may cost: its prompt counted, and as much of an answer as it may give.

        No cache hit is assumed, and where a price depends on how large a request is, it is the highest that this one
        may reach.

        Args:
            prompt: a text, or chat messages.
            model, provider, service_tier: of the request, as those of a TokenUsage; they decide about the price.
            max_output_tokens: what the request allows the model to return, reasoning included.
            tools: the definitions that go with the request; they count as JSON text.
            counter: counts the tokens in place of the library's own TiktokenCounter.
        """
        ...

    def settling(self, hold: PlacedHold) -> SessionStore:
        """Return this store for the write that brings the usage of a hold: the hold ends in the same step.

        A write to another session than the one that asked for it raises InvalidSessionOperation.
        """
        ...


class SessionStore(Protocol):
    """Keeps sessions. Every write is one atomic step, and may be sent again: the store remembers each event id and
    each `write_id` for as long as the session lives, and answers a known one with its first result.

    An event whose id is known comes back as it is stored, marked `is_repeat`, with its old seq. When its content
    differs in message (as JSON values), source, type or `task_id`, the verb raises InvalidEvent and writes nothing,
    unless `on_repeat="keep"` says that what is stored counts. Of two events of one id in one commit, the first is
    stored.

    These parameters mean the same in every verb:

    Args:
        session: the session's id means whichever session has that id now. A Session means the very one that was read:
            the verb raises SessionNotFound once it is deleted, even if its id was given to another one since, and a
            verb that writes brings it in step with the store.
        id, session_id: a non-empty string of up to 512 characters, in any script.
        expected_revision: the revision that the session must still have; SessionConflict otherwise. None: no guard.
        write_id: names the commit, so that sending it again changes nothing. None: each call is a commit of its own.
        last: how many of the newest visible events to load. 0 loads none, None all.
        limit: how many items to return at most. 0 returns none, None (where it is allowed) all.
        after: a seq; only events with a higher one are meant. Seqs start at 1, so 0 means from the beginning.
        cursor: the `cursor` of the page before, None for the first page. Cursors are opaque.
        message_type: the type to read messages as: a pydantic model, or anything else that pydantic validates. A
            message that does not fit stays plain JSON, and its event's `message_error` says why. None: plain JSON.

    Every verb raises InvalidSessionOperation for an argument that cannot be meant, before it does anything;
    CorruptSession for stored data that is damaged; StoreUnavailable when the store cannot be reached or is closed. A
    verb that takes a session raises SessionNotFound when there is none, except `get`, `get_many` and `delete`. A verb
    that writes raises InvalidEvent for what cannot be stored, StoreFull when there is no room, and SessionConflict when
    `expected_revision` is not the current one. After these three nothing was written; after StoreUnavailable the write
    may have happened, and may be sent again with the same ids.
    """

    def namespace(self, name: str) -> SessionStore:
        """Return a view of one namespace: the same verbs on sessions of its own. It needs no closing.

        `name` is anything that an id may be. On a view it names a namespace inside that of the view, up to 8 deep: a
        view leads down, and never to the namespace above it or one beside it. "" is the namespace of the view itself,
        or of a store the default one. Raises InvalidSessionOperation for anything else.
        """

    async def namespaces(self) -> list[str]:
        """Return the names of the namespaces directly inside this one, in the store's own stable order.

        Those that hold a session, or have one inside them that does; the default namespace has no name. It looks for a
        session of each. A Redis that an earlier release wrote to is looked through once, in steps that hold up nobody.
        """

    async def create(
        self,
        id: str | None = None,
        *,
        parent_id: Session[Any] | str | None = None,
        change: SessionChange | None = None,
        write_id: str | None = None,
        expires: bool = True,
    ) -> Session[Any]:
        """Create a session and commit `change` to it, in one step; return it, with the events of `change`.

        `id=None` makes a random one. `parent_id` puts the session below another one of the same namespace, for good.
        `write_id` needs an `id`: creating again with both returns what the first call created. With `expires=False`,
        the session stays until it is deleted, though others of the store expire; those that are made below it expire,
        unless that is said of them, too.

        Raises SessionAlreadyExists when the id is taken, SessionNotFound when there is no such parent, and
        InvalidSessionOperation when the parent is 256 levels deep already, and for `expires=False` below a parent that
        expires.
        """

    async def fork(
        self,
        session: Session[Any] | str,
        *,
        at: int | str | None = None,
        new_id: str | None = None,
        properties: Mapping[str, Any] | None = None,
        ending: ForkEnding | None = None,
        detached: bool = False,
    ) -> Session[Any]:
        """Create a session that goes on from an event of this one, and return its head; nothing is copied but that.

        The fork shows the events up to `at`, with their ids and seqs, and its own from `at + 1` on. What is hidden, the
        compactions, state and properties are those of the source when it is forked; what either does later, the other
        never shows. Runs, write ids and what was spent stay with the source: the fork's usage begins at 0. Its
        `forked_from` tells where it begins.

        It hangs in the tree below the session that has stored the event `at`: this one or, where this is a fork itself,
        perhaps the one that it comes from. There `forks` lists it, and `children` does not. What the fork spends counts
        for the tree, and what is above it is not deleted without it.

        Args:
            at: the seq or the id of a visible event. None means the newest one.
            new_id: the id of the fork; None makes a random one. Forking again with it, at the same point, returns the
                fork that the first call made.
            properties: those that the fork has beside the source's, or in their place.
            ending: makes the events that the fork begins with. What is said does not matter to a store: without it, a
                fork may begin inside an exchange, which SessionManager.fork refuses.
            detached: copy the events up to `at` into a new root, hidden ones too, instead of naming them: it has no
                `forked_from`, and stays when the source is deleted. What they used was spent in the source, and counts
                nowhere else. The events are copied in batches; until all are, `whole` is false in the property
                `copied_from`, and forking again with the same `new_id` goes on with what is missing. A summary without
                a range stands in its own place in the copy.

        Raises InvalidSessionOperation for an event that is not there or hidden, and for a fork that would be deeper
        than 256 levels; SessionAlreadyExists when `new_id` is taken by another session, or a fork of another point.
        """

    @overload
    async def get(self, session_id: str, *, last: int | None = None) -> Session[Any] | None: ...
    @overload
    async def get(
        self, session_id: str, *, last: int | None = None, message_type: type[MessageT]
    ) -> Session[MessageT] | None: ...
    async def get(self, session_id: str, *, last: int | None = None, message_type: Any = None) -> Session[Any] | None:
        """Return the session with its visible events, oldest first; None when there is no such session.

        `last=n` loads only the newest n events, and of the rest what stays small: the unfinished runs and the 20
        newest, and no child ids. `message_type` is the type to read messages as, such as a pydantic model; a message
        that does not fit it stays plain JSON, and its event's `message_error` says why.
        """

    async def get_many(self, session_ids: Sequence[str], *, last: int | None = 0) -> list[Session[Any] | None]:
        """Return several sessions in the order of `session_ids`, None for each one that does not exist.

        Of each, the newest `last` events are loaded: none unless asked for, None loads all.
        """

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        """Commit what changed in `session` since it was read, or create it; then it is in step with the store.

        A session that was made by hand is created, as is one that was read from other data. One that was read through
        another store object over the same data is the same session. With `expected_revision`, the save is refused
        when the session has another revision by then; usually that is `session.revision`.

        Raises SessionAlreadyExists when a session made by hand has an id that is taken, SessionNotFound when the
        stored one was deleted since it was read or when the parent is missing, SessionConflict for a late
        `expected_revision`, and InvalidSessionOperation when stored events were removed, moved or replaced.
        """

    async def commit(
        self,
        session: Session[Any] | str,
        change: SessionChange,
        *,
        expected_revision: int | None = None,
        write_id: str | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> CommitResult:
        """Commit `change` as one atomic step, and return what it did.

        Without `expected_revision` it never conflicts with other writers. With it, raises SessionConflict, which
        brings the events that were missed, when the session has another revision by then. A `write_id` that was
        committed before changes nothing and returns the first result. `on_repeat` decides about an event whose id is
        stored already with other content: "refuse" raises InvalidEvent, "keep" returns the stored one.
        """

    async def append(
        self,
        session: Session[Any] | str,
        *events: SessionEvent[Any],
        expected_revision: int | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> list[SessionEvent[Any]]:
        """Append events in one commit, and return them in the same order as they are stored, each with its `seq`.

        The cost does not grow with the session. With `expected_revision`, raises SessionConflict when the session has
        another revision by then. `on_repeat` decides about an event whose id is stored already with other content:
        "refuse" raises InvalidEvent, "keep" returns the stored one.
        """

    async def retract(
        self,
        session: Session[Any] | str,
        *event_ids: str,
        last: int | None = None,
        after: int | None = None,
        write_id: str | None = None,
    ) -> list[SessionEvent[Any]]:
        """Hide events from the default view, and return those that this call hid, oldest first.

        Which ones is said in exactly one way: by `event_ids`, as the `last` ones that are visible now, or as all with
        a seq above `after`. An event that is hidden already stays so and is not returned. A repeat of a `write_id`
        hides nothing more and returns what the first call hid. The log, its numbering and the usage stay.

        Raises InvalidSessionOperation when none or several ways are used, and for an id that was never appended.
        """

    async def restore(
        self, session: Session[Any] | str, *event_ids: str, write_id: str | None = None, id: str | None = None
    ) -> list[SessionEvent[Any]]:
        """Show hidden events again in the default view, and return those that this call restored, oldest first.

        Which ones is said in exactly one way. `event_ids` name them, however they were hidden. `write_id` is that of
        the retraction to undo: all that it hid comes back, but for what was restored since, and perhaps hidden by
        another. An event that is visible again already stays so and is not returned. Seqs, the usage and the first
        results of retries stay; the events stand where they stood.

        `id` is this call's own write id: a repeat restores nothing more and returns what the first call restored.
        Without one, a retry after a lost reply restores nothing twice either, and returns what is left to restore.

        Raises InvalidSessionOperation, and restores nothing, when none or both ways are used; for an event id that was
        never appended or never hidden; for a write id that is not known or hid nothing; and for that of
        `retract(last=)`, which claims events: whoever has them may have used them, and they come back by id alone.
        """

    async def delete(
        self,
        session: Session[Any] | str,
        *,
        children: ChildPolicy = "refuse",
        expected_revision: int | None = None,
    ) -> None:
        """Delete the session for good. When there is none, nothing happens.

        `children` decides about a session that has any, or forks: "refuse" raises InvalidSessionOperation, "cascade"
        deletes all below it in the same step. With `expected_revision`, raises SessionConflict and deletes nothing when
        the session itself has another revision by then; those below it are not guarded.
        """

    async def cut_damaged_tail(self, session_id: str) -> int:
        """Give up the damaged end of a session, which a CorruptSession has named; look at the backups first.

        The file store moves everything from the first damaged byte on into `ID.cut` beside the log, removes nothing,
        and returns how many bytes it moved. The session then goes on after its last whole commit: what was cut no
        longer counts, and its ids are free again. Returns 0 when nothing is damaged, and always on the other stores,
        which have no such way out.

        Raises CorruptSession when the damage is not at the end, so that cutting would not help.
        """

    async def list_sessions(self, prefix: str = "") -> list[str]:
        """Return all session ids that start with `prefix`, in the store's own stable order."""

    async def list_page(
        self, prefix: str = "", *, cursor: str | None = None, limit: int = 100, roots_only: bool = False
    ) -> SessionPage:
        """Return one page of the session ids that start with `prefix`, in the store's own stable order.

        `cursor` is the one that the page before came with, None for the first page; a page holds at most `limit` ids.
        With `roots_only`, sessions that have a parent are left out. A session that exists from the first page to the
        last appears exactly once.
        """

    def iter_sessions(
        self, prefix: str = "", *, roots_only: bool = False, page_size: int = 100
    ) -> AsyncGenerator[str, None]:
        """Iterate over the session ids that start with `prefix`, in the store's own stable order.

        The ids are read `page_size` at a time. With `roots_only`, sessions that have a parent are left out.
        """

    async def page(
        self,
        *,
        order: PageOrder = "updated",
        newest_first: bool = True,
        properties: Mapping[str, Any] | None = None,
        title: str | None = None,
        roots_only: bool = False,
        limit: int = 50,
        cursor: str | None = None,
        last: int = 0,
    ) -> HeadsPage:
        """Return a page of at most `limit` heads; it has fewer only when there are no more. Nobody need be read for it.

        A session is on one page of a paging at most. By "created" and "id", one that exists from the first page to the
        last is on one exactly; by "updated", one that becomes active meanwhile has moved, and may be on none.

        Args:
            order: "updated" is by the last activity: exactly so within a page, and between pages to 10 seconds.
                "created" is by the time of creation, and "id" the store's own stable order, that of `list_page`.
            newest_first: the direction of an order by time; it says nothing of "id". Oldest first by activity, what was
                active after the paging began is left out, by the writers' clocks: where these disagree, a session may
                come again.
            properties: only sessions that have all of these, each with just this value: a text, a whole number, True or
                False. The keys are among those that the store was made with, as `indexed=`.
            title: only sessions whose title has this in it somewhere; capitals are small letters here, and forms of a
                character that look alike are one. Titles are not indexed: the heads that the other filters let through
                are read, until the page is full.
            roots_only: leave out sessions that have a parent, but for forks of roots, which are conversations, too.
            limit: how many heads a page has at most.
            cursor: the one that the page before came with, None for the first page; it is asked for with the same order
                and filters.
            last: how many of the newest visible events each head comes with.

        Raises InvalidSessionOperation for a property that is not indexed, and for a cursor of another query.
        """

    async def count(self, *, properties: Mapping[str, Any] | None = None, roots_only: bool = False) -> int:
        """Return how many sessions there are, or how many that have these `properties`, which are those of `page`.

        With `roots_only`, sessions that have a parent do not count, but forks of roots do. Raises
        InvalidSessionOperation for a property that is not indexed.
        """

    @overload
    async def events(
        self,
        session: Session[Any] | str,
        *,
        message_type: type[MessageT],
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        **which: Unpack[EventFilters],
    ) -> list[SessionEvent[MessageT]]: ...
    @overload
    async def events(
        self,
        session: Session[Any] | str,
        *,
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        message_type: Any = None,
        **which: Unpack[EventFilters],
    ) -> list[SessionEvent[Any]]: ...
    async def events(
        self,
        session: Session[Any] | str,
        *,
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        message_type: Any = None,
        **which: Unpack[EventFilters],
    ) -> list[SessionEvent[Any]]:
        """Return the visible events with a seq above `after`, oldest first, and at most the first `limit` of them.

        With `include_retracted`, the hidden ones come as well, marked `retracted`. `message_type` is the type to read
        messages as; see `get`. `type`, `source`, `run`, `since` and `until` leave out all events but those that fit
        each that is given; see EventFilters. They are applied page by page, so what is left out takes no memory; but it
        is read, however much it is.
        """

    async def events_page(
        self,
        session: Session[Any] | str,
        *,
        after: int = 0,
        limit: int = 100,
        include_retracted: bool = False,
        **which: Unpack[EventFilters],
    ) -> EventsPage:
        """Return a page of the visible events with a seq above `after`, oldest first.

        A page holds up to `limit` events, and fewer when they are large (`StoreLimits.page_bytes`), at least one. Its
        `next_after` is the `after` of the next page. With `include_retracted`, the hidden events come as well, marked
        `retracted`. The filters are those of `events`; a page holds `limit` events that fit, unless there are no more.
        """

    @overload
    async def events_by_id(
        self, session: Session[Any] | str, *event_ids: str, message_type: type[MessageT]
    ) -> list[SessionEvent[MessageT] | None]: ...
    @overload
    async def events_by_id(
        self, session: Session[Any] | str, *event_ids: str, message_type: Any = None
    ) -> list[SessionEvent[Any] | None]: ...
    async def events_by_id(
        self, session: Session[Any] | str, *event_ids: str, message_type: Any = None
    ) -> list[SessionEvent[Any] | None]:
        """Return the events of these ids in the order given, None for each one that was never appended.

        A hidden event comes as well, marked `retracted`. `message_type` is the type to read messages as; see `get`.
        """

    async def runs(self, session_id: str) -> list[SessionRun]:
        """Return all runs of the session, in the order they were first committed."""

    async def children(self, session_id: str) -> list[str]:
        """Return the ids of all children, oldest first; forks and sessions further down are not among them."""

    async def children_page(self, session_id: str, *, cursor: str | None = None, limit: int = 100) -> SessionPage:
        """Return one page of at most `limit` ids of children, oldest first.

        `cursor` is the one that the page before came with, None for the first page.
        """

    async def forks(self, session_id: str) -> list[str]:
        """Return the ids of all forks right below the session, oldest first: those that begin with one of its events.

        A fork that begins with an event which its source has inherited itself is below the session that has stored it.
        """

    async def forks_page(self, session_id: str, *, cursor: str | None = None, limit: int = 100) -> SessionPage:
        """Return one page of at most `limit` ids of forks right below the session, oldest first.

        `cursor` is the one that the page before came with, None for the first page.
        """

    async def tree(self, session_id: str) -> list[TreeNode]:
        """Return (id, parent id) of every session of the whole tree that `session_id` is in, in creation order.

        The root comes first; its parent id is None. Forks are among them, and their `forked_from` tells where they
        begin.
        """

    async def usage(self, session: Session[Any] | str, *, tree: bool = False) -> TokenSummary:
        """Return the tokens and the cost of the session; with `tree`, the sum of it and all sessions below it.

        What each run spent is in `by_run`, for the session alone. The tree of a root includes what sessions spent that
        are deleted by now; the tree of any other session does not.
        """

    def follow(self, session: Session[Any] | str, *, after: int = 0) -> AsyncGenerator[SessionEvent[Any], None]:
        """Yield every event with a seq above `after`, then each new one as it is committed, without gap or repetition.

        It never ends by itself. A retraction is yielded in its place among the events, as the hidden event with
        `retracted=True`, and so is a restoration, as the event that is visible again with `restored=True`; one that was
        made right after the event `after` may be yielded once more on resuming there.

        Raises SessionNotFound when the session is deleted or expires, SessionConflict when it goes back in time (a
        restore, a failover that lost commits) or never had an event `after`, StoreUnavailable when the store is closed.
        """

    def follow_namespace(
        self, *, since: Iterable[SessionHead] = (), last: int = 0
    ) -> AsyncGenerator[NamespaceChange, None]:
        """Yield which sessions come, change and go from now on, each within about 10 seconds; properties count, too.

        It never ends by itself. Several changes of a session may come as one, and in no order among sessions. To miss
        nothing, pass the page that is shown as `since`: what has changed of its sessions, and which others were active
        later than all of them, is yielded first. Each head comes with its newest `last` visible events.

        All sessions of the namespace are looked at every few seconds, the less often the longer it takes, without
        reading those that have not changed; all who follow it in one process share these looks. Raises StoreUnavailable
        when the store cannot be reached, or is closed.
        """

    async def prune(
        self,
        *,
        older_than: float | timedelta | None = None,
        keep_last: int | None = None,
        max_bytes: int | None = None,
        properties: Mapping[str, Any] | None = None,
        branches: bool = False,
        dry_run: bool = True,
        progress: Callable[[int, int], object] | None = None,
    ) -> PruneResult:
        """Remove what has been idle, and return what was removed; a dry run only says what would be.

        Whole trees go, a root with all below it, as one is a unit of work: a tree is as idle as the session in it that
        was active last (`updated_at`: events, runs, state; not properties and titles). One that was active since it was
        judged stays, and so does one in which somebody holds a run: each session's deletion is guarded by the revision
        that was judged, the leaves first. Of a tree that comes alive in that very moment, idle leaves may be gone.

        Args:
            older_than: how long something must have been idle to go, in seconds or as a timedelta.
            keep_last: so many of the trees that were active last stay in any case. As the only limit, all others go.
            max_bytes: how much the trees may take where they are stored; more than that goes, which was idle longest
                first, also if it is not as idle as `older_than`. On Redis it is what the server estimates.
            properties: only trees are considered, and counted, whose roots have these; they need not be indexed.
            branches: in trees that stay, what is below the root goes as well where nothing was active, by `older_than`;
                what it spent stays in the totals of its tree.
            dry_run: True removes nothing.
            progress: is called with how many sessions were judged, and how many removed, so far.

        The heads of all sessions of the namespace are read, not those of namespaces inside it. What is damaged stays,
        with its tree, and is named. Raises InvalidSessionOperation for limits that are none, and for `max_bytes` over
        a store that cannot tell sizes, before anything goes.
        """

    async def ping(self) -> None:
        """Return when the store can be reached and written to; raise StoreUnavailable, with the remedy, otherwise.

        The file store writes a file to its directory and removes it; StoreFull says that there is no room. Redis is
        asked whether it takes the store's writes, and every primary of a cluster whether it is there.
        """

    async def rebuild_index(self) -> int | None:
        """Make what `page`, `count` and `namespaces` find by anew, from the sessions, and return how many there are.

        It is done where something is known to be lost, without being asked for; this is for when it is not known. Only
        the index of this namespace is made, and others go on writing meanwhile. None stands for a store that keeps no
        index apart from its sessions.
        """

    async def diagnose(self) -> list[StoreFinding]:
        """Return what is wrong, or worth knowing, about where the store keeps its data, with the remedies.

        On Redis that is the version, the eviction policy, what is brought to disk, and missing rights; for files the
        file system, permissions, room, and what is left over. Sessions are not read.
        """

    def statistics(self) -> StoreStatistics:
        """Return what the store has done so far and holds open now.

        It may be called from any thread, and when the store is closed.
        """

    async def aclose(self) -> None:
        """Finish the writes that are under way and release what the store opened.

        A client that was handed in stays open. Later verbs raise StoreUnavailable.
        """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None: ...
