"""The library's errors as problem details (RFC 9457): `application/problem+json`."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from math import ceil
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response

from a2a_session_manager.exceptions import (
    BudgetExceeded,
    InvalidEvent,
    InvalidSessionOperation,
    LeaseLost,
    RunBusy,
    SessionAlreadyExists,
    SessionConflict,
    SessionManagerError,
    SessionNotFound,
    StoreFull,
    StoreUnavailable,
)
from a2a_session_manager.integrations.fastapi.responses import AsciiJSONResponse

RETRY_AFTER_SECONDS = 5  # as long as the file store waits for a lock

# 507 for a full store, not 503: the request may well come again, but not before somebody has made room.
_STATUS = {
    SessionNotFound: HTTPStatus.NOT_FOUND,
    SessionAlreadyExists: HTTPStatus.CONFLICT,
    SessionConflict: HTTPStatus.CONFLICT,
    RunBusy: HTTPStatus.CONFLICT,
    LeaseLost: HTTPStatus.CONFLICT,
    BudgetExceeded: HTTPStatus.PAYMENT_REQUIRED,
    InvalidSessionOperation: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidEvent: HTTPStatus.UNPROCESSABLE_ENTITY,
    StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    StoreFull: HTTPStatus.INSUFFICIENT_STORAGE,
}

_logger = logging.getLogger(__name__)


class ProblemResponse(AsciiJSONResponse):
    media_type = "application/problem+json"


def install_problem_handlers(app: FastAPI) -> None:
    """Let `app` answer the library's errors with problem details: 402, 404, 409, 413, 422, 503 and 507.

    What FastAPI itself finds invalid gets them, too (422). `type` ends with the error's name. A conflict says what was
    missed: `revision`, `expected_revision`, `first_missed_seq`, `last_missed_seq`, and `missed_seqs`, the first 100 of
    them; that of a run that somebody else holds, its `run_id`, and `expires_at`, when it may be free. A budget without
    room says how things stand with it: `budget_id`, `budget_session_id`, `axis`, `reason`, `limit`, `spent`, `held`,
    `estimated`, `asked`, dollars as text, and `resets_at`, with Retry-After, where it has a window. Outages are logged;
    their texts name hosts and files and are not sent, nor is who holds a run. A damaged session is not handled: it is a
    500 with a traceback in the server's log.
    """
    for error in _STATUS:
        app.add_exception_handler(error, _answer)
    app.add_exception_handler(RequestValidationError, _answer_invalid)


def problem_of(error: SessionManagerError) -> dict[str, Any]:
    """Return the members of a problem; its status is 500 where the table above has none for the error."""
    status = _status(error)
    problem = _problem(status, type(error).__name__)
    problem["detail"] = str(error) if status < HTTPStatus.INTERNAL_SERVER_ERROR else status.description
    if error.session_id is not None:
        problem["session_id"] = error.session_id
    if isinstance(error, InvalidEvent) and error.path:
        problem["path"] = error.path
    if isinstance(error, SessionConflict):
        problem |= _missed(error)
    if isinstance(error, RunBusy):
        expires_at = error.expires_at.isoformat(timespec="seconds")
        problem |= {"run_id": error.run_id, "expires_at": expires_at}
        problem["detail"] = f"run {error.run_id!r} is under way, until {expires_at} at least: try again, or follow it"
    if isinstance(error, BudgetExceeded):
        problem |= _figures(error)
    if isinstance(error, LeaseLost):
        problem |= {
            "run_id": error.run_id,
            "detail": f"run {error.run_id!r} goes on elsewhere, or has ended: follow it",
        }
    return problem


def _retry_after(error: SessionManagerError) -> int | None:
    """Return after how many seconds the request may be sent again with success; None where that is not known."""
    if isinstance(error, StoreUnavailable):
        return RETRY_AFTER_SECONDS
    if isinstance(error, BudgetExceeded):
        if error.resets_at is None:
            return None
        return max(ceil((error.resets_at - datetime.now(UTC)).total_seconds()), 1)
    return max(ceil(error.seconds_left), 1) if isinstance(error, RunBusy) else None


async def _answer(_: Request, error: Exception) -> Response:
    assert isinstance(error, SessionManagerError)  # the handler is registered for nothing else
    log_outage(error)
    problem = problem_of(error)
    seconds = _retry_after(error)
    headers = None if seconds is None else {"Retry-After": str(seconds)}
    return ProblemResponse(problem, status_code=problem["status"], headers=headers)


async def _answer_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # the handler is registered for nothing else
    problem = _problem(HTTPStatus.UNPROCESSABLE_ENTITY, "InvalidRequest")
    # The input itself is left out: it may be large, secret, or no JSON (NaN).
    problem["errors"] = [{"loc": each["loc"], "msg": each["msg"], "type": each["type"]} for each in error.errors()]
    return ProblemResponse(problem, status_code=problem["status"])


def log_outage(error: SessionManagerError) -> None:
    """Log an error whose text the client does not get, for those who run the store."""
    if _status(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _logger.error("%s: %s", type(error).__name__, error, exc_info=error)


def _status(error: SessionManagerError) -> HTTPStatus:
    if error.is_too_large:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    found = (status for kind, status in _STATUS.items() if isinstance(error, kind))
    return next(found, HTTPStatus.INTERNAL_SERVER_ERROR)


def _problem(status: HTTPStatus, name: str) -> dict[str, Any]:
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()
    return {
        "type": f"urn:a2a-session-manager:{words.replace(' ', '-')}",
        "title": words.capitalize(),
        "status": status.value,
    }


def _figures(error: BudgetExceeded) -> dict[str, Any]:
    names = ("budget_id", "budget_session_id", "axis", "reason", "limit", "spent", "held", "estimated", "asked")
    figures = {name: getattr(error, name) for name in names}
    shown = {name: str(value) if isinstance(value, Decimal) else value for name, value in figures.items()}
    return {**shown, "resets_at": None if error.resets_at is None else error.resets_at.isoformat(timespec="seconds")}


def _missed(conflict: SessionConflict) -> dict[str, Any]:
    return {
        "revision": conflict.revision,
        "expected_revision": conflict.expected_revision,
        "first_missed_seq": conflict.first_missed_seq,
        "last_missed_seq": conflict.last_missed_seq,
        "missed_seqs": [event.seq for event in conflict.missed_events],
    }
