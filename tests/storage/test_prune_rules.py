"""What goes and what stays, decided from heads alone."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from a2a_session_manager.storage.prune_rules import JudgedSession, JudgedTree, PruneLimits, chosen

NOW = 1_000
SECOND = timedelta(microseconds=1)  # as small as the store's clock


@st.composite
def trees(draw: st.DrawFn) -> list[JudgedTree]:
    """Draw trees of a few sessions each, and how large they are."""
    made = []
    for number in range(draw(st.integers(0, 5))):
        tree = JudgedTree(f"t{number}", bytes=draw(st.integers(0, 9)))
        for index in range(draw(st.integers(1, 5))):
            above = draw(st.integers(0, index - 1)) if index else None
            parent = None if above is None else f"t{number}.{above}" if above else f"t{number}"
            depth = 1 if parent is None else tree.sessions[parent].depth + 1
            session_id = f"t{number}.{index}" if index else f"t{number}"
            updated_at = draw(st.integers(NOW - 9, NOW))
            tree.sessions[session_id] = JudgedSession(
                session_id, parent, f"t{number}", depth, "c", 1, "", updated_at, (), None
            )
        made.append(tree)
    return made


@given(trees(), st.integers(0, 9), st.none() | st.integers(0, 6), st.none() | st.integers(0, 40))
def test_idle_trees_go_but_the_last_ones_and_then_what_is_too_much(
    drawn: list[JudgedTree], age: int, keep_last: int | None, max_bytes: int | None
) -> None:
    branches = chosen(drawn, PruneLimits(age * SECOND, keep_last, max_bytes), NOW)
    gone = {branch.top.id: branch.reason for branch in branches}
    newest_first = sorted(drawn, key=lambda tree: (tree.updated_at, tree.root_id), reverse=True)
    safe = {tree.root_id for tree in newest_first[: keep_last or 0]}
    idle = {tree.root_id for tree in drawn if NOW - tree.updated_at >= age}

    assert {name for name, reason in gone.items() if reason == "older_than"} == idle - safe
    assert not gone.keys() & safe
    assert [branch.updated_at for branch in branches] == sorted(branch.updated_at for branch in branches)
    whole = {tree.root_id: set(tree.sessions) for tree in drawn}
    assert all({each.id for each in branch.sessions} == whole[branch.top.id] for branch in branches)
    if max_bytes is None:
        assert "max_bytes" not in gone.values()
        return
    left = [tree for tree in newest_first if tree.root_id not in gone]
    size = sum(tree.bytes or 0 for tree in left)
    assert size <= max_bytes or {tree.root_id for tree in left} == safe & {tree.root_id for tree in drawn}
    too_much = [tree for tree in newest_first if gone.get(tree.root_id) == "max_bytes"]
    if too_much:  # the newest of them would have been one too many
        assert size + (too_much[0].bytes or 0) > max_bytes


@given(trees(), st.integers(0, 9))
def test_idle_branches_go_whole_and_from_the_top_and_nothing_else(drawn: list[JudgedTree], age: int) -> None:
    branches = chosen(drawn, PruneLimits(age * SECOND, branches=True), NOW)
    sessions = {each.id: each for tree in drawn for each in tree.sessions.values()}

    def is_idle(session_id: str) -> bool:
        below = [each.id for each in sessions.values() if each.parent_id == session_id]
        return NOW - sessions[session_id].updated_at >= age and all(map(is_idle, below))

    gone = [each.id for branch in branches for each in branch.sessions]
    assert len(gone) == len(set(gone))
    assert set(gone) == {session_id for session_id in sessions if is_idle(session_id)}
    for branch in branches:
        assert branch.top.parent_id is None or not is_idle(branch.top.parent_id)
        places = {each.id: at for at, each in enumerate(branch.sessions)}
        assert all(places[each.parent_id or ""] < places[each.id] for each in branch.sessions[1:])
