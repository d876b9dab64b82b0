"""Scripts of commits beside one another: sessions that each of them writes, and what it left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

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
        return [told(answer) for answer in answers(reply, batch)]

    def dumped(self) -> dict[str, bytes]:
        names = sorted(self.call("KEYS", f"{self.prefix}*"))
        return {name.decode().removeprefix(self.prefix): self._contents(name) for name in names}

    def _contents(self, name: bytes) -> Any:
        read = {"hash": ("HGETALL",), "list": ("LRANGE", 0, -1), "zset": ("ZRANGE", 0, -1, "WITHSCORES")}
        command, *arguments = read[self.call("TYPE", name).decode()]
        return without_times(self.call(command, name, *arguments)), self.call("PTTL", name)


def without_times(contents: Any) -> Any:
    """Leave out when leases end: one session is written after the other."""
    if not isinstance(contents, dict):
        return contents
    return {name: value.split(b" ")[0] if name.startswith(b"l:") else value for name, value in contents.items()}


def answers(reply: Any, batch: Batch) -> Iterator[Receipt | SessionManagerError]:
    if isinstance(reply, bytes):
        yield from receipts_of_appends(reply, batch)
    else:
        assert reply[0] == b"OK", reply
        for answer, commit in zip(reply[2], batch, strict=True):
            yield receipt_of(answer, KEY, commit)


def told(answer: Receipt | SessionManagerError) -> object:
    if isinstance(answer, RunBusy):
        return type(answer), answer.holder
    if isinstance(answer, SessionManagerError):
        return type(answer), str(answer), {name: value for name, value in vars(answer).items() if name[0] != "_"}
    return answer._replace(seqs=list(answer.seqs))
