"""Messages by the column: as a sequence they are the messages that went in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a2a_session_manager import EventSource, EventType
from a2a_session_manager.models.event_message import EventMessage, MessageColumns

messages = st.builds(
    EventMessage,
    seq=st.integers(1),
    id=st.text(min_size=1),
    message=st.none() | st.text() | st.dictionaries(st.text(), st.integers()),
    source=st.sampled_from(EventSource),
    type=st.sampled_from(EventType) | st.just("own"),
    task_id=st.none() | st.text(min_size=1),
    metadata=st.dictionaries(st.text(), st.integers()),
)


@given(st.lists(messages), st.slices(8))
def test_columns_are_the_sequence_of_the_messages_in_them(given_messages: list[EventMessage], part: slice) -> None:
    columns = MessageColumns.of(given_messages)

    assert len(columns) == len(given_messages)
    assert list(columns) == given_messages
    assert [columns[place] for place in range(len(columns))] == given_messages
    assert columns[part] == MessageColumns.of(given_messages[part])
    assert columns.seqs == [each.seq for each in given_messages]
    assert columns.metadata == [each.metadata for each in given_messages]
    assert {type(each) for each in [*columns, *map(columns.__getitem__, range(len(columns)))]} <= {EventMessage}


@given(st.lists(messages), st.lists(messages))
def test_later_columns_go_after_and_stay_as_they_are(first: list[EventMessage], second: list[EventMessage]) -> None:
    columns, later = MessageColumns.of(first), MessageColumns.of(second)
    columns.extend(later)

    assert list(columns) == first + second
    assert list(later) == second


@given(st.lists(st.tuples(messages, st.booleans())))
def test_what_is_wanted_of_columns_is_left(pairs: list[tuple[EventMessage, bool]]) -> None:
    columns = MessageColumns.of(message for message, _ in pairs)

    found = columns.where([is_wanted for _, is_wanted in pairs])

    assert list(found) == [message for message, is_wanted in pairs if is_wanted]


def test_new_columns_are_empty_whatever_others_hold() -> None:
    one = MessageColumns()
    one.extend(MessageColumns.of([EventMessage(1, "a", "text", EventSource.USER, EventType.MESSAGE, None, {})]))

    assert list(MessageColumns()) == []
    with pytest.raises(IndexError):
        MessageColumns()[0]
