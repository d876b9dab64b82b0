"""From a URL to a store, or an error that says which schemes there are."""

from __future__ import annotations

import traceback
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import (
    InMemorySessionStore,
    InvalidEvent,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
    StoreLimits,
    store_from_url,
)
from a2a_session_manager.pricing.pricer import PricedCost
from a2a_session_manager.pricing.usage_numbers import UsageNumbers


@pytest.mark.parametrize("url", ["memory:", "memory:/", "memory://"])
def test_memory_is_a_fresh_store_at_each_call(url: str) -> None:
    first, second = store_from_url(url), store_from_url(url)

    assert isinstance(first, InMemorySessionStore)
    assert first is not second


@pytest.mark.parametrize("url", ["", "memory", "postgres://x", "MEMORY:", ":memory:", "sessions/dir", "memoryx:"])
def test_an_unknown_scheme_is_refused_with_the_known_ones(url: str) -> None:
    with pytest.raises(InvalidSessionOperation, match=r"no known scheme: take one of .*memory:"):
        store_from_url(url)


@pytest.mark.parametrize("url", [None, 5, Path("sessions")])
def test_what_is_no_string_is_refused_with_what_to_pass(url: Any) -> None:
    with pytest.raises(InvalidSessionOperation, match=r"is a .*, not a string: take one, such as 'file:\./sessions'"):
        store_from_url(url)


PLACES_OF_A_PASSWORD = [
    "rediz://ines:s3cret@db/0",
    "redis+sentinal://db/m?sentinel_password=s3cret",
    "redis://ines:s3cret@[::1/0",
    "redis://ines:s3cret@db:port/0",
    "redis://ines:s3cret",
    "redis://ines:a/s3cret@db/0",
    "redis://ines:a?s3cret@db/0",
    "redis://ines:s3cret#x@db/0",
    "redis://ines:a#s3cret@db/0",
    "redis://ines:s3cret@db/zero",
    "redis://ines:%ffs3cret@db/0",
    "redis://db/s3cret",
    "redis://db?password=a&s3cret",
    "redis://db?password=%ffs3cret",
    "redis://db?passwort=s3cret",
    "redis://db?db=s3cret",
    "redis://db?ssl=s3cret",
    "redis://db?expiration_seconds=s3cret",
    "redis://db?key_prefix={s3cret",
    "redis://db/0\n?password=s3cret",
    "redis+cluster://ines:s3cret@db/1",
    "redis+sentinel://ines:s3cret@db",
    "memory://ines:s3cret@db",
    "memory:?password=s3cret",
    "file://ines:s3cret@db/x",
    "file:./x?password=s3cret",
    "file:./x?s3cret",
    "file:./x?durability=s3cret",
    "//ines:s3cret@db/0",
    "ines@s3cret:6379",
    b"redis://:s3cret@db/zero",
]


@pytest.mark.parametrize("url", PLACES_OF_A_PASSWORD)
def test_a_password_is_not_repeated_wherever_it_stands(url: Any) -> None:
    with pytest.raises(InvalidSessionOperation) as caught:
        store_from_url(url)

    assert "s3cret" not in "".join(traceback.format_exception(caught.value, chain=True))


@pytest.mark.parametrize("url", ["file:./a\0b", "file:./a\nb", "file:./a\tb", "file:./a%00b", "file:./a\ud800b"])
def test_a_name_that_no_directory_can_have_is_refused(url: str) -> None:
    with pytest.raises(InvalidSessionOperation, match=r"leave it out|take another one"):
        store_from_url(url)


@pytest.mark.parametrize("url", ["memory:here", "memory://host", "memory:./sessions"])
def test_a_place_in_memory_is_refused(url: str) -> None:
    with pytest.raises(InvalidSessionOperation, match="memory has none: take 'memory:'"):
        store_from_url(url)


class FlatRate:
    """A pricer that knows one price."""

    def price(self, usage: UsageNumbers, model: str, provider: str | None, at: datetime) -> PricedCost:
        return PricedCost(7, "flat rate")


@pytest.mark.parametrize("url", ["memory:", "file:{place}", "file:{place}?durability=disk"])
async def test_a_pricer_reaches_the_store_of_every_scheme(url: str, tmp_path: Path) -> None:
    async with SessionManager.from_url(url.format(place=tmp_path / "sessions"), pricer=FlatRate()) as sessions:
        async with sessions.open("talk") as chat:
            await chat.assistant("Hi.", model="ours", usage={"prompt_tokens": 1, "completion_tokens": 1})
        total = (await sessions.usage("talk")).total

    assert (total.cost_pico_usd, total.unpriced_requests) == (7, 0)


@pytest.mark.parametrize("url", ["memory:", "file:{place}", "file:{place}?durability=disk"])
async def test_limits_reach_the_store_of_every_scheme(url: str, tmp_path: Path) -> None:
    limits = StoreLimits(event_bytes=10)
    async with SessionManager.from_url(url.format(place=tmp_path / "sessions"), limits=limits) as sessions:
        await sessions.create("talk")

        with pytest.raises(InvalidEvent, match="10"):
            await sessions.append("talk", SessionEvent(message="more than ten bytes"))
