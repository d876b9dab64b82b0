"""Creations with values alone, which need few of the rules, and as all others are made: the same keys and answers."""

from __future__ import annotations

from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from a2a_session_manager.models.forked_from import ForkedFrom
from a2a_session_manager.storage.commit_records import EncodedCommit, Fork
from a2a_session_manager.storage.records import EncodedEvent, Segment
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.commit_calls import commit_args
from a2a_session_manager.storage.redis.script import Script, ScriptCall
from a2a_session_manager.storage.redis.segments import fork_args
from tests.draws import few
from tests.redis_servers.server import RedisServer
from tests.storage.redis.twin_scripts import CREATION, GENERAL, KEY, Sessions

SHORTCUT = """local of_values = take_values_alone(header, counts)
if of_values then return create_here(of_values) end
"""

values = st.dictionaries(st.sampled_from(["k", "l", "m:ø"]), st.sampled_from([b"1", b"[2]"]), max_size=3)
commits = st.builds(
    EncodedCommit,
    state=values,
    properties=values,
    written_at=st.integers(1, 9),
    tag=st.sampled_from(["0a", "0b"]),
    write_id=st.sampled_from(["created", "another"]),
)
forks = st.none() | st.lists(st.sampled_from([(1, 1), (3, 4)]), unique=True).map(
    lambda hidden: Fork(
        ForkedFrom(KEY.id, CREATION, 4), (Segment(KEY.id, CREATION, 1, 4),), hidden=tuple(sorted(hidden))
    )
)
LOG = [EncodedCommit(events=[EncodedEvent(name, b"{}", None, None) for name in "abcd"], tag="0a")]


def general(script: Script) -> Script:
    """Return the script without its shortcut for values."""
    assert SHORTCUT in script.source
    return Script(script.name, script.source.replace(SHORTCUT, ""))


class Made(Sessions):
    """Sessions that are created, a second time, too, by a script with the shortcut or without it."""

    def __init__(self, client: Any, *, by_all_rules: bool, expires: bool) -> None:
        super().__init__(client)
        self._version = general if by_all_rules else lambda script: script
        self._ttl = 10**7 if expires else 0
        self.commit(GENERAL.source, LOG)

    def child(self, session_id: str, commit: EncodedCommit, fork: Fork | None) -> object:
        parent = self.keys
        keys = parent.of(session_id)
        below = [2, parent.key.id, CREATION, CREATION, b"", b"", b"", *fork_args(keys, fork)]
        arguments = [session_id, self._ttl, "life", 1, 2, *below, *commit_args(commit)]
        touched = (*keys.all_of_creation, parent.head, parent.children)
        return self._answer(scripts.CREATE_CHILD, touched, arguments)

    def root(self, session_id: str, commit: EncodedCommit) -> object:
        keys = self.keys.of(session_id).in_tree(session_id)
        arguments = [session_id, self._ttl, "life", 1, 2, b"", *commit_args(commit)]
        return self._answer(scripts.CREATE_ROOT, (*keys.all_of_creation, keys.locator), arguments)

    def _answer(self, script: Script, keys: Any, arguments: Any) -> object:
        status, *rest = self.call(*ScriptCall(self._version(script), keys, arguments).by_source())
        if rest:
            rest[0] = rest[0] > 0  # the deadline
        return status, rest

    def without_deadlines(self) -> object:
        dumped: dict[str, Any] = dict(self.dumped())
        for name, (contents, remaining) in dumped.items():
            if isinstance(contents, dict):
                timed = (b"deadline", b"d:")
                contents = {field: b"" if field.startswith(timed) else text for field, text in contents.items()}
            dumped[name] = contents, remaining > 0
        return dumped


@settings(max_examples=few(15, of=300), deadline=None, phases=[Phase.explicit, Phase.generate])
@given(commit=commits, again=commits, fork=forks, expires=st.booleans())
def test_a_creation_with_values_alone_is_as_all_rules_make_it(
    redis_server: RedisServer, commit: EncodedCommit, again: EncodedCommit, fork: Fork | None, expires: bool
) -> None:
    with redis_server.admin() as client:
        quick, slow = [Made(client, by_all_rules=by_all_rules, expires=expires) for by_all_rules in (False, True)]

        for each in (commit, again):
            assert quick.child("kid", each, fork) == slow.child("kid", each, fork)
            assert quick.root("alone", each) == slow.root("alone", each)

        assert quick.without_deadlines() == slow.without_deadlines()
        assert quick.keys.of("kid").head.decode().removeprefix(quick.prefix) in quick.dumped()
