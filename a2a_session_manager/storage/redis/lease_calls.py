"""What the scripts say of leases: why a claim was refused."""

from __future__ import annotations

from a2a_session_manager.exceptions import LeaseLost, SessionManagerError
from a2a_session_manager.models.lease import LeaseClaim
from a2a_session_manager.storage import leases
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis.replies import Flat


def refusal_of(answer: Flat, key: SessionKey, claim: LeaseClaim) -> SessionManagerError:
    """Return the error of a commit whose claim was refused; the usage of a write was stored in the same step."""
    status, *about = answer
    if status == b"HELD":
        return leases.busy(key, claim.run_id, about[0].decode(), about[1])
    if status == b"ENDED":
        return leases.ended(key.id, claim.run_id, about[1].decode())
    if status == b"NORUN":
        return leases.unknown(key.id, claim.run_id)
    kind, holder = about[0], about[1].decode()
    error = _lost(key, claim, kind, holder)
    error.is_usage_stored = True
    return error


def _lost(key: SessionKey, claim: LeaseClaim, kind: bytes, holder: str) -> LeaseLost:
    if kind == b"ended":
        return leases.lost_to_an_end(key.id, claim, holder)
    return leases.lost(key.id, claim, holder=holder if kind == b"taken" else None, is_expired=kind == b"expired")
