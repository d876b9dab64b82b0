"""Messages without events: whatever is stored, they say what the events do, and damage is the same damage."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import CorruptSession, EventSource, SessionEvent, TokenUsage
from a2a_session_manager.limits import DEFAULT_LIMITS
from a2a_session_manager.models.event_message import EventMessage, MessageColumns, message_of
from a2a_session_manager.serialization.json_check import JsonCheck
from a2a_session_manager.storage import loading, message_codec
from a2a_session_manager.storage.codec import decode_event, encode_event
from a2a_session_manager.storage.loading import load_messages, load_tail
from a2a_session_manager.storage.message_codec import decode_block, decode_messages
from a2a_session_manager.storage.read_records import LogTail, RecordBlock, StoredEvent
from tests.draws import few
from tests.storage.encoded_events import events, exactly

# Written like those of a store: most of the same shape and of one day, so that a batch is of one kind.
plain_events = st.builds(
    SessionEvent[Any],
    message=st.dictionaries(st.text(), st.text() | st.integers()) | st.text(),
    source=st.sampled_from(EventSource),
    task_id=st.none() | st.just("r1"),
    metadata=st.just({}) | st.just({"framework": "x"}),
    token_usage=st.none()
    | st.builds(
        TokenUsage,
        prompt_tokens=st.integers(3, 10**12),
        cache_read_tokens=st.integers(0, 3),
        cost_pico_usd=st.none() | st.integers(0, 10**9),
    ),
)


def stored(*found: SessionEvent[Any]) -> list[StoredEvent]:
    return [StoredEvent(seq, seq, encode_event(event, JsonCheck(math.inf)).data) for seq, event in enumerate(found, 1)]


def by_the_events(records: list[StoredEvent]) -> list[EventMessage]:
    return [message_of(decode_event(data, "s", seq, retracted=False)) for seq, _, data in records]


def outcome(read: Callable[[], list[EventMessage]]) -> Any:
    try:
        return [
            (*message[:2], exactly(message.message), *message[3:6], exactly(message.metadata)) for message in read()
        ]
    except CorruptSession as error:
        return error.session_id, error.seq, str(error)


def by_the_batch(records: list[StoredEvent]) -> list[EventMessage]:
    return list(decode_messages([record.seq for record in records], [record.data for record in records], "s"))


def by_the_block(records: list[StoredEvent]) -> list[EventMessage]:
    return list(decode_block([record.seq for record in records], b"\t".join(record.data for record in records), "s"))


def same_as_by_the_events(records: list[StoredEvent]) -> Any:
    found = outcome(lambda: by_the_batch(records))
    assert found == outcome(lambda: by_the_events(records))
    if records and not any(b"\t" in record.data for record in records):  # which are no records of a block
        assert found == outcome(lambda: by_the_block(records))
    return found


@given(st.lists(events() | plain_events, max_size=12))
@settings(deadline=None)
def test_messages_say_what_their_events_do(found: list[SessionEvent[Any]]) -> None:
    same_as_by_the_events(stored(*found))


@given(st.lists(plain_events, min_size=1, max_size=6), st.data())
@settings(deadline=None, max_examples=few(100, of=2_000))
def test_damaged_bytes_are_the_damage_that_they_are_to_the_events(
    found: list[SessionEvent[Any]], data: st.DataObject
) -> None:
    records = stored(*found)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(records) - 1))
        text = records[at].data
        first = data.draw(st.integers(0, len(text)))
        last = data.draw(st.integers(first, min(len(text), first + 3)))
        piece = data.draw(st.binary(max_size=2) | st.sampled_from([b",", b"]", b"[", b"{", b"}", b'"', b"9", b"{},"]))
        records[at] = records[at]._replace(data=text[:first] + piece + text[last:])

    same_as_by_the_events(records)


FIELDS = [
    ("v", 2),
    ("v", "1"),
    ("id", ""),
    ("id", "x" * 513),
    ("id", 5),
    ("id", "\ud800"),
    ("source", "nobody"),
    ("source", []),
    ("source", None),
    ("type", 5),
    ("type", None),
    ("type", {}),
    ("timestamp", "yesterday"),
    ("timestamp", "2026-02-30T10:00:00.000000Z"),
    ("timestamp", "2026-02-29T10:00:00.000000Z"),
    ("timestamp", "2024-02-29T10:00:00.000000Z"),
    ("timestamp", "2026-W09-1T10:00:00.000000Z"),
    ("timestamp", "2026-01-30T24:00:00.000000Z"),
    ("timestamp", "2026-01-30T10:60:00.000000Z"),
    ("timestamp", "2026-01-30T10:00:60.000000Z"),
    ("timestamp", "2026-01-30T10:00:00"),
    ("timestamp", "0000-01-30T10:00:00.000000Z"),
    ("timestamp", 5),
    ("timestamp", None),
    ("task_id", ""),
    ("task_id", 5),
    ("task_id", None),
    ("metadata", None),
    ("metadata", []),
    ("token_usage", None),
    ("token_usage", 5),
    ("token_usage", {}),
    ("token_usage", {"prompt_tokens": -1}),
    ("seq", 3),
    ("retracted", True),
    ("more", 1),
]
# Of these, what is an event all the same.
SOUND: list[tuple[str, Any]] = [
    ("timestamp", "2024-02-29T10:00:00.000000Z"),
    ("timestamp", 5),
    ("task_id", None),
    ("token_usage", None),
    ("token_usage", {}),
    ("seq", 3),
    ("retracted", True),
]


@pytest.mark.parametrize("usage", [None, TokenUsage(prompt_tokens=3, model="m")], ids=["metadata is last", "usage is"])
@pytest.mark.parametrize(("name", "value"), FIELDS, ids=str)
def test_a_record_that_is_json_but_no_event_is_damage_among_good_ones(
    name: str, value: Any, usage: TokenUsage | None
) -> None:
    records = stored(
        *(SessionEvent(message={"n": n}, task_id="r", metadata={"a": 1}, token_usage=usage) for n in range(5))
    )
    fields = json.loads(records[2].data)
    records[2] = records[2]._replace(data=json.dumps({**fields, name: value}, separators=(",", ":")).encode())

    found = same_as_by_the_events(records)

    assert isinstance(found, tuple) == ((name, value) not in SOUND)
    assert found[1] == 3 if isinstance(found, tuple) else len(found) == 5


ODD: list[Any] = [-1, 10**13, "1", True, None, "no basis", 1.5, {"a": 1}, []]


@pytest.mark.parametrize("name", TokenUsage.model_fields)
@pytest.mark.parametrize("value", ODD, ids=str)
def test_a_usage_that_is_none_is_damage_and_an_odd_one_is_read_as_the_events_do(name: str, value: Any) -> None:
    records = stored(*(SessionEvent(message="m", token_usage=TokenUsage(prompt_tokens=3)) for _ in range(3)))
    fields = json.loads(records[1].data)
    fields["token_usage"][name] = value
    records[1] = records[1]._replace(data=json.dumps(fields, separators=(",", ":")).encode())

    same_as_by_the_events(records)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2024, 2, 29, tzinfo=UTC),
        datetime(2000, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 1, tzinfo=timezone(timedelta(hours=-14, minutes=-45))),
    ],
    ids=str,
)
def test_no_time_is_too_rare_for_a_message(moment: datetime) -> None:
    assert len(same_as_by_the_events(stored(*(SessionEvent(message="m", timestamp=moment) for _ in range(3))))) == 3


def test_records_that_are_whole_only_together_are_damaged_each() -> None:
    good, torn, rest, two = stored(*(SessionEvent(message={"n": n}) for n in range(4)))
    # In one list they are four good events: the second swallows the third, and the fourth is two.
    records = [
        good,
        torn._replace(data=torn.data.replace(b'{"n":1}', b'[{"n":1')),
        rest._replace(data=rest.data.replace(b'{"n":2}', b'{"n":2}}]')),
        two._replace(data=two.data[:-1] + b"},5,{" + two.data[len(b'{"v":1,') :]),
    ]

    assert same_as_by_the_events(records)[1] == 2


METADATA = b',"metadata":{"framework":"x"}}'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (METADATA, b',"metadata":[]' + METADATA),
        (METADATA, b',"metadata":{"a":1}' + METADATA),
        (METADATA, b',"token_usage":null' + METADATA),
        (METADATA, b',"source":"user"' + METADATA),
        (METADATA, b',"more":1' + METADATA),
        (METADATA, b'"' + METADATA),
        (METADATA, b"]" + METADATA),
        (b"{", b'[{"x":1},{'),
        (b'"message":', b'"message":{"a":'),
    ],
)
@pytest.mark.parametrize("damaged", [[0], [1], [0, 1, 2]])
def test_records_that_end_alike_are_read_as_the_events_do(before: bytes, after: bytes, damaged: list[int]) -> None:
    records = stored(*(SessionEvent(message={"n": n}, metadata={"framework": "x"}) for n in range(3)))
    for at in damaged:
        assert before in records[at].data
        records[at] = records[at]._replace(data=records[at].data.replace(before, after, 1))

    same_as_by_the_events(records)


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": "b", "timestamp": "2026-01-30T10:00:00.000000Z"},
        {"a": "b", "timestamp": "2026-01-30T10:00:00.000000Z", "task_id": "r2"},
        {"a": [{"b": "c", "timestamp": "2026-01-30T10:00:00.000000Z", "metadata": {}}]},
    ],
)
def test_metadata_that_look_like_the_end_of_a_record_are_read_as_metadata(metadata: dict[str, Any]) -> None:
    found = same_as_by_the_events(
        stored(*(SessionEvent(message={"n": n}, task_id="r", metadata=metadata) for n in range(3)))
    )

    assert len(found) == 3


@pytest.mark.parametrize("metadata", [{}, {"framework": "x"}])
def test_a_record_without_its_mark_is_damage_among_good_ones(metadata: dict[str, Any]) -> None:
    records = stored(*(SessionEvent(message={"n": n}, metadata=metadata) for n in range(3)))
    records[1] = records[1]._replace(data=records[1].data.replace(b'"v":1,', b"", 1))

    assert same_as_by_the_events(records)[1] == 2


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("part", [b'{"v":1,', METADATA])
def test_a_record_without_what_all_begin_or_end_with_is_damage(part: bytes, at: int) -> None:
    records = stored(*(SessionEvent(message={"n": n}, metadata={"framework": "x"}) for n in range(3)))
    data = records[at].data
    records[at] = records[at]._replace(data=data.removeprefix(part).removesuffix(part))
    assert len(records[at].data) == len(data) - len(part)

    assert same_as_by_the_events(records)[1] == at + 1


def test_a_newer_format_is_named() -> None:
    records = stored(SessionEvent(message="a"), SessionEvent(message="b"))
    records[1] = records[1]._replace(data=records[1].data.replace(b'"v":1', b'"v":2'))

    with pytest.raises(CorruptSession, match="event 2 was written in format 2 by a newer release") as failure:
        by_the_batch(records)
    assert failure.value.seq == 2


def test_messages_as_they_are_written_are_made_without_events(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("an event was made")

    usage = TokenUsage(prompt_tokens=3, cache_read_tokens=2, model="m", details={"a": [None]})
    records = stored(
        SessionEvent(message={"role": "user", "content": "Zoë"}, id="é"),
        SessionEvent(message=None, type="own", task_id="r"),
        SessionEvent(message={"cited": [{"a": 1, "source": "x"}], "message": "y", "timestamp": "z"}),
        SessionEvent(message=[1.5, 10**40], metadata={"a": {"b": []}}, token_usage=usage),
        SessionEvent(message="x", timestamp=datetime(2024, 2, 29, tzinfo=timezone(timedelta(hours=5, minutes=30)))),
    )
    alike = stored(*(SessionEvent(message={"n": n}, metadata={"framework": "x"}, task_id="r") for n in range(3)))
    assert len({id(message.metadata) for message in by_the_batch(alike)}) == 1
    expected, alike_expected = by_the_events(records), by_the_events(alike)
    monkeypatch.setattr(message_codec, "decode_event", refused)

    for first in range(len(records)):  # whatever the first one ends with, and the others do not
        assert by_the_batch(records[first:] + records[:first]) == expected[first:] + expected[:first]
    assert by_the_batch(alike) == by_the_block(alike) == alike_expected
    assert by_the_block(records) == expected


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((10, 5_000, 10), [(1, True), (2, False), (3, True)]), ((5_000,), [(1, False)]), ((10, 20), [(1, True)])],
)
async def test_a_heavy_message_is_decoded_in_a_thread_and_the_others_here(
    sizes: tuple[int, ...], expected: list[tuple[int, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[tuple[int, bool]] = []

    def noted(seqs: Sequence[int], data: Sequence[bytes], session_id: str) -> MessageColumns:
        threads.append((seqs[0], threading.current_thread() is threading.main_thread()))
        return decode_messages(seqs, data, session_id)

    records = stored(*(SessionEvent(message="x" * size) for size in sizes))
    monkeypatch.setattr(loading, "decode_messages", noted)
    monkeypatch.setattr(loading, "_BYTES_A_BATCH", 1_000 if len(sizes) > 1 else 64_000)

    found = await load_messages(
        range(1, len(sizes) + 1),
        [record.data for record in records],
        "s",
        replace(DEFAULT_LIMITS, inline_bytes=4_000),
    )

    assert [message.seq for message in found] == list(range(1, len(sizes) + 1))
    assert threads == expected


async def test_blocks_are_read_in_their_order_and_a_heavy_one_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    here: list[tuple[int, bool]] = []

    def noted(seqs: Sequence[int], data: Sequence[bytes], session_id: str) -> MessageColumns:
        here.append((seqs[0], threading.current_thread() is threading.main_thread()))
        return decode_messages(seqs, data, session_id)

    monkeypatch.setattr(loading, "decode_messages", noted)
    monkeypatch.setattr(loading, "_BYTES_A_BATCH", 1_000)
    records = [record.data for record in stored(*(SessionEvent(message="x" * n) for n in (10, 20, 5_000, 30)))]
    blocks = [RecordBlock(2, b"\t".join(records[:2])), RecordBlock(2, b"\t".join(records[2:]))]
    tail = LogTail("c", range(1, 5), (), 0, blocks)

    found = await load_tail(tail, "s", replace(DEFAULT_LIMITS, inline_bytes=4_000))

    assert [(message.seq, len(message.message)) for message in found] == [(1, 10), (2, 20), (3, 5_000), (4, 30)]
    assert here == [(3, False), (4, True)]


def test_what_is_put_into_the_metadata_of_a_message_is_in_none_that_is_read_later() -> None:
    for event in (SessionEvent(message="a"), SessionEvent(message="a", task_id="r1")):
        data = [each.data for each in stored(event)]
        [message] = decode_messages([1], data, "s")
        assert isinstance(message.metadata, dict)
        message.metadata["new"] = True

        assert decode_messages([1], data, "s")[0].metadata == {}
