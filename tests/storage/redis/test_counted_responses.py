"""The scripts count responses as the rule of Python does, to the last digit, and remember the same of each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from a2a_session_manager.storage import heads
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit
from a2a_session_manager.storage.counted_responses import CountedResponse
from a2a_session_manager.storage.memory.stored import StoredSession, StoredTree
from a2a_session_manager.storage.records import EncodedEvent, UsageDelta
from a2a_session_manager.storage.redis import scripts
from tests.draws import few
from tests.redis_servers.server import RedisServer
from tests.storage.redis.twin_scripts import CREATION, GENERAL, KEY, Sessions

# What a fork inherits of a response that begins after an event of the session whose ids these are.
INHERITED = "\n".join(
    [
        *map(scripts._text, ("clock", "common", *scripts.COMMIT_RULES)),
        "local segment = {ids = KEYS[1], base = 0, last = tonumber(ARGV[2])}",
        "return inherited_line({segments = {segment}}, ARGV[1])",
    ]
)

counts = st.integers(1, 9) | st.sampled_from([2**53 - 1, 2**53, 10**14, 10**15 + 1, 10**22, 10**24])
usages = st.builds(
    UsageDelta,
    st.sampled_from(["", "m", "modèle\n2", "\ud800"]),
    st.just("llm"),
    st.dictionaries(
        st.sampled_from(["prompt_tokens", "requests", "cost_pico_usd", "partially_priced_requests"]), counts, min_size=1
    ),
    st.sampled_from([None, "msg_1", "msg_1", "msg 2: ø\n"]),
    st.none(),
    st.booleans(),
).map(lambda usage: usage if usage.response_id else usage._replace(is_counted=True))  # else it is no usage to a store
rows = st.lists(st.tuples(usages, st.sampled_from([None, "run 1"])), max_size=8)


def commits_of(used: Sequence[tuple[UsageDelta, str | None]], size: int) -> list[EncodedCommit]:
    numbers = count()
    events = [EncodedEvent(f"e{next(numbers)}", b"{}", run_id, usage) for usage, run_id in used]
    groups = [events[start : start + size] for start in range(0, len(events), size)]
    return [EncodedCommit(events=group, tag="0a") for group in groups]


def by_python(commits: Sequence[EncodedCommit]) -> tuple[StoredSession, list[bool]]:
    stored = StoredSession(heads.new_head(KEY, Creation(CREATION, 0)), StoredTree())
    stored.write(EncodedCommit(write_id="created"))
    return stored, [stored.write(replace(commit)).is_recounted for commit in commits]


def by_scripts(server: RedisServer, source: str, commits: Sequence[EncodedCommit]) -> tuple[dict[str, int], list[bool]]:
    """Return the totals of session, tree and run by their fields, and of each commit whether it was recounted.

    Among the totals is what a fork inherits that begins anywhere.
    """
    last_seq = sum(len(commit.events) for commit in commits)
    with server.admin() as client:
        session = Sessions(client)
        told = [answer for commit in commits for answer in session.commit(source, [commit])]
        keys = session.keys
        found: dict[str, int] = {}
        for name, key in (("own", keys.head), ("tree", keys.totals), ("run", keys.runs)):
            for field, value in session.call("HGETALL", key).items():
                if field.startswith((b"t:", b"u:")) and value != b"0":
                    found[f"{name} {field.decode()}"] = int(value)
        for field in [name for name in session.call("HKEYS", keys.ids) if name.startswith(b"u:")]:
            for seq in range(last_seq + 1):
                line = session.call("EVAL", INHERITED, 1, keys.ids, field[2:], seq)
                if line is not None:
                    found[f"counted {field[2:].decode()} up to {seq} {_shown(_counted(line))}"] = 1
    return found, [answer.is_recounted for answer in told if hasattr(answer, "is_recounted")]


def fields_of(stored: StoredSession) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, totals in (("own", stored.head.totals), ("tree", stored.tree.totals)):
        for cell, counters in totals.items():
            field = json.dumps(cell, separators=(",", ":"))
            found |= {f"{name} t:{counter}:{field}": value for counter, value in counters.items()}
    for run_id, counters in stored.head.run_totals.items():
        found |= {f"run u:{counter}:{run_id}": value for counter, value in counters.items()}
    for name in stored.responses:
        for seq in range(stored.head.last_seq + 1):
            counted = stored.responses.as_of(name, seq)
            if counted is not None:
                found[f"counted {name} up to {seq} {_shown(counted)}"] = 1
    return found


def _counted(line: bytes) -> CountedResponse:
    words, _, model = line.decode("utf-8", "surrogatepass").partition("\n")
    parts = words.split(" ")
    return CountedResponse(model, dict(zip(parts[::2], map(int, parts[1::2]), strict=True)))


def _shown(counted: CountedResponse) -> str:
    return json.dumps([counted.model, sorted(counted.counters.items())])


def _use(cost: int, model: str = "m", response_id: str | None = "msg_1") -> tuple[UsageDelta, str | None]:
    return UsageDelta(model, "llm", {"cost_pico_usd": cost}, response_id), "run 1"


@settings(max_examples=few(30, of=600), deadline=None, phases=[Phase.explicit, Phase.generate])
@given(used=rows, size=st.integers(1, 4))
@example(used=[_use(10**22), _use(10**22 + 1), _use(10**24), _use(10**22)], size=1)
@example(used=[_use(1, ""), _use(5, "m"), _use(7, "n"), _use(2, "o")], size=3)
def test_both_scripts_count_as_the_rule_of_python_does(
    redis_server: RedisServer, used: list[tuple[UsageDelta, str | None]], size: int
) -> None:
    commits = commits_of(used, size)
    stored, recounted = by_python(commits)

    for source in (scripts.COMMIT.source, GENERAL.source):
        assert by_scripts(redis_server, source, commits) == (fields_of(stored), recounted)
