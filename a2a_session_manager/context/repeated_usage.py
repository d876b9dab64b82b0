"""Which responses have several usages in a session: each was counted once."""

from __future__ import annotations

from typing import Final

from a2a_session_manager.context.findings import Finding
from a2a_session_manager.context.tail import newest
from a2a_session_manager.protocols import ReadableStore

_EVENTS_A_READ: Final = 1_000


async def repeated_usages(store: ReadableStore, session_id: str) -> list[Finding]:
    """Return a finding for each response that several events of the session have a usage of, hidden ones too.

    Of those that a fork inherits, only the ones that it has a usage of itself are its own. Raises SessionNotFound.
    """
    if not (await store.usage(session_id)).repeated_requests:
        return []  # as in nearly all sessions, whose events need not be read for this
    forked_from = (await newest(store, session_id, last=0)).forked_from
    inherited = 0 if forked_from is None else forked_from.seq
    seqs: dict[str, list[int]] = {}
    models: dict[str, dict[str, None]] = {}
    after, is_last = 0, False
    while not is_last:
        events = await store.events(session_id, after=after, limit=_EVENTS_A_READ, include_retracted=True)
        for event in events:
            after, usage = event.seq or 0, event.token_usage
            if usage is not None and usage.response_id is not None:
                seqs.setdefault(usage.response_id, []).append(after)
                models.setdefault(usage.response_id, {}).update(dict.fromkeys([usage.model] if usage.model else []))
        is_last = len(events) < _EVENTS_A_READ
    several = {name: found for name, found in seqs.items() if len(found) > 1 and found[-1] > inherited}
    return [_finding(name, found, list(models[name])) for name, found in several.items()]


def _finding(response_id: str, seqs: list[int], models: list[str]) -> Finding:
    text = f"response {response_id!r} has a usage in {len(seqs)} events: it counts once, with the most of each counter"
    if len(models) > 1:
        text += f"; they differ in `model`, which is {' and '.join(map(repr, models))}: the cost is a lower bound"
    return Finding("repeated_usage", tuple(seqs), text)
