"""Heads that are read together by plain commands are, whatever has happened to them, those that the script reads."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings

from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.records import SessionKey
from tests.draws import few
from tests.redis_servers.server import RedisServer
from tests.storage.redis.comparing_reads import compare_reads
from tests.storage.redis.histories import Drawn, histories, told_of_session


async def _compare(quick: Backend, slow: Backend, keys: Sequence[SessionKey]) -> None:
    # Two at least, one of them twice, and one that is not there.
    wanted = [*keys, SessionKey((), "never"), *keys[:1]]
    together = await quick.load(wanted, last=0, whole_head=False)
    alone = [(await slow.load([key], last=0, whole_head=False))[0] for key in wanted]
    assert list(map(told_of_session, together)) == list(map(told_of_session, alone))
    assert [each is None for each in together] == [key.id == "never" for key in wanted]


@settings(max_examples=few(15, of=3500), deadline=None)
@given(drawn=histories)
def test_heads_read_together_are_those_of_the_script_whatever_has_happened(
    redis_server: RedisServer, drawn: Drawn
) -> None:
    compare_reads(redis_server, drawn, _compare)
