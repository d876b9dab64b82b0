"""Which calls are refused on an event loop, in a pytest process of its own, where nothing is imported yet."""

from __future__ import annotations

import pytest

TEST = """
    import asyncio
    import time

    import pytest
    from blockbuster import BlockingError

    from a2a_session_manager import store_from_url
    from a2a_session_manager.testing import blocking_calls_refused

    def test_a_store_that_is_opened_on_the_loop_may_import_itself():
        async def opened():
            return store_from_url("redis://127.0.0.1:1")

        with blocking_calls_refused():
            asyncio.run(opened())

    def test_a_sleep_is_refused():
        async def sleeps():
            time.sleep(0.001)

        with blocking_calls_refused(), pytest.raises(BlockingError):
            asyncio.run(sleeps())
"""


def test_a_blocking_call_is_refused_and_an_import_is_not(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest", timeout=60)

    result.assert_outcomes(passed=2)
