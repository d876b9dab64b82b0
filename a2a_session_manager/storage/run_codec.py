"""Runs to bytes and back, in the format of the codec."""

from __future__ import annotations

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import checked_id
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.serialization.json_check import JsonCheck
from a2a_session_manager.storage.codec import damaged, dumped, is_inexact, loaded, validated
from a2a_session_manager.storage.records import StoredRun

_RUN_SERIALIZER = SessionRun.__pydantic_serializer__
# What reading bytes back may raise: the models' own checks raise our errors.
_UNREADABLE = (ValueError, InvalidSessionOperation)


def encode_run(run: SessionRun, check: JsonCheck) -> StoredRun:
    """Return the run as bytes. Raises InvalidEvent when its metadata is not JSON."""
    if not _run_holds_its_fields(run):
        run = validated(run, SessionRun)
    checked_id(run.id, "run id")
    plain = check.check(run.metadata, f"runs[{run.id}]", "metadata")
    if plain is not run.metadata:
        run = run.model_copy(update={"metadata": plain})
    return StoredRun(run.status.value, dumped(run, _RUN_SERIALIZER, set()))


def decode_run(run: StoredRun, session_id: str) -> SessionRun:
    """Return the run that was encoded. Raises CorruptSession."""
    try:
        decoded: SessionRun = loaded(run.data, SessionRun)
    except _UNREADABLE as error:
        raise damaged(session_id, "a run", run.data) from error
    return decoded


def _run_holds_its_fields(run: SessionRun) -> bool:
    held = run.__dict__.get
    return (
        isinstance(held("status"), RunStatus)
        and all(isinstance(held(name), str | None) for name in ("agent", "error", "error_type"))
        and isinstance(held("metadata"), dict)
        and not is_inexact(held("started_at"))
        and not is_inexact(held("ended_at"))
    )
