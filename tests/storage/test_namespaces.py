"""Namespaces on every store, compared with a set of who is where; and the text that names one."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from a2a_session_manager import InvalidSessionOperation
from a2a_session_manager.namespaces import names_in, path_of
from a2a_session_manager.testing.contract.namespaces import inside
from tests.draws import few
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]

PLACES = st.lists(st.sampled_from(["a", "b", "a/b", "%2F", "A"]), max_size=3).map(tuple)
STEPS = st.lists(st.tuples(st.sampled_from(["create", "create", "delete"]), PLACES), max_size=8)


@given(steps=STEPS)
@settings(max_examples=few(5, of=100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_namespace_is_listed_exactly_while_it_or_one_inside_holds_a_session(
    open_store: OpenStore, steps: list[tuple[str, tuple[str, ...]]]
) -> None:
    asyncio.run(_compared(open_store, steps))


async def _compared(open_store: OpenStore, steps: list[tuple[str, tuple[str, ...]]]) -> None:
    async with open_store() as store:
        there: set[tuple[str, ...]] = set()
        for kind, names in steps:
            if kind == "delete":
                await inside(store, names).delete("talk")
                there.discard(names)
            elif names not in there:
                await inside(store, names).create("talk")
                there.add(names)
            above = {names[:depth] for names in there for depth in range(4)} | {()}
            for outer in above:
                depth = len(outer)
                expected = {each[depth] for each in there if len(each) > depth and each[:depth] == outer}
                assert sorted(await inside(store, outer).namespaces()) == sorted(expected)
        for names in there:
            await inside(store, names).delete("talk")
        assert await store.namespaces() == []


@given(st.lists(st.text(min_size=1), max_size=4).map(tuple))
def test_the_text_of_a_namespace_names_it_alone(namespace: tuple[str, ...]) -> None:
    path = path_of(namespace)

    assert tuple(names_in(path)) == namespace
    assert path.count("/") == max(len(namespace) - 1, 0)


@pytest.mark.parametrize("path", ["/", "a/", "/a", "a//b"])
def test_a_text_with_an_empty_name_is_refused(path: str) -> None:
    with pytest.raises(InvalidSessionOperation, match="empty name"):
        names_in(path)
