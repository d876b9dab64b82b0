"""Opening a Redis store: what a URL brings along, and on an event loop that has not seen the package yet."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from importlib.metadata import version
from uuid import uuid4

from a2a_session_manager import SessionManager
from a2a_session_manager.pricing.pricer import PricedCost
from a2a_session_manager.pricing.usage_numbers import UsageNumbers
from tests.redis_servers.server import RedisServer

_OPENS = """
import asyncio
{first}
from a2a_session_manager import SessionManager
from a2a_session_manager.testing import blocking_calls_refused

async def main():
    async with SessionManager.from_url("redis://127.0.0.1:1"):
        pass

with blocking_calls_refused():
    asyncio.run(main())
"""


def test_the_first_store_of_a_process_may_be_opened_on_its_event_loop() -> None:
    # Before its release 8, redis-py itself reads a file when it is imported.
    first = "" if int(version("redis").partition(".")[0]) >= 8 else "import redis"
    opened = subprocess.run(
        [sys.executable, "-c", _OPENS.format(first=first)], capture_output=True, text=True, check=False
    )

    assert opened.returncode == 0, opened.stderr


class FlatRate:
    """A pricer that knows one price."""

    def price(self, usage: UsageNumbers, model: str, provider: str | None, at: datetime) -> PricedCost:
        return PricedCost(7, "flat rate")


async def test_a_pricer_given_with_the_url_prices_what_is_appended(redis_server: RedisServer) -> None:
    url = f"{redis_server.url}?key_prefix=test-{uuid4().hex}:"
    async with SessionManager.from_url(url, pricer=FlatRate()) as sessions, sessions.open("talk") as chat:
        await chat.assistant("Hi.", model="ours", usage={"prompt_tokens": 1, "completion_tokens": 1})

    async with SessionManager.from_url(url) as cold:  # its own pricer knows no price of the model
        [event] = (await cold.get("talk")).events
        total = (await cold.usage("talk")).total

    assert event.token_usage is not None
    assert (event.token_usage.cost_pico_usd, event.token_usage.priced_by) == (7, "flat rate")
    assert (total.cost_pico_usd, total.unpriced_requests) == (7, 0)
