"""Runs move as DESIGN says, and in no other way."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from a2a_session_manager import InvalidSessionOperation, RunStatus, SessionRun

# From the text of DESIGN §2, not from the code: whatever is not here is refused.
LEGAL = {
    ("pending", "running"),
    ("pending", "failed"),
    ("pending", "cancelled"),
    ("running", "waiting"),
    ("running", "completed"),
    ("running", "failed"),
    ("running", "cancelled"),
    ("waiting", "running"),
    ("waiting", "failed"),
    ("waiting", "cancelled"),
}
NAMES = ["pending", "running", "waiting", "completed", "failed", "cancelled"]
MARKS: dict[str, Callable[[SessionRun], None]] = {
    "running": SessionRun.mark_running,
    "waiting": SessionRun.mark_waiting,
    "completed": SessionRun.mark_completed,
    "failed": SessionRun.mark_failed,
    "cancelled": SessionRun.mark_cancelled,
}


def test_the_statuses_are_the_six_of_the_design() -> None:
    assert [status.value for status in RunStatus] == NAMES


@pytest.mark.parametrize(("current", "wanted"), list(product(NAMES, NAMES)))
def test_assigning_a_status_obeys_the_table(current: str, wanted: str) -> None:
    run = SessionRun(id="r", status=RunStatus(current))

    if (current, wanted) in LEGAL:
        run.status = RunStatus(wanted)
        assert run.status.value == wanted
    else:
        with pytest.raises(InvalidSessionOperation, match=f"'r' cannot go from {current} to {wanted}"):
            run.status = RunStatus(wanted)
        assert run.status.value == current


@pytest.mark.parametrize(("current", "wanted"), list(product(NAMES, MARKS)))
def test_marking_obeys_the_table_and_a_refused_mark_leaves_the_run_as_it_was(current: str, wanted: str) -> None:
    run = SessionRun(status=RunStatus(current))
    before = run.model_copy(deep=True)

    if (current, wanted) in LEGAL:
        MARKS[wanted](run)
        assert run.status.value == wanted
    else:
        with pytest.raises(InvalidSessionOperation):
            MARKS[wanted](run)
        assert run == before


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_refused_move_out_of_an_end_says_to_start_a_new_run(status: str) -> None:
    run = SessionRun(status=RunStatus(status))

    with pytest.raises(InvalidSessionOperation, match="start a new run"):
        run.mark_running()


def test_a_refused_move_names_the_moves_that_are_left() -> None:
    run = SessionRun()

    with pytest.raises(InvalidSessionOperation, match="it may go to: cancelled, failed, running"):
        run.mark_completed()


def test_a_status_given_as_text_becomes_the_enum() -> None:
    run = SessionRun()

    run.status = "running"  # type: ignore[assignment]  # what JSON and 0.1 users pass

    assert run.status is RunStatus.RUNNING


@pytest.mark.parametrize(
    ("status", "is_final"),
    [
        ("pending", False),
        ("running", False),
        ("waiting", False),
        ("completed", True),
        ("failed", True),
        ("cancelled", True),
    ],
)
def test_only_completed_failed_and_cancelled_are_final(status: str, is_final: bool) -> None:
    assert RunStatus(status).is_final is is_final


def test_a_run_knows_when_it_first_started_and_when_it_ended() -> None:
    run = SessionRun()

    run.mark_running()
    started = run.started_at
    run.mark_waiting()
    run.mark_running()
    run.mark_completed()

    assert started is not None
    assert run.started_at == started
    assert run.ended_at is not None
    assert run.ended_at >= started


def test_a_failed_run_keeps_the_reason_and_the_type_of_the_error() -> None:
    run = SessionRun()

    run.mark_failed("no seats", error_type="LookupError")

    assert (run.error, run.error_type) == ("no seats", "LookupError")
    assert run.ended_at is not None


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("nothing to say")


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (Mute(), "a Mute whose text cannot be had (ValueError)"),
        (ValueError("half \ud83d"), "half \ud83d"),
        (ValueError("\ud83d" + "\ude00"), "\U0001f600"),
        (ValueError("x" * 100_000), "x" * 65_536 + "… (100000 characters)"),
    ],
)
def test_an_error_of_any_text_ends_a_run(reason: Exception, error: str) -> None:
    for mark in (SessionRun.mark_failed, SessionRun.mark_cancelled):
        run = SessionRun()

        mark(run, reason)

        assert run.error == error


def test_a_cancelled_run_keeps_the_reason() -> None:
    run = SessionRun()

    run.mark_cancelled("the user left")

    assert (run.error, run.error_type) == ("the user left", None)


@pytest.mark.parametrize("run_id", ["", "x" * 513])
def test_a_run_refuses_a_bad_id(run_id: str) -> None:
    with pytest.raises(InvalidSessionOperation, match="take a non-empty string of up to 512 characters"):
        SessionRun(id=run_id)


def test_two_runs_have_different_ids() -> None:
    assert SessionRun().id != SessionRun().id
