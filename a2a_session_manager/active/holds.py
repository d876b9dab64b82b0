"""Hold: room in the budgets for one request, asked for before it and settled by the append that brings its usage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Self, TypeGuard

from a2a_session_manager.concurrency.cancellation import finish_after
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import checked_id, hidden_id, shown
from a2a_session_manager.models.budget import PlacedHold
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_usage import UNKNOWN
from a2a_session_manager.protocols import BudgetKeeper, SessionStore

# Seconds: a little above the ten minutes that the clients of providers wait for an answer.
DEFAULT_EXPIRES: Final = 660.0

# Those whose blocks are open in this task, and in the tasks that it came from; the innermost one comes last. Most often
# there is none, which whoever appends sees here without a call.
OPEN_HOLDS: ContextVar[tuple[Hold, ...]] = ContextVar("open holds", default=())


class Hold:
    """Room for one request, for `async with`: held while the block is open, and settled by its usage.

    The append that brings the usage, through the same session or run, settles it in the same commit. Left without one,
    the hold is given back; but after `sent`, what is held counts as estimated, until a late usage with the `id` of the
    hold as its event's id takes its place, or a person voids it.
    """

    def __init__(
        self,
        store: SessionStore,
        session: Session[Any],
        *,
        id: str | None,
        usd: Decimal | float | str | None,
        tokens: int | None,
        requests: int,
        expires: float,
    ) -> None:
        if not keeps_budgets(store):
            raise InvalidSessionOperation(
                f"{type(store).__name__} keeps no budgets: use a store that does, or implement BudgetKeeper",
                session_id=session.id,
            )
        self._store = store
        self._session = session
        self._asked: dict[str, Any] = {"usd": usd, "tokens": tokens, "requests": requests, "expires": expires}
        self._placed: PlacedHold | None = None
        self._is_open = False
        self._was_sent = False
        self._expires = expires
        self.id = hidden_id() if id is None else checked_id(id, "hold id")
        self.is_settled = False

    def __repr__(self) -> str:
        state = "settled" if self.is_settled else "open" if self._is_open else "closed"
        return f"<{type(self).__name__} {shown(self.id)} {state} session={shown(self._session.id)}>"

    @property
    def is_held(self) -> bool:
        """Whether there is anything to hold: False where no budget limits the session."""
        return self._placed is not None and self._placed.is_held

    def sent(self) -> None:
        """Say that the request went out: without a usage, what is held counts as estimated from the block's end on."""
        self._was_sent = True

    async def renew(self) -> None:
        """Let the time of the hold begin anew, such as during a long stream."""
        if self.is_held and not self.is_settled:
            await self._budgets.renew_hold(self._session, self.id, expires=self._expires)

    async def __aenter__(self) -> Self:
        if self._placed is not None:
            raise InvalidSessionOperation(f"hold {self.id!r} was entered before: take another one, chat.spend(…)")
        self._placed = await self._budgets.place_hold(self._session, id=self.id, **self._asked)
        self._is_open = True
        _note_open(self)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_open = False
        _note_left(self)
        if self.is_held and not self.is_settled:
            failed = f"hold {self.id!r} could not be {'charged' if self._was_sent else 'released'}, and expires"
            await finish_after(exc, self._end(), failed=failed)

    async def _end(self) -> None:
        if self._was_sent:
            await self._budgets.charge_hold(self._session, self.id)
        else:
            await self._budgets.release_hold(self._session, self.id)

    def settles(self, session: Session[Any]) -> bool:
        """Tell whether a usage of this session is what the hold is for."""
        return self._is_open and not self.is_settled and session.creation_id == self._session.creation_id

    def settling(self, store: SessionStore) -> SessionStore:
        """Return `store` for the write that settles the hold."""
        if self._placed is None or not self.is_held or not keeps_budgets(store):
            return store
        return store.settling(self._placed)

    async def note_settled(self, events: Sequence[SessionEvent[Any]]) -> None:
        """Remember that a write has settled the hold; `events` are those that it brought."""
        self.is_settled = True
        if not self.is_held or self._placed is None:
            return
        if any(event.is_repeat for event in events):  # what was stored before has settled nothing now
            await self._budgets.release_hold(self._session, self.id)
        if self._placed.is_near_crossing or self._exceeds(events):
            await self._budgets.note_crossings(self._session)

    def _exceeds(self, events: Iterable[SessionEvent[Any]]) -> bool:
        """Tell whether more was spent than was held, which may cross what nobody expected."""
        placed = self._placed
        usages = [event.token_usage for event in events if event.token_usage is not None]
        if placed is None or placed.pico_usd is None or placed.tokens is None:
            return True
        cost = sum(usage.cost_pico_usd or 0 for usage in usages)
        return cost > placed.pico_usd or sum(usage.total_tokens for usage in usages) > placed.tokens

    @property
    def _budgets(self) -> BudgetKeeper:
        assert keeps_budgets(self._store), "a store that keeps none is refused"
        return self._store


def open_hold(session: Session[Any]) -> Hold | None:
    """Return the hold that the next usage of a session settles: that of the innermost open block."""
    holds = OPEN_HOLDS.get()
    if holds:
        for hold in reversed(holds):
            if hold.settles(session):
                return hold
    return None


@contextmanager
def noted_open(hold: Hold) -> Iterator[None]:
    """Let what is called from here know of a hold that was entered elsewhere."""
    _note_open(hold)
    try:
        yield
    finally:
        _note_left(hold)


def _note_open(hold: Hold) -> None:
    OPEN_HOLDS.set((*OPEN_HOLDS.get(), hold))


def _note_left(hold: Hold) -> None:
    OPEN_HOLDS.set(tuple(each for each in OPEN_HOLDS.get() if each is not hold))


def tells_usage(event: SessionEvent[Any]) -> bool:
    """Tell whether an event says what a request has cost; one whose usage never came leaves its hold as it is."""
    return event.token_usage is not None and event.token_usage.basis != UNKNOWN


def keeps_budgets(store: object) -> TypeGuard[BudgetKeeper]:
    """Tell whether a store keeps budgets."""
    return hasattr(store, "place_hold")  # `isinstance` with a protocol takes forty times as long
