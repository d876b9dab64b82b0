"""SessionManager: what applications use. It opens stores and namespaces; each topic of its verbs has a module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from anyio.abc import AsyncResource

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.limits import DEFAULT_LIMITS, StoreLimits
from a2a_session_manager.manager.budgets import BudgetingVerbs
from a2a_session_manager.manager.finding import FindingVerbs
from a2a_session_manager.manager.moving import MovingVerbs
from a2a_session_manager.manager.opening import OpeningVerbs
from a2a_session_manager.manager.reading import ReadingVerbs
from a2a_session_manager.manager.upkeep import UpkeepVerbs
from a2a_session_manager.manager.writing import WritingVerbs
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, Pricer
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.provider import SessionStoreProvider
from a2a_session_manager.storage.url import store_from_url


class SessionManager(
    OpeningVerbs, WritingVerbs, ReadingVerbs, FindingVerbs, BudgetingVerbs, MovingVerbs, UpkeepVerbs, AsyncResource
):
    """The sessions of one store: of `store`, or of SessionStoreProvider's current one when that is None.

    Its verbs are the store's, and `open`, `edit` and some more besides. They raise what SessionStore says, and `get`
    raises SessionNotFound where the store's `get` returns None. `aclose`, and `async with`, close only a store that the
    manager has opened, which is one made by `from_url`.
    """

    def __init__(self, store: SessionStore | None = None) -> None:
        if isinstance(store, str):
            raise InvalidSessionOperation("SessionManager takes a store: for a URL, SessionManager.from_url(…)")
        super().__init__(SessionStoreProvider.get_store() if store is None else store)
        self._owns_store = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} over {getattr(self, '_store', None)!r}>"

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        limits: StoreLimits = DEFAULT_LIMITS,
        pricer: Pricer = DEFAULT_PRICER,
        indexed: Sequence[str] = (),
    ) -> Self:
        """Return a manager that opens and closes a store of its own.

        `url` is such as `memory:`, `file:./sessions` or `redis://localhost:6379/0`; see `store_from_url`. `limits` says
        how large events and commits may be. `pricer` gives a usage without a cost one when it is stored, such as
        `ListPricer({"our-model": Prices(…)})`. `indexed` are the properties that `page` and `count` find sessions by,
        such as `("owner",)`. Raises InvalidSessionOperation for a bad URL.
        """
        manager = cls(store_from_url(url, limits=limits, pricer=pricer, indexed=indexed))
        manager._owns_store = True
        return manager

    def namespace(self, name: str) -> Self:
        """Return a manager of one namespace, over the same store; it needs no closing.

        `name` is anything that an id may be. On a manager of a namespace it names one inside that, up to 8 deep; "" is
        the namespace of the manager itself. Raises InvalidSessionOperation for anything else.
        """
        return type(self)(self._store.namespace(name))

    async def aclose(self) -> None:
        """Close the store if this manager opened it."""
        if self._owns_store:
            await self._store.aclose()
