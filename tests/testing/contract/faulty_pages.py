"""Stores over memory with one planted fault each, which pages of heads show."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, overload

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models.namespace_change import NamespaceChange
from a2a_session_manager.models.session_head import SessionHead
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import HeadsPage
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.page_records import HeadPage, PageQuery
from a2a_session_manager.storage.page_rules import title_of
from a2a_session_manager.storage.read_records import LoadedSession
from a2a_session_manager.storage.records import SessionKey


class _Pages(MemoryBackend):
    """Pages as `asked` makes a query, and what comes of it as `shown` makes that."""

    def asked(self, query: PageQuery) -> PageQuery:
        return query

    def shown(self, page: HeadPage, query: PageQuery) -> HeadPage:
        return page

    async def page(
        self, namespace: Namespace, query: PageQuery, *, cursor: str | None, limit: int, last: int
    ) -> HeadPage:
        page = await super().page(namespace, self.asked(query), cursor=cursor, limit=limit, last=last)
        return self.shown(page, query)


class _SortsByCreation(_Pages):
    def asked(self, query: PageQuery) -> PageQuery:
        return query._replace(order="created") if query.order == "updated" else query


class SortsByCreation(BaseSessionStore):
    """Knows no order by activity."""

    def __init__(self) -> None:
        super().__init__(_SortsByCreation())


class _ShowsChildrenAsRoots(_Pages):
    def asked(self, query: PageQuery) -> PageQuery:
        return query._replace(roots_only=False)


class ShowsChildrenAsRoots(BaseSessionStore):
    """Leaves no children out."""

    def __init__(self) -> None:
        super().__init__(_ShowsChildrenAsRoots())


class _LosesTheLastOfAPage(_Pages):
    def shown(self, page: HeadPage, query: PageQuery) -> HeadPage:
        return page if page.cursor is None else page._replace(sessions=page.sessions[:-1])


class LosesTheLastOfAPage(BaseSessionStore):
    """Answers short."""

    def __init__(self) -> None:
        super().__init__(_LosesTheLastOfAPage())


class _CountsPages(_Pages):
    """The cursor is how many came before."""

    async def page(
        self, namespace: Namespace, query: PageQuery, *, cursor: str | None, limit: int, last: int
    ) -> HeadPage:
        start = int(cursor or 0)
        page = await super().page(namespace, query, cursor=None, limit=start + limit, last=last)
        return HeadPage(page.sessions[start:], None if page.cursor is None else str(start + limit))


class CountsPages(BaseSessionStore):
    """A session that moves is on two pages, and another one on none."""

    def __init__(self) -> None:
        super().__init__(_CountsPages())


class _FindsByTheFirstOwner(_Pages):
    """Finds sessions by the properties that they were created with."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[SessionKey, dict[str, bytes | None]] = {}

    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        self.first[key] = dict(commit.properties)
        return super().create(key, creation, commit)

    def asked(self, query: PageQuery) -> PageQuery:
        return query._replace(properties={})

    def shown(self, page: HeadPage, query: PageQuery) -> HeadPage:
        found = [
            each
            for each in page.sessions
            if all(self.first[each.head.key].get(key) == value for key, value in query.properties.items())
        ]
        return page._replace(sessions=found)


class FindsByTheFirstOwner(BaseSessionStore):
    """Does not notice that a property has changed."""

    def __init__(self) -> None:
        super().__init__(_FindsByTheFirstOwner())


class _ReadsTitlesAsTheyAre(_Pages):
    def asked(self, query: PageQuery) -> PageQuery:
        return query._replace(title="")

    def shown(self, page: HeadPage, query: PageQuery) -> HeadPage:
        return page._replace(sessions=[each for each in page.sessions if query.title in title_of(each.head)])


class ReadsTitlesAsTheyAre(BaseSessionStore):
    """Takes a capital for another letter."""

    def __init__(self) -> None:
        super().__init__(_ReadsTitlesAsTheyAre())


class _ShowsHiddenInHeads(_Pages):
    def shown(self, page: HeadPage, query: PageQuery) -> HeadPage:
        return page._replace(sessions=list(map(self._with_hidden, page.sessions)))

    def _with_hidden(self, loaded: LoadedSession) -> LoadedSession:
        events = list(loaded.events)
        stored, last_seq = self._sessions[loaded.head.key], loaded.head.last_seq
        return replace(loaded, events=list(stored.events(last_seq - len(events) + 1, last_seq)))


class ShowsHiddenInHeads(BaseSessionStore):
    """The newest events of a head are those of the log."""

    def __init__(self) -> None:
        super().__init__(_ShowsHiddenInHeads())


class _TakesPropertiesForActivity(_Pages):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        receipt = super().commit(key, commit)
        stored = self._sessions[key]
        if commit.properties:
            stored.head.updated_at = max(stored.head.updated_at + 1, commit.written_at)
            stored.groups = self._indexes[key.namespace].put(stored.head, stored.groups, commit.properties)
        return receipt


class TakesPropertiesForActivity(BaseSessionStore):
    """A session that got another owner or title moves to the front."""

    def __init__(self) -> None:
        super().__init__(_TakesPropertiesForActivity())


class _CountsWhatIsGone(_Pages):
    created = 0

    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        self.created += 1
        return super().create(key, creation, commit)

    async def count(self, namespace: Namespace, query: PageQuery) -> int:
        return self.created


class CountsWhatIsGone(BaseSessionStore):
    """Counts deleted sessions, too."""

    def __init__(self) -> None:
        super().__init__(_CountsWhatIsGone())


class TakesAnyCursor(InMemorySessionStore):
    """Starts again with a cursor of another query."""

    async def page(self, *, cursor: str | None = None, **query: Any) -> HeadsPage:
        try:
            return await super().page(cursor=cursor, **query)
        except InvalidSessionOperation:
            return await super().page(**query)


class _AllThereAre(Sequence[str]):
    """Properties, whatever they are called."""

    def __contains__(self, key: object) -> bool:
        return True

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[str]:
        return iter(())

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        raise IndexError


class _FindsByAnything(_Pages):
    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _AllThereAre() if name == "indexed" else value)


class FindsByAnything(BaseSessionStore):
    """Says that there are none, where it was not told to look."""

    def __init__(self) -> None:
        super().__init__(_FindsByAnything())


class _StampsEventsAlone(MemoryBackend):
    async def stamps(self, keys: Sequence[SessionKey]) -> list[str | None]:
        heads = [self._sessions[key].head if key in self._sessions else None for key in keys]
        return [None if head is None else f"{head.creation_id} {head.last_seq}" for head in heads]


class TellsNoPropertyChanges(BaseSessionStore):
    """Whoever follows a namespace hears of new events alone."""

    def __init__(self) -> None:
        super().__init__(_StampsEventsAlone())


class FollowsNamespacesFromNow(InMemorySessionStore):
    """What happened since a page was read is lost."""

    def follow_namespace(
        self, *, since: Iterable[SessionHead] = (), last: int = 0
    ) -> AsyncGenerator[NamespaceChange, None]:
        return super().follow_namespace(last=last)
