"""Pages of heads: a query is checked, its cursors are bound to it, and what a backend brings becomes SessionHeads."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.concurrency.slices import Slices
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.models import arguments
from a2a_session_manager.models.clock import moment
from a2a_session_manager.models.session_head import SessionHead
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import HeadsPage
from a2a_session_manager.serialization.plain_json import dumped
from a2a_session_manager.storage import page_rules
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.loading import decode_events, decode_runs, decode_values, summary
from a2a_session_manager.storage.page_records import PageQuery
from a2a_session_manager.storage.read_records import LoadedSession

_ORDERS: Final = ("updated", "created", "id")
_DIGEST_BYTES: Final = 9  # so many make 12 characters of a cursor


def page_query(
    backend: Backend,
    *,
    order: Any = "id",
    newest_first: bool = True,
    properties: Any = None,
    title: Any = None,
    roots_only: bool = False,
) -> PageQuery:
    """Return what is asked for. Raises InvalidSessionOperation for what cannot be, before anything is read."""
    if order not in _ORDERS:
        raise InvalidSessionOperation(f"order={shown(order)} is unknown: take 'updated', 'created' or 'id'")
    values = {} if properties is None else arguments.values("properties", properties)
    encoded = {key: _encoded(backend, key, value) for key, value in values.items()}
    folded = "" if title is None else page_rules.folded(arguments.text("title", title))
    return PageQuery(order, bool(newest_first), encoded, folded, bool(roots_only))


async def read_page(
    backend: Backend, namespace: Namespace, query: PageQuery, limits: StoreLimits, *, cursor: Any, limit: int, last: int
) -> HeadsPage:
    """Return the page after `cursor`. Raises InvalidSessionOperation for a cursor of another query, CorruptSession."""
    start = _backend_cursor(cursor, namespace, query)
    if limit == 0:
        return HeadsPage((), cursor)
    page = await backend.page(namespace, query, cursor=start, limit=limit, last=last)
    heads = await heads_of(_in_order(query, page.sessions), limits)
    return HeadsPage(heads, None if page.cursor is None else _bound(page.cursor, namespace, query))


async def heads_of(loaded: Sequence[LoadedSession], limits: StoreLimits) -> list[SessionHead]:
    """Return what the records hold, as callers see it. Raises CorruptSession."""
    heads = []
    slices = Slices()
    for each in loaded:
        heads.append(await _head(each, limits))
        if slices.is_over():
            await slices.give_way()
    return heads


def checked_indexed(indexed: Any) -> tuple[str, ...]:
    """Return the properties that a store is to find sessions by. Raises InvalidSessionOperation for what is no key."""
    keys = arguments.items("indexed", indexed)
    for key in keys:
        if not isinstance(key, str) or not arguments.text("indexed", key):
            raise InvalidSessionOperation(
                f"indexed= has {shown(key)} in it, which is no key of a property: take a text"
            )
    return tuple(dict.fromkeys(keys))


def _encoded(backend: Backend, key: Any, value: Any) -> bytes:
    if key not in backend.indexed:
        declared = ", ".join(map(repr, backend.indexed)) or "none"
        raise InvalidSessionOperation(
            f"sessions are not found by the property {shown(key)}: name it when the store is made, such as "
            f"from_url(…, indexed=({key!r},)); now {declared} is"
        )
    if not isinstance(value, str | int):  # a bool is an int
        raise InvalidSessionOperation(
            f"properties[{key!r}]={shown(value)} cannot be looked for: take a text, a whole number, True or False"
        )
    return dumped(value)


def _in_order(query: PageQuery, sessions: Sequence[LoadedSession]) -> Sequence[LoadedSession]:
    """Return them in the exact order, which an index knows to some seconds."""
    if query.order == "id":
        return sessions
    return sorted(
        sessions,
        key=lambda each: (page_rules.time_of(query, each.head), each.head.key.id),
        reverse=query.newest_first,
    )


async def _head(loaded: LoadedSession, limits: StoreLimits) -> SessionHead:
    head, session_id = loaded.head, loaded.head.key.id
    return SessionHead(
        id=session_id,
        parent_id=head.parent_id,
        root_id=head.root_id,
        forked_from=head.forked_from,
        title=page_rules.title_of(head) or None,
        properties=await decode_values(head.properties, session_id, "properties", limits),
        created_at=moment(head.created_at),
        updated_at=moment(head.updated_at),
        last_seq=head.last_seq,
        revision=head.revision,
        token_summary=await summary(head.totals),
        unfinished_runs=await decode_runs([head.runs[run_id] for run_id in head.unfinished], session_id),
        events=await decode_events(loaded.events, session_id, limits),
    )


def _bound(cursor: str, namespace: Namespace, query: PageQuery) -> str:
    """Return a cursor that says which query it is of, and is safe in a URL."""
    data = _digest(namespace, query) + cursor.encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _backend_cursor(cursor: Any, namespace: Namespace, query: PageQuery) -> str | None:
    text = arguments.cursor(cursor)
    if text is None:
        return None
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
        digest, position = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:].decode()
    except (binascii.Error, ValueError):
        raise InvalidSessionOperation(f"cursor {shown(text)} is not one of a page: start again without it") from None
    if digest != _digest(namespace, query):
        raise InvalidSessionOperation(
            f"cursor {shown(text)} is one of another query: ask with the order, properties, title and roots_only that "
            "it came with, or start again without it"
        )
    return position


def _digest(namespace: Namespace, query: PageQuery) -> bytes:
    properties: Mapping[str, bytes] = query.properties
    told = (namespace, *query._replace(properties={}), sorted(properties.items()))
    return hashlib.blake2b(repr(told).encode(), digest_size=_DIGEST_BYTES).digest()
