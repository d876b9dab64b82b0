"""The contract on a redis-py that lacks one of its private parts, each in turn: a cut of it; the whole in a soak."""

from __future__ import annotations

import pytest

from a2a_session_manager.testing import StoreContract
from a2a_session_manager.testing.contract.appending import AppendingContract
from a2a_session_manager.testing.contract.deleting import DeletingContract
from a2a_session_manager.testing.contract.exactly_once import ExactlyOnceContract
from a2a_session_manager.testing.contract.following import FollowingContract
from a2a_session_manager.testing.contract.lifecycle import LifecycleContract
from a2a_session_manager.testing.contract.racing import RacingContract
from a2a_session_manager.testing.contract.reading import ReadingContract
from a2a_session_manager.testing.contract.retracting import RetractingContract
from tests.redis_servers.absent import NEVER_DECODE, PARTS, take_away
from tests.storage.redis.test_contract import OnServer


class WithoutAPart(OnServer):
    @pytest.fixture(autouse=True, params=[*PARTS, NEVER_DECODE])
    def without(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        take_away(monkeypatch, request.param)


class TestWithoutAPart(WithoutAPart):
    """What the parts make quicker: commands, scripts and pipelines, batches that are sent at once, and connections."""

    test_parts = AppendingContract.test_one_change_commits_all_its_parts_at_once
    test_many = RacingContract.test_64_tasks_lose_no_concurrent_write_and_keep_each_tasks_order
    test_kinds = RacingContract.test_concurrent_writes_of_different_kinds_all_land
    test_repeated = ExactlyOnceContract.test_an_event_id_and_a_write_id_may_be_the_same
    test_retraction = RetractingContract.test_retract_after_hides_all_with_a_higher_seq
    test_cascade = DeletingContract.test_a_cascade_takes_all_below_and_nothing_else
    test_several = ReadingContract.test_several_sessions_come_in_the_order_asked
    test_following = FollowingContract.test_a_waiting_follower_gets_one_event_and_then_a_commit_of_several
    test_closing = LifecycleContract.test_writes_under_way_are_finished_when_the_store_closes
    test_loops = LifecycleContract.test_one_store_serves_one_event_loop_after_another
    test_lost_loop = LifecycleContract.test_a_loop_that_ends_with_writes_under_way_does_not_harm_the_next


@pytest.mark.soak
class TestWithoutAPartWhole(WithoutAPart, StoreContract):
    """The whole contract, fourteen times."""
