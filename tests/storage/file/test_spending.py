"""Budgets in files where another process has changed what this one remembers."""

from __future__ import annotations

from pathlib import Path

import pytest

from a2a_session_manager import BudgetExceeded, FileSessionStore, SessionNotFound


@pytest.mark.parametrize("is_root_left", [True, False])
async def test_a_session_that_was_made_again_elsewhere_is_held_by_its_new_budgets(
    tmp_path: Path, is_root_left: bool
) -> None:
    async with FileSessionStore(tmp_path) as mine, FileSessionStore(tmp_path) as theirs:
        for root, tokens in (("old", 1_000), ("new", 10)):
            await mine.create(root)
            await mine.set_budget(root, tokens=tokens)
        old = await mine.create("talk", parent_id="old")
        await mine.place_hold("talk", tokens=100)

        await theirs.delete("talk" if is_root_left else "old", children="cascade")
        new = await theirs.create("talk", parent_id="new")

        for each in ("talk", new):
            with pytest.raises(BudgetExceeded) as refused:
                await mine.place_hold(each, tokens=100)
            assert refused.value.budget_session_id == "new"
        with pytest.raises(SessionNotFound, match="talk"):
            await mine.place_hold(old, tokens=1)
        assert (await mine.place_hold("talk", id="request", tokens=10)).is_held
        assert {*(await theirs.budget("new")).holds} == {"request"}


async def test_a_session_that_is_gone_is_not_found_and_one_whose_budgets_went_is_held_no_more(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as mine, FileSessionStore(tmp_path) as theirs:
        await mine.create("root")
        await mine.create("limited", parent_id="root")
        await mine.create("free", parent_id="root")
        await mine.set_budget("limited", tokens=10)
        for name in ("limited", "free"):
            await mine.place_hold(name, tokens=10)

        await theirs.delete("limited")
        with pytest.raises(SessionNotFound, match="limited"):
            await mine.place_hold("limited", tokens=10)
        assert not (await mine.place_hold("free", tokens=10)).is_held
        assert not (await mine.place_hold("free", tokens=10)).is_held

        await theirs.create("limited", parent_id="root")
        await theirs.set_budget("limited", tokens=10)
        assert (await mine.place_hold("limited", tokens=10)).is_held
        with pytest.raises(BudgetExceeded):
            await theirs.place_hold("limited", tokens=1)
