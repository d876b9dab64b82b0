"""A session that is loaded by plain commands is, whatever has happened to it, the one that the script loads."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings

from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.records import SessionKey
from tests.draws import few
from tests.redis_servers.server import RedisServer
from tests.storage.redis.both_ways import directly
from tests.storage.redis.comparing_reads import compare_reads
from tests.storage.redis.histories import LASTS, Drawn, histories, told_of_session


async def _compare(quick: Backend, slow: Backend, keys: Sequence[SessionKey]) -> None:
    for key in keys:
        for last in LASTS:
            [found] = await quick.load([key], last=last, whole_head=False)
            [told] = await slow.load([key], last=last, whole_head=False)
            assert told_of_session(found) == told_of_session(told)
            assert told is not None


@directly
@settings(max_examples=few(10, of=1500), deadline=None)
@given(drawn=histories)
def test_a_fast_load_is_that_of_the_script_whatever_has_happened(redis_server: RedisServer, drawn: Drawn) -> None:
    compare_reads(redis_server, drawn, _compare)
