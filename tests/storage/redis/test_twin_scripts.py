"""The short script of appends and the general one of all commits: the same keys afterwards, and the same receipts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import uuid4

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from a2a_session_manager.exceptions import RunBusy, SessionManagerError
from a2a_session_manager.models.lease import LeaseClaim
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.records import EncodedEvent, EncodedRetraction, SessionKey, StoredRun, UsageDelta
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.commit_calls import commit_args, commit_call
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.receipts import receipt_of, receipts_of_appends
from a2a_session_manager.storage.redis.script import ScriptCall
from tests.redis_servers.server import RedisServer

SHORT = scripts.COMMIT
GENERAL = scripts._script(*scripts.COMMIT_RULES, "commit")
KEY = SessionKey((), "talk")
CREATION = "c0ffee"
BEYOND_EXACT = 2**53 - 2

Batch = list[EncodedCommit]

usages = st.builds(
    UsageDelta,
    st.sampled_from(["", "m", "modèle 2"]),
    st.sampled_from(["llm", "user"]),
    st.dictionaries(
        st.sampled_from(["requests", "prompt_tokens"]), st.sampled_from([0, 1, 7, BEYOND_EXACT, 10**18]), max_size=2
    ),
    st.sampled_from([None, None, "msg_1", "msg 2: ø", "%d"]),
    st.none(),
)
events = st.builds(
    EncodedEvent,
    st.sampled_from(["a", "b", "c", "d e", "ø", "100", "%d"]),
    st.sampled_from([b"{}", b'{"message":"%d \xc3\xb8"}', b""]),
    st.sampled_from([None, None, "run 1", "run:2"]),
    st.none() | usages,
)
tags = st.integers(1, 0xFFFF).map(lambda number: f"{number:04x}")
times = st.integers(0, 2 * 10**6)
appends = st.builds(
    EncodedCommit,
    events=st.lists(events, min_size=1, max_size=4),
    written_at=times,
    tag=tags,
    creation_id=st.sampled_from([None, None, CREATION, "another"]),
)
RUN = "run 1"


def _usage_of(event: EncodedEvent) -> EncodedEvent:
    return event._replace(id=f"usage of {event.id}", data=b'{"usage":1}')


# Of a run that somebody holds by now, or nobody; 1 ms is over before anything else is done.
claims = st.builds(
    LeaseClaim,
    st.sampled_from([RUN, RUN, "run:2"]),
    st.sampled_from(["t", "t", "u"]),
    st.sampled_from(["hold", "hold", "hold", "acquire", "take_over", "release", "vacant"]),
    st.sampled_from([10**6, 10**6, 10**6, 0]),
    st.just("somebody"),
)
leased = st.builds(
    EncodedCommit,
    events=st.lists(events, max_size=3, unique_by=lambda event: event.id),
    written_at=times,
    tag=tags,
    lease=claims,
    usage_of=st.just(_usage_of),
)
others = st.builds(
    EncodedCommit,
    events=st.lists(events, max_size=2),
    state=st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from([b"1", b"[2]", None]), max_size=1),
    runs=st.dictionaries(
        st.sampled_from(["run 1", "run:2"]),
        st.builds(StoredRun, st.sampled_from(["pending", "running", "completed"]), st.just(b"{}")),
        max_size=1,
    ),
    retraction=st.none()
    | st.integers(1, 3).map(lambda count: EncodedRetraction(last=count))
    | st.integers(0, 5).map(lambda seq: EncodedRetraction(after=seq)),
    written_at=times,
    tag=tags,
    write_id=st.sampled_from([None, "w", "x"]),
    expected_revision=st.none() | st.integers(1, 4),
)
batches = st.lists(st.lists(st.one_of(appends, appends, leased, leased, others), min_size=1, max_size=4), max_size=6)


class Sessions:
    """One session under a prefix of its own, whose batches one of the scripts commits."""

    def __init__(self, client: Any) -> None:
        self.call: Callable[..., Any] = client.execute_command
        self.prefix = f"twin-{uuid4().hex}:"
        self.keys = SessionKeys(self.prefix, KEY, KEY.id)
        running = {RUN: StoredRun("running", b"{}")}
        first = EncodedCommit(written_at=1, tag="00", write_id="created", runs=running)
        arguments = [KEY.id, 0, CREATION, 1, 1, b"", *commit_args(first)]
        touched = (*self.keys.all_of_creation, self.keys.locator)
        self.call(*ScriptCall(scripts.CREATE_ROOT, touched, arguments).by_source())

    def commit(self, source: str, batch: Batch) -> list[object]:
        """Return what each commit came to."""
        _, _, *rest = commit_call(self.keys, batch, 0, lambda: None).by_source()
        reply = self.call("EVAL", source, *rest)
        return [_told(answer) for answer in _answers(reply, batch)]

    def dumped(self) -> dict[str, bytes]:
        names = sorted(self.call("KEYS", f"{self.prefix}*"))
        return {name.decode().removeprefix(self.prefix): self._contents(name) for name in names}

    def _contents(self, name: bytes) -> Any:
        read = {"hash": ("HGETALL",), "list": ("LRANGE", 0, -1), "zset": ("ZRANGE", 0, -1, "WITHSCORES")}
        command, *arguments = read[self.call("TYPE", name).decode()]
        return _without_times(self.call(command, name, *arguments)), self.call("PTTL", name)


def _without_times(contents: Any) -> Any:
    """Leave out when leases end: one session is written after the other."""
    if not isinstance(contents, dict):
        return contents
    return {name: value.split(b" ")[0] if name.startswith(b"l:") else value for name, value in contents.items()}


def _answers(reply: Any, batch: Batch) -> Iterator[Receipt | SessionManagerError]:
    if isinstance(reply, bytes):
        yield from receipts_of_appends(reply, batch)
    else:
        assert reply[0] == b"OK", reply
        for answer, commit in zip(reply[2], batch, strict=True):
            yield receipt_of(answer, KEY, commit)


def _told(answer: Receipt | SessionManagerError) -> object:
    if isinstance(answer, RunBusy):
        return type(answer), answer.holder
    if isinstance(answer, SessionManagerError):
        return type(answer), str(answer), {name: value for name, value in vars(answer).items() if name[0] != "_"}
    return answer._replace(seqs=list(answer.seqs))


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
