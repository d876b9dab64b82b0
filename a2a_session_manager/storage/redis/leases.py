"""Leases of runs, renewed and told: one call of a script for each session, all in one round trip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.storage.commit_records import LeaseRenewal
from a2a_session_manager.storage.records import HeldLease, SessionKey
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.locating import Locator
from a2a_session_manager.storage.redis.replies import pairs
from a2a_session_manager.storage.redis.script import ScriptCall, Value


class Leases:
    """What is asked of leases beside commits, which claim them."""

    def __init__(self, locator: Locator) -> None:
        self._locator = locator

    async def renew(self, renewals: Sequence[LeaseRenewal]) -> list[bool | None]:
        """See `Backend.renew_leases`."""
        arguments: dict[SessionKey, list[Value]] = {}
        for each in renewals:
            arguments.setdefault(each.key, ["renew"]).extend((each.creation_id, each.run_id, each.token))
        answers = await self._answers(arguments)
        return [bool(next(answers[each.key], 0)) for each in renewals]

    async def held(self, runs: Sequence[tuple[SessionKey, str]]) -> list[HeldLease | None]:
        """See `Backend.held_leases`."""
        arguments: dict[SessionKey, list[Value]] = {}
        for key, run_id in runs:
            arguments.setdefault(key, ["tell"]).append(run_id)
        answers = {key: pairs(list(found)) for key, found in (await self._answers(arguments)).items()}
        told = [next(answers[key], (b"", 0)) for key, _ in runs]
        return [HeldLease(holder.decode(), left) if left else None for holder, left in told]

    async def _answers(self, arguments: Mapping[SessionKey, Sequence[Value]]) -> dict[SessionKey, Iterator[Any]]:
        """Return what the script answers for each session; nothing for one that is not there."""

        def call_at(keys: SessionKeys) -> ScriptCall:
            return ScriptCall(scripts.KEEP_LEASES, [keys.head], arguments[keys.key], keys.key.id)

        found: dict[SessionKey, Iterator[Any]] = {}
        answers = await self._locator.ask_many(list(arguments), call_at)
        for key, answer in zip(arguments, answers, strict=True):
            if isinstance(answer, SessionManagerError):
                raise answer
            found[key] = iter(() if answer is None else answer.reply[1])
        return found
