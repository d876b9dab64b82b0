"""What is left of sessions that are gone, and how it goes: claims, lines of trees and of the index, keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final

from a2a_session_manager.exceptions import CorruptSession, SessionManagerError
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.commits import flat, pairs, status_of
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.heads import creation_of, expires, parent_of
from a2a_session_manager.storage.redis.index import Index
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.locating import claim_id_of, root_of_claim
from a2a_session_manager.storage.redis.script import Command, ScriptCall
from a2a_session_manager.storage.redis.shards import run_all

_SESSIONS_A_SWEEP: Final = 100
# A failover may bring back what was removed; not for ever.
_LOOKS: Final = 3
# Begins a task that ends before the store is closed.
Begun = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Reaper:
    """Removes what leads nowhere, and only that: each step looks once more, or compares."""

    def __init__(self, connections: Connections, index: Index, begun: Begun) -> None:
        self._connections = connections
        self._index = index
        self._begun = begun

    async def are_alive(self, places: Sequence[SessionKeys]) -> list[bool]:
        """Tell of each session whether it lives, in two round trips at most.

        One that has lost a part counts as alive: it is listed, and who reads it is told what is missing.
        """
        lines = await self._lines(places)
        alive = [line is not None for line in lines]
        questions: list[Command] = []
        for place, line in zip(places, lines, strict=True):
            if line is None:
                questions += [("EXISTS", place.tree), ("EXISTS", *place.of_root)]
            elif expires(line) and not place.is_root:
                # It may be gone while its line is there. Its keys expire together; a root's, with the tree.
                questions += [("EXISTS", place.head, place.log, place.ids)]
        answers = iter(await self._connections.read_many(questions))
        for at, line in enumerate(lines):
            if line is None:
                has_tree, has_root = next(answers), next(answers)
                alive[at] = bool(has_root) and not has_tree
            elif expires(line) and not places[at].is_root:
                alive[at] = bool(next(answers))
        return alive

    async def forget(self, places: Sequence[SessionKeys]) -> None:
        """Remove those that are gone from the index; one that lives after all is put back, even when cancelled."""
        await asyncio.shield(self._begun(self._forget(places)))

    def look_after(self, places: Sequence[SessionKeys]) -> None:
        """Remove, later, those that have expired or were being deleted; see to the others when they end."""
        if places:
            self._begun(self._look_after(places))

    async def _look_after(self, places: Sequence[SessionKeys]) -> None:
        for place in places:
            try:
                await self._look_after_one(place)
            except CorruptSession:
                await self._index.look_later(place, 0)  # whoever reads it is told
            except SessionManagerError:
                return  # nobody waits for this: whoever makes the next session here is told of the same ones

    async def _look_after_one(self, place: SessionKeys) -> None:
        # Also where the id has a session again: what was below the former one is not this one's.
        await self.finish_cascades([place])
        [is_alive] = await self.are_alive([place])
        if is_alive:
            [deadline] = await self._connections.read_many([("HGET", place.head, "deadline")])
            await self._index.look_later(place, int(deadline or 0))
        else:
            await self.clear([place])

    async def _forget(self, places: Sequence[SessionKeys]) -> None:
        gone = await self._gone(places)
        await self._index.remove(gone)
        still_gone = await self._gone(gone)
        await self._index.add([place for place in gone if place not in still_gone])

    async def clear(self, places: Sequence[SessionKeys]) -> None:
        """Remove what is left of sessions that are gone, and at last their lines in the index."""
        await self.finish_cascades(places)
        await self.remove_expired(places)
        await self._sweep([(place, "") for place in places])
        await self._release_dangling([place for place in places if not place.is_root])
        await self.forget(places)

    async def remove_expired(self, places: Sequence[SessionKeys]) -> None:
        """Take sessions that have expired out of their trees."""
        below_roots = [place for place in places if not place.is_root]
        lines = await self._lines(below_roots)
        for reply in await self._run_all(
            _burial(place, parent_of(line)) for place, line in zip(below_roots, lines, strict=True) if line is not None
        ):
            status_of(reply, "")

    async def forbid(self, place: SessionKeys, claim_id: str) -> bool:
        """Make sure that a claim never becomes a session; False when it is one already."""
        return status_of(await self._connections.run(_forbidding(place, claim_id)), place.key.id) == b"OK"

    async def release(self, place: SessionKeys, claim: bytes) -> None:
        """Give the id free, if it is still claimed so."""
        await self._run_all([_release(place, claim)])

    async def finish_cascades(self, places: Sequence[SessionKeys]) -> None:
        """Remove what cascades took along in the trees of `places` and have not removed, as when a process died."""
        trees = list({place.tree: place for place in places}.values())
        for _ in range(_LOOKS):
            answers = await self._connections.read_many([("HGETALL", place.gone) for place in trees])
            taken = [
                (place.beside(name.decode()), creation_id.decode())
                for place, gone in zip(trees, answers, strict=True)
                for name, creation_id in pairs(flat(gone))
            ]
            if not taken:
                break
            await self.remove_below(taken)

    async def remove_below(self, taken: Sequence[tuple[SessionKeys, str]]) -> None:
        """Remove what is left of sessions that cascades took along, each given with its creation id."""
        for at in range(0, len(taken), _SESSIONS_A_SWEEP):
            some = taken[at : at + _SESSIONS_A_SWEEP]
            await self.remove(some)
            # The last step: until then, whoever looks after their tree is told of them.
            await self._sweep(some)

    async def remove(self, deleted: Sequence[tuple[SessionKeys, str]]) -> None:
        """Remove what is left of deleted sessions but for their keys, each given with its creation id."""
        await self._release_all(deleted)
        await self.forget([place for place, _ in deleted])

    async def _release_all(self, deleted: Sequence[tuple[SessionKeys, str]]) -> None:
        below_roots = [(place, creation_id) for place, creation_id in deleted if not place.is_root]
        questions: list[Command] = []
        for place, _ in below_roots:
            questions += [("GET", place.locator), ("HGET", place.tree, f"n:{place.key.id}")]
        replies = iter(await self._connections.read_many(questions))
        # A deleted creation id is refused, so nobody makes a session of its claim any more. A failover, though, may
        # have lost the deletion.
        await self._run_all(
            _release(place, claim)
            for (place, creation_id), claim, line in zip(below_roots, replies, replies, strict=False)
            if claim is not None and claim_id_of(claim).partition(".")[0] == creation_id
            if line is None or creation_of(line) != creation_id
        )

    async def _release_dangling(self, places: Sequence[SessionKeys]) -> None:
        """Give the ids of sessions that are gone free, where a locator would keep them for ever."""
        questions: list[Command] = []
        for place in places:
            questions += [("GET", place.locator), ("PTTL", place.locator)]
        replies = iter(await self._connections.read_many(questions))
        dangling = [
            (place, claim)
            for place, claim, remaining in zip(places, replies, replies, strict=False)
            if claim is not None and remaining < 0 and root_of_claim(claim) == place.root_id
        ]
        # Whoever still holds a claim, and would make a session of it, must learn first that it may not.
        answers = await self._run_all(_forbidding(place, claim_id_of(claim)) for place, claim in dangling)
        await self._run_all(
            _release(place, claim)
            for (place, claim), answer in zip(dangling, answers, strict=True)
            if status_of(answer, place.key.id) == b"OK"
        )

    async def _sweep(self, dead: Sequence[tuple[SessionKeys, str]]) -> None:
        """Remove the keys of sessions that are gone, and the word that a cascade took these lives of them along.

        A root's keys have gone with its tree.
        """
        by_tree: dict[bytes, list[tuple[SessionKeys, str]]] = {}
        for place, creation_id in dead:
            if not place.is_root:
                by_tree.setdefault(place.tree, []).append((place, creation_id))
        await self._run_all(
            _sweep_call(some[at : at + _SESSIONS_A_SWEEP])
            for some in by_tree.values()
            for at in range(0, len(some), _SESSIONS_A_SWEEP)
        )

    async def _gone(self, places: Sequence[SessionKeys]) -> list[SessionKeys]:
        alive = await self.are_alive(places)
        return [place for place, is_alive in zip(places, alive, strict=True) if not is_alive]

    async def _lines(self, places: Sequence[SessionKeys]) -> list[bytes | None]:
        return await self._connections.read_many([("HGET", place.tree, f"n:{place.key.id}") for place in places])

    async def _run_all(self, calls: Iterable[ScriptCall]) -> list[Any]:
        return await run_all(self._connections, list(calls))


def _burial(place: SessionKeys, parent_id: str) -> ScriptCall:
    parent = place.beside(parent_id)
    return ScriptCall(scripts.REMOVE_EXPIRED, (*place.core, parent.head, parent.children), [place.key.id], place.key.id)


def _forbidding(place: SessionKeys, claim_id: str) -> ScriptCall:
    keys = (*place.core, place.refused, *place.of_root)
    return ScriptCall(scripts.FORBID, keys, [place.key.id, claim_id], place.key.id)


def _release(place: SessionKeys, claim: bytes) -> ScriptCall:
    return ScriptCall(scripts.RELEASE, [place.locator], [claim], place.key.id)


def _sweep_call(dead: Sequence[tuple[SessionKeys, str]]) -> ScriptCall:
    first, _ = dead[0]
    keys = [first.tree, *first.of_root, first.gone, *(key for place, _ in dead for key in place.all_of_session)]
    return ScriptCall(
        scripts.SWEEP, keys, [value for place, creation_id in dead for value in (place.key.id, creation_id)]
    )
