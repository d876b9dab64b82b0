"""What a page shows of a session."""

from __future__ import annotations

from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.protocols import HeadsPage
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import Reopen
from a2a_session_manager.testing.contract.filed import Clock, FiledContract, listed, made
from a2a_session_manager.testing.contract.making import ids, said, several, spending, whole


class HeadsContract(FiledContract):
    async def test_a_head_shows_what_its_session_shows(self, filed: BaseSessionStore, refile: Reopen) -> None:
        await made(filed, "root")
        properties = {"title": "Two days in Oslo", "owner": "ann", "tags": ["a", {"b": None}]}
        runs = [SessionRun(id="ended"), SessionRun(id="open")]
        for run in runs:
            run.mark_running()
        runs[0].mark_completed()
        change = SessionChange(set_properties=properties, set_state={"deep": [1]}, runs=runs)
        await filed.create("talk", parent_id="root", change=change)
        call = said({"name": "search"}, id="called", type=EventType.TOOL_CALL)
        await filed.append("talk", *several(3), spending(7, id="reply"), call)
        await filed.retract("talk", "e3")
        again = await refile()
        session = await whole(again, "talk")

        talk, root = await again.page(last=3)
        bare = (await again.page(limit=1))[0]

        assert (talk.id, talk.parent_id, talk.root_id, talk.forked_from) == ("talk", "root", "root", None)
        assert (talk.title, talk.properties) == ("Two days in Oslo", properties)
        assert (talk.created_at, talk.updated_at) == (session.metadata.created_at, session.metadata.updated_at)
        assert (talk.last_seq, talk.revision) == (session.last_seq, session.revision) == (5, 3)
        assert talk.token_summary.by_model == session.token_summary.by_model
        assert talk.token_summary.total.total_tokens == 14
        assert talk.unfinished_runs == [session.runs[1]]
        assert talk.events == session.events[-3:]
        assert ids(talk.events) == ["e2", "reply", "called"]
        assert talk.newest_message == session.events[-2]
        assert (bare.id, bare.events, bare.newest_message) == ("talk", [], None)
        assert (root.id, root.parent_id, root.root_id, root.title) == ("root", None, "root", None)
        assert (root.events, root.properties, root.unfinished_runs) == ([], {}, [])

    async def test_forks_are_on_pages_as_what_they_were_forked_from(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        await made(filed, "root", owner="ann", title="Oslo")
        ticking.tick()
        await made(filed, "child", "root", owner="ann")
        for name in ("root", "child"):
            ticking.tick()
            await filed.append(name, *several(3, name))
        for name in ("root", "child"):
            ticking.tick()
            await filed.fork(name, at=2, new_id=f"fork of {name}", properties={"n": 1})
        again = await refile()

        page = await again.page(roots_only=True, last=1)
        created = await listed(again, 1, order="created", newest_first=False, properties={"owner": "ann"})

        assert [head.id for head in page] == ["fork of root", "root"]
        assert [ids(head.events) for head in page] == [["root2"], ["root3"]]
        fork = page[0]
        assert fork.forked_from is not None
        assert (fork.forked_from.id, fork.forked_from.seq, fork.last_seq) == ("root", 2, 2)
        assert (fork.title, fork.properties) == ("Oslo", {"owner": "ann", "title": "Oslo", "n": 1})
        assert created == ["root", "child", "fork of root", "fork of child"]
        assert await listed(again, 1, properties={"n": 1}) == ["fork of child", "fork of root"]
        assert await again.count(properties={"n": 1}, roots_only=True) == 1

    async def test_a_page_is_a_sequence_of_heads(self, filed: BaseSessionStore) -> None:
        await made(filed, "talk")

        page = await filed.page()

        assert isinstance(page, HeadsPage)
        assert [head.id for head in page] == [page[0].id] == [each.id for each in page[:1]] == ["talk"]
        assert (len(page), page.cursor) == (1, None)
        assert "1 session" in repr(page)
