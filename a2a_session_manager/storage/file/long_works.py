"""Works that would hold up the others of their batch: each leaves apart, in a thread that nobody else waits for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from a2a_session_manager.storage.batching import Answers, HeldKey, KeyStrategy, StartBatch, Unsettled, answers_of
from a2a_session_manager.storage.busy_keys import BusyKeys
from a2a_session_manager.storage.queued_jobs import QueuedJob


class Long(Unsettled):
    """The answer to works that take long, or turned out to: they are started apart."""


LONG: Final = Long()


class LongWorks(KeyStrategy):
    """Starts long works apart, one key at a time: what `is_long` tells before, and what turns out to be LONG.

    Keys that somebody else is in the way of are left to `busy`.
    """

    def __init__(self, start: StartBatch, busy: BusyKeys, is_long: Callable[[QueuedJob], bool]) -> None:
        self._start = start
        self._busy = busy
        self._is_long = is_long

    def answer_before(self, job: QueuedJob) -> Unsettled | None:
        return LONG if self._is_long(job) else None

    def go_on(self, held: HeldKey, answer: Unsettled) -> None:
        if answer is LONG:
            self._start_apart(held)
        else:
            self._busy.go_on(held, answer)

    def _start_apart(self, held: HeldKey) -> None:
        try:
            answers = self._start({held.key: [job.work for job in held.jobs]})
        except Exception as error:
            held.answer([error] * len(held.jobs))
        else:
            answers.add_done_callback(partial(_answered, held), context=held.context)


def _answered(held: HeldKey, answers: Answers) -> None:
    held.answer(answers_of({held.key: held.jobs}, answers)[held.key])
