"""What the tests of moving begin with: a tree with all that sessions may have, and stores that die on the way."""

from __future__ import annotations

from io import BytesIO

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Guard, Receipt
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.testing.contract.counting_once import reply
from a2a_session_manager.testing.contract.lossy import LossyBackend
from a2a_session_manager.testing.contract.making import said, several, spending

# So few events a batch, that a session takes several.
SMALL = StoreLimits(page_events=4)

IDS = ["trip", "trip/flights", "again", "again again"]


async def make_tree(store: BaseSessionStore) -> None:
    """Make a session with all that one may have, a child of it, a fork, and a fork of that fork."""
    run, waiting = SessionRun(id="run"), SessionRun(id="waits", agent="planner")
    run.mark_running()
    waiting.mark_running()
    sessions = SessionManager(store)
    change = SessionChange(
        set_state={"plan": {"b": [1, 2.5, None], "a": "é\t\ud800"}, "n": 1},
        set_properties={"title": "Oslo", "title_by": "user"},
        runs=[run, waiting],
    )
    await store.create("trip", change=change)
    first = [said("{}", id="{}"), *several(3), reply("r1", 10, cost=90, id="u1"), reply("r1", 12, cost=99, id="u2")]
    await store.append("trip", *first)
    await store.append("trip", spending(4, id="u3", task_id="run"), said({"a": [{}]}, id="ü"))
    await store.retract("trip", "e2", "u1")
    # A summary that stands where the events stood that its commit hides.
    summary = said("They met.", id="s1", type="summary")
    await store.commit("trip", SessionChange(events=[summary], retraction=Retraction(("e1",))))
    await store.restore("trip", "e1")
    run.mark_completed()
    await store.commit("trip", SessionChange(runs=[run], set_state={"n": 2}))
    await store.create("trip/flights", parent_id="trip", change=SessionChange(events=[spending(3, id="c1")]))
    await store.append("trip/flights", said(id="c2"))
    async with sessions.open("trip") as chat:
        await chat.compact(lambda _: "They spoke.", keep=2)
        await chat.user("More?", id="more")
    await store.fork("trip", at="more", new_id="again")
    await store.append("again", reply("r1", 13, id="f1"), said(id="f2"))
    await store.retract("again", "more", "f2")
    await store.fork("again", at="f1", new_id="again again")
    await store.append("trip", *several(5, "late"))
    await store.retract("trip", last=1)


class DyingBackend(LossyBackend):
    """Makes `left` more writes, and then no other."""

    left = 0

    def _count(self) -> None:
        if self.left == 0:
            raise StoreUnavailable("the process was killed")
        self.left -= 1

    async def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Receipt:
        self._count()
        return await super().create(key, creation, commit)

    async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        self._count()
        return await super().commit(key, commit)

    async def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> None:
        self._count()
        await super().delete(key, creation_id, cascade=cascade, guard=guard)


def dying(store: BaseSessionStore, left: int) -> SessionManager:
    backend = DyingBackend(store._open_backend)
    backend.left = left
    return SessionManager(BaseSessionStore(backend, namespace=store._namespace, limits=SMALL))


async def bundle_of(store: BaseSessionStore, *session_ids: str) -> bytes:
    """Return sessions as a bundle."""
    file = BytesIO()
    await SessionManager(store).export_bundle(file, *session_ids)
    return file.getvalue()
