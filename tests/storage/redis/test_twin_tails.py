"""Messages that are read by plain commands are, whatever has happened to their session, those that the script reads."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import example, given, settings

from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.records import SessionKey
from tests.draws import few
from tests.redis_servers.server import RedisServer
from tests.storage.redis.both_ways import directly
from tests.storage.redis.comparing_reads import compare_reads
from tests.storage.redis.histories import LASTS, PLACED, Drawn, histories, told_of_tail


async def _compare(quick: Backend, slow: Backend, keys: Sequence[SessionKey]) -> None:
    for key in keys:
        for last in LASTS:
            told = await slow.read_tail(key, last=last)
            assert told is not None
            for _ in range(2):  # by then, it is known what a fork is made of
                assert told_of_tail(await quick.read_tail(key, last=last)) == told_of_tail(told)


@directly
@settings(max_examples=few(10, of=2000), deadline=None)
@given(drawn=histories)
@example(drawn=PLACED)
def test_a_fast_tail_is_that_of_the_script_whatever_has_happened(redis_server: RedisServer, drawn: Drawn) -> None:
    compare_reads(redis_server, drawn, _compare)
