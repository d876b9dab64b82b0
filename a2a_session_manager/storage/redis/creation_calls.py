"""The calls of the scripts that create sessions, and what they answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from a2a_session_manager.exceptions import (
    SessionAlreadyExists,
    SessionManagerError,
    SessionNotFound,
)
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Parent, Receipt
from a2a_session_manager.storage.fork_rules import ForkDraft
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.claims import claim_of
from a2a_session_manager.storage.redis.commit_calls import commit_args
from a2a_session_manager.storage.redis.entries import IndexedSession
from a2a_session_manager.storage.redis.keys import SessionKeys, index_range_below_roots, shard_with_marks
from a2a_session_manager.storage.redis.receipts import receipt_of
from a2a_session_manager.storage.redis.replies import Flat
from a2a_session_manager.storage.redis.script import ScriptCall, Value
from a2a_session_manager.storage.redis.segments import draft_values, fork_args


class Made(NamedTuple):
    """A session that is there.

    Attributes:
        receipt: What its first commit came to.
        keys: Where it lies.
        deadline: When it will expire, 0 for never.
        tree_stays: Whether its tree will still tell of it then.
        looked: What `Index.look` told right after the creation, and at last `EntryWriter.look`; empty where they were
            not sent along.
    """

    receipt: Receipt
    keys: SessionKeys
    deadline: int
    tree_stays: bool
    looked: Sequence[Any]


def root_call(
    keys: SessionKeys, creation: Creation, commit: EncodedCommit, taken_over: bytes, *, ttl: int
) -> ScriptCall:
    """Return the call that makes a root; `taken_over` is the claim on its id that has led to nothing."""
    arguments = [*_creation_args(keys, creation, ttl), taken_over, *commit_args(commit)]
    return ScriptCall(scripts.CREATE_ROOT, (*keys.all_of_creation, keys.locator), arguments, keys.key.id)


def child_call(
    keys: SessionKeys,
    creation: Creation,
    parent: Parent,
    claim_id: str,
    commit: EncodedCommit,
    *,
    ttl: int,
    claims: SessionKeys | None = None,
) -> ScriptCall:
    """Return the call that makes a session below another; with `claims`, its keys in its own slot, it claims its id."""
    below = keys.of(parent.id)
    touched: Sequence[bytes] = (*keys.all_of_creation, below.head, below.children)
    claim: Sequence[Value] = (b"", b"", b"")
    if claims is not None:
        touched, claim = (*touched, *_claim_keys(claims)), _claim_args(keys, creation)
    placed: list[Value] = [parent.depth + 1, parent.id, parent.creation_id, claim_id, *claim]
    created = _creation_args(keys, creation, ttl)
    arguments = [*created, *placed, *fork_args(keys, creation.fork), *commit_args(commit)]
    return ScriptCall(scripts.CREATE_CHILD, touched, arguments, keys.key.id)


def fork_call(
    source: SessionKeys,
    keys: SessionKeys,
    creation: Creation,
    draft: ForkDraft,
    names: Iterable[str],
    *,
    ttl: int,
    claims: SessionKeys,
) -> ScriptCall:
    """Return the call that makes a fork of `source`, which is found by the properties `names`, and claims its id."""
    placed: list[Value] = ["", source.key.id, "", creation.creation_id, *_claim_args(keys, creation)]
    draft_args = draft_values(source, draft, names)
    arguments = [*_creation_args(keys, creation, ttl), *placed, *draft_args, *commit_args(draft.commit)]
    touched = (*keys.all_of_creation, source.head, source.children, *_claim_keys(claims))
    of_source = (source.log, source.ids, source.hidden, source.retractions)
    return ScriptCall(scripts.FORK, (*touched, *of_source), arguments, keys.key.id)


def recall_call(keys: SessionKeys, commit: EncodedCommit) -> ScriptCall:
    """Return the call that asks for the first result of a creation."""
    arguments = [keys.key.id, int(keys.is_root), *commit_args(commit)]
    return ScriptCall(scripts.RECALL, (*keys.core, keys.hidden), arguments, keys.key.id)


def made_session(reply: Flat, keys: SessionKeys, commit: EncodedCommit, looked: Sequence[Any] = ()) -> Made:
    """Return the session that an answer tells of. Raises what it says, such as SessionAlreadyExists."""
    if reply[0] == b"EXISTS":
        raise SessionAlreadyExists(keys.key.id)
    if reply[0] == b"DELETED":
        raise SessionNotFound(
            keys.key.id, f"session {keys.key.id!r} was made, and deleted by another before the answer came"
        )
    receipt = receipt_of(reply[2][0], keys.key, commit)
    if isinstance(receipt, SessionManagerError):
        raise receipt
    return Made(receipt, keys, reply[1], len(reply) > 3 and bool(reply[3]), looked)


def planned_session(creation: Creation, commit: EncodedCommit) -> IndexedSession:
    """Return what the session will be found by."""
    is_top = False
    if creation.parent is not None and creation.fork is not None:
        is_top = creation.parent.depth == len(creation.fork.segments)
    return IndexedSession(creation.created_at, creation.active_at, commit.properties, is_top)


def _creation_args(keys: SessionKeys, creation: Creation, ttl: int) -> list[Value]:
    lifetime = ttl if creation.expires else -1
    return [keys.key.id, lifetime, creation.creation_id, creation.created_at, creation.active_at]


def _claim_args(keys: SessionKeys, creation: Creation) -> tuple[bytes, ...]:
    _, lowest, highest = index_range_below_roots(keys.prefix, keys.key)
    return claim_of(creation.creation_id, keys.root_id), lowest, highest


def _claim_keys(own: SessionKeys) -> tuple[bytes, ...]:
    shard, _, _ = index_range_below_roots(own.prefix, own.key)
    return own.locator, own.tree, *own.of_root, *shard_with_marks(own.prefix, shard)
