"""From a URL to a store, or an error that says which schemes there are."""

from __future__ import annotations

import pytest

from a2a_session_manager import InMemorySessionStore, InvalidSessionOperation, StoreLimits, store_from_url


@pytest.mark.parametrize("url", ["memory:", "memory:/", "memory://"])
def test_memory_is_a_fresh_store_at_each_call(url: str) -> None:
    first, second = store_from_url(url), store_from_url(url)

    assert isinstance(first, InMemorySessionStore)
    assert first is not second


@pytest.mark.parametrize("url", ["", "memory", "postgres://x", "MEMORY:", ":memory:", "sessions/dir", "memoryx:"])
def test_an_unknown_scheme_is_refused_with_the_known_ones(url: str) -> None:
    with pytest.raises(InvalidSessionOperation, match=r"no known scheme: take one of .*memory:") as caught:
        store_from_url(url)

    assert repr(url) in str(caught.value)


@pytest.mark.parametrize("url", ["memory:here", "memory://host", "memory:./sessions"])
def test_a_place_in_memory_is_refused(url: str) -> None:
    with pytest.raises(InvalidSessionOperation, match="memory has none: take 'memory:'"):
        store_from_url(url)


async def test_limits_reach_the_store() -> None:
    store = store_from_url("memory:", limits=StoreLimits(event_bytes=10))

    assert store._limits.event_bytes == 10
