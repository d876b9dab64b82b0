"""Every error is in the drawn tree, names its ids, says what to do, and crosses process pools."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from a2a_session_manager import SessionEvent, exceptions
from a2a_session_manager.exceptions import (
    CorruptSession,
    InvalidEvent,
    InvalidSessionOperation,
    MissingDependency,
    SessionAlreadyExists,
    SessionConflict,
    SessionManagerError,
    SessionNotFound,
    StoreUnavailable,
)

ERRORS: list[SessionManagerError] = [
    SessionNotFound("s"),
    SessionNotFound("s", "gone"),
    SessionAlreadyExists("s"),
    SessionConflict("s", expected_revision=1, revision=3, first_missed_seq=4, last_missed_seq=5),
    InvalidSessionOperation("bad", session_id="s"),
    InvalidEvent("bad", path="events[0]", event_id="e", session_id="s"),
    CorruptSession("s", "damaged", seq=7),
    StoreUnavailable("down"),
    MissingDependency("redis", "redis"),
]


def error_types() -> list[type[SessionManagerError]]:
    return [getattr(exceptions, name) for name in exceptions.__all__]


@pytest.mark.parametrize("error_type", error_types())
def test_every_error_is_one_of_ours(error_type: type[Exception]) -> None:
    assert issubclass(error_type, SessionManagerError)
    assert not issubclass(error_type, LookupError | ValueError | OSError)


@pytest.mark.parametrize("name", exceptions.__all__)
def test_every_error_is_in_the_tree_that_is_drawn(name: str) -> None:
    assert exceptions.__doc__ is not None
    assert name in exceptions.__doc__


def test_no_error_is_a_subclass_of_another() -> None:
    leaves = [error for error in error_types() if error is not SessionManagerError]

    # A missing package is an ImportError, too, for those who catch that.
    assert {error: error.__bases__[1:] for error in leaves if len(error.__bases__) > 1} == {
        MissingDependency: (ImportError,)
    }
    assert all(error.__bases__[0] is SessionManagerError for error in leaves)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_and_copying_with_all_it_carries(error: SessionManagerError) -> None:
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)


def test_a_pickled_conflict_still_brings_the_missed_events() -> None:
    conflict = SessionConflict("s", expected_revision=1, revision=2, missed_events=[SessionEvent(message="m")])

    again = pickle.loads(pickle.dumps(conflict))

    assert again.missed_events == conflict.missed_events


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SessionNotFound("s-1"), ["'s-1'", "check the id and the namespace", "create"]),
        (SessionAlreadyExists("s-1"), ["'s-1'", "get()", "another id"]),
        (SessionConflict("s-1", expected_revision=3, revision=9), ["'s-1'", "9", "3", "edit()"]),
        (MissingDependency("redis", "redis"), ["pip install 'a2a_session_manager[redis]'"]),
    ],
)
def test_an_error_names_the_id_and_the_remedy(error: SessionManagerError, words: list[str]) -> None:
    assert all(word in str(error) for word in words), str(error)


@pytest.mark.parametrize("error", ERRORS[:7], ids=lambda error: type(error).__name__)
def test_an_error_about_a_session_carries_its_id(error: SessionManagerError) -> None:
    assert error.session_id == "s"


def test_an_error_about_no_session_has_none_as_its_session_id() -> None:
    error: Any = StoreUnavailable("down")

    assert error.session_id is None
