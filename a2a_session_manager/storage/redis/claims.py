"""Claims on ids: a locator holds whose claim it is, and below which root the session lies or will lie."""

from __future__ import annotations

from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.script import ScriptCall, Value


def claim_of(claim_id: str, root_id: str) -> bytes:
    """Return what the locator holds that `claim_id` has claimed, for a session below `root_id`."""
    return f"{claim_id} {root_id}".encode()


def root_of_claim(claim: bytes) -> str:
    """Return the root that a locator leads to."""
    return claim.partition(b" ")[2].decode()


def claim_id_of(claim: bytes) -> str:
    """Return whose claim a locator holds."""
    return claim.partition(b" ")[0].decode()


def claim_call(own: SessionKeys, claim: bytes, taken_over: bytes = b"") -> ScriptCall:
    """Return the call that claims an id in its own slot.

    Args:
        own: The keys that the id has as a root.
        claim: What the locator is to hold.
        taken_over: The dangling claim that this one replaces.
    """
    touched = (own.locator, own.tree, *own.of_root)
    return ScriptCall(scripts.CLAIM, touched, [own.key.id, claim, taken_over], own.key.id)


def forbid_call(keys: SessionKeys, claim_id: str) -> ScriptCall:
    """Return the call that forbids a claim ever to become a session of the tree."""
    touched = (*keys.core, keys.refused, *keys.of_root, keys.gone)
    return ScriptCall(scripts.FORBID, touched, [keys.key.id, claim_id], keys.key.id)


def release_call(keys: SessionKeys, claim: bytes) -> ScriptCall:
    """Return the call that frees an id if it is still claimed so."""
    return ScriptCall(scripts.RELEASE, [keys.locator], [claim], keys.key.id)


def touch_locator(keys: SessionKeys, deadline: int, *, is_new: bool) -> ScriptCall:
    """Return the call that lets a locator live twice as long as its session, which will expire at `deadline`."""
    arguments: list[Value] = [keys.root_id, deadline, int(is_new)]
    return ScriptCall(scripts.TOUCH_LOCATOR, [keys.locator], arguments, keys.key.id)
