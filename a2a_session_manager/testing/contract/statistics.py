"""A store's statistics, its `repr` and what it logs: right while it works, in every stage of its life, no payload."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict

import pytest

from a2a_session_manager.exceptions import SessionConflict, SessionManagerError, SessionNotFound
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.statistics import StoreStatistics
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase
from a2a_session_manager.testing.contract.making import said


def shown(store: BaseSessionStore) -> StoreStatistics:
    """Return a store's statistics, after a look at what must hold at any time: it has a `repr`, nothing is negative."""
    statistics = store.statistics()
    assert repr(store).startswith(f"<{type(store).__name__}")
    assert all(isinstance(count, int) and count >= 0 for count in asdict(statistics).values())
    return statistics


class StatisticsContract(ContractBase):
    """A store that counts nothing passes; one that counts has to count correctly."""

    async def test_each_commit_is_counted_once_and_creations_are_not(self, store: BaseSessionStore) -> None:
        await store.create("talk")
        before = shown(store).commits
        for _ in range(3):
            await store.append("talk", said())
        await asyncio.gather(*[store.append("talk", said()) for _ in range(20)])
        await store.create("other")

        counted = shown(store)

        assert counted.commits in (0, before + 23)
        assert (counted.commits > 0) or counted.batches == 0
        assert (counted.commits_waiting, counted.commits_in_flight) == (0, 0)

    async def test_counters_never_go_back(self, store: BaseSessionStore) -> None:
        await store.create("talk")
        seen = [shown(store)]
        writes = [asyncio.ensure_future(store.append("talk", said("x" * (10 + 9_000 * (n % 3))))) for n in range(40)]
        for write in writes:
            seen.append(shown(store))
            await write
        seen.append(shown(store))

        for name in ("commits", "batches", "largest_batch", "retries"):
            counts = [getattr(statistics, name) for statistics in seen]
            assert counts == sorted(counts), name

    async def test_statistics_and_repr_are_there_in_every_stage_of_a_store(self, store: BaseSessionStore) -> None:
        shown(store)  # before it is used
        view = store.namespace("acme")
        await view.create("talk")
        stream = view.follow("talk")
        following = asyncio.ensure_future(anext(stream))
        cancelled = asyncio.ensure_future(view.append("talk", said()))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        shown(store)
        await following
        try:
            await view.append("no such session", said())
        except SessionNotFound:
            shown(store)
        await asyncio.gather(*[asyncio.to_thread(shown, each) for each in (store, view)])
        await stream.aclose()

        assert asdict(shown(view)).keys() == asdict(shown(store)).keys()
        await store.aclose()
        assert "closed" in repr(store)
        assert shown(view) == shown(store)
        await asyncio.to_thread(shown, store)

    async def test_a_closed_store_holds_nothing_open_and_has_forgotten_nothing(self, store: BaseSessionStore) -> None:
        await store.create("talk")
        stream = store.follow("talk")
        following = asyncio.ensure_future(anext(stream))
        await asyncio.gather(*[store.append("talk", said()) for _ in range(5)])
        await following
        before = shown(store)
        await store.aclose()
        await asyncio.gather(asyncio.ensure_future(anext(stream)), return_exceptions=True)

        after = shown(store)

        assert after.commits == before.commits
        assert (after.commits_waiting, after.commits_in_flight) == (0, 0)
        assert (after.connections, after.open_files, after.followers) == (0, 0, 0)

    async def test_no_payload_is_in_what_a_store_logs_whatever_it_refuses(
        self, store: BaseSessionStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        secret = "s3cret-payl0ad"
        change = SessionChange(
            events=[said(secret, metadata={"of": secret})], set_state={"of": secret}, set_properties={"of": secret}
        )
        await store.create("talk", change=change)
        await store.append("talk", said(secret, id="e1"))
        with pytest.raises(SessionConflict):
            await store.commit("talk", change, expected_revision=1)
        with pytest.raises(SessionManagerError):
            await store.append("talk", said(secret * 2, id="e1"))
        with pytest.raises(SessionNotFound):
            await store.append("no such session", said(secret))
        cut_off = asyncio.ensure_future(store.append("talk", said(secret)))
        await asyncio.sleep(0)
        cut_off.cancel()
        await asyncio.gather(cut_off, return_exceptions=True)
        await store.get("talk", last=1)
        await store.aclose()

        written = map(logging.Formatter("%(message)s").format, caplog.records)
        assert [text for text in written if secret in text] == []
        assert secret not in repr(store)
