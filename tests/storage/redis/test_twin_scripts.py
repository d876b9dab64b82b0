"""The short script of appends and the general one of all commits: the same keys afterwards, and the same receipts."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import Phase, example, given, settings

from a2a_session_manager.models.lease import LeaseClaim
from a2a_session_manager.storage.commit_records import EncodedCommit
from a2a_session_manager.storage.records import EncodedEvent, UsageDelta
from tests.redis_servers.server import RedisServer
from tests.storage.redis.twin_scripts import (
    BEYOND_EXACT,
    GENERAL,
    RUN,
    SHORT,
    Batch,
    Sessions,
    _usage_of,
    batches,
)


def _event(event_id: str, tokens: int | None = None, run_id: str | None = None) -> EncodedEvent:
    usage = None if tokens is None else UsageDelta("m", "llm", {"prompt_tokens": tokens})
    return EncodedEvent(event_id, b"{}", run_id, usage)


def _append(*events: EncodedEvent) -> Sequence[EncodedCommit]:
    return [EncodedCommit(events=events, tag="0a")]


@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(batches=batches)
@example(batches=[_append(_event("a", 5)), _append(_event("b", BEYOND_EXACT)), _append(_event("c", 10**18, "run 1"))])
@example(batches=[[*_append(_event("a"), _event("b")), *_append(_event("c"))], _append(_event("b"), _event("d e"))])
def test_both_scripts_leave_the_same_keys_and_tell_the_same(redis_server: RedisServer, batches: list[Batch]) -> None:
    with redis_server.admin() as client:
        by_short, by_general = Sessions(client), Sessions(client)

        for batch in batches:
            assert by_short.commit(SHORT.source, batch) == by_general.commit(GENERAL.source, batch)

        assert by_short.dumped() == by_general.dumped()


def test_the_short_script_takes_what_the_property_is_about(redis_server: RedisServer) -> None:
    alone = SHORT.source.replace("if appended then return appended end", "do return appended end")
    with redis_server.admin() as client:
        session = Sessions(client)

        acquired = LeaseClaim(RUN, "t", "acquire", 10**6, "somebody")
        session.commit(GENERAL.source, [EncodedCommit(lease=acquired)])
        held = EncodedCommit(
            events=[_event("of a run", 5, RUN)], lease=acquired._replace(step="hold"), usage_of=_usage_of
        )
        session.commit(alone, [held, *_append(_event("of nobody"))])
        for number in range(3):
            plain, priced = (
                _append(_event(f"{number}"), _event(f"{number} more", 3)),
                _append(_event(f"{number} too", 2)),
            )
            session.commit(alone, [*plain, *priced])

        assert session.call("LLEN", session.keys.log) == 11
