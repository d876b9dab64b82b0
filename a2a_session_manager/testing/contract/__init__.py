"""StoreContract: what every store promises, as tests. Subclass it once per backend.

    class TestMyStore(StoreContract):
        async def open_store(self, place: Path) -> BaseSessionStore:
            return MyStore(place)

        async def damage(self, store: BaseSessionStore, session_id: str) -> None:
            ...  # make the first stored event of the session unreadable

It runs under pytest-asyncio, in strict and in auto mode, and needs the `testing` extra.
"""

from __future__ import annotations

import pytest

from a2a_session_manager.testing.contract.activity import ActivityContract
from a2a_session_manager.testing.contract.appending import AppendingContract
from a2a_session_manager.testing.contract.arguments import ArgumentsContract
from a2a_session_manager.testing.contract.budgets import BudgetsContract
from a2a_session_manager.testing.contract.budgets_cancelled import BudgetsCancelledContract
from a2a_session_manager.testing.contract.budgets_disturbed import BudgetsDisturbedContract
from a2a_session_manager.testing.contract.budgets_set import BudgetsSetContract
from a2a_session_manager.testing.contract.cancelling import CancellingContract
from a2a_session_manager.testing.contract.claiming import ClaimingContract
from a2a_session_manager.testing.contract.compacting import CompactingContract
from a2a_session_manager.testing.contract.compactions_ended import CompactionsEndedContract
from a2a_session_manager.testing.contract.copies import CopiesContract
from a2a_session_manager.testing.contract.corruption import CorruptionContract
from a2a_session_manager.testing.contract.counting_once import CountingOnceContract
from a2a_session_manager.testing.contract.deleting import DeletingContract
from a2a_session_manager.testing.contract.exactly_once import ExactlyOnceContract
from a2a_session_manager.testing.contract.expiring import ExpiringContract
from a2a_session_manager.testing.contract.finding import FindingContract
from a2a_session_manager.testing.contract.finding_sessions import FindingSessionsContract
from a2a_session_manager.testing.contract.following import FollowingContract
from a2a_session_manager.testing.contract.following_namespaces import FollowingNamespacesContract
from a2a_session_manager.testing.contract.forking import ForkingContract
from a2a_session_manager.testing.contract.forks_apart import ForksApartContract
from a2a_session_manager.testing.contract.forks_detached import ForksDetachedContract
from a2a_session_manager.testing.contract.forks_in_trees import ForksInTreesContract
from a2a_session_manager.testing.contract.forks_in_views import ForksInViewsContract
from a2a_session_manager.testing.contract.forks_spending import ForksSpendingContract
from a2a_session_manager.testing.contract.guarding import GuardingContract
from a2a_session_manager.testing.contract.heads import HeadsContract
from a2a_session_manager.testing.contract.held_runs import HeldRunsContract
from a2a_session_manager.testing.contract.ids import IdsContract
from a2a_session_manager.testing.contract.incarnations import IncarnationsContract
from a2a_session_manager.testing.contract.leases import LeasesContract
from a2a_session_manager.testing.contract.lifecycle import LifecycleContract
from a2a_session_manager.testing.contract.limits import LimitsContract
from a2a_session_manager.testing.contract.listing import ListingContract
from a2a_session_manager.testing.contract.losing_replies import LosingRepliesContract
from a2a_session_manager.testing.contract.moving import MovingContract
from a2a_session_manager.testing.contract.namespaces import NamespacesContract
from a2a_session_manager.testing.contract.paging import PagingContract
from a2a_session_manager.testing.contract.payloads import PayloadsContract
from a2a_session_manager.testing.contract.pruning import PruningContract
from a2a_session_manager.testing.contract.racing import RacingContract
from a2a_session_manager.testing.contract.reading import ReadingContract
from a2a_session_manager.testing.contract.reading_messages import ReadingMessagesContract
from a2a_session_manager.testing.contract.reindexing import ReindexingContract
from a2a_session_manager.testing.contract.repeating import RepeatingContract
from a2a_session_manager.testing.contract.restoring import RestoringContract
from a2a_session_manager.testing.contract.restoring_beside import RestoringBesideContract
from a2a_session_manager.testing.contract.retracting import RetractingContract
from a2a_session_manager.testing.contract.runs import RunsContract
from a2a_session_manager.testing.contract.saving import SavingContract
from a2a_session_manager.testing.contract.saving_elsewhere import SavingElsewhereContract
from a2a_session_manager.testing.contract.saving_refused import SavingRefusedContract
from a2a_session_manager.testing.contract.statistics import StatisticsContract
from a2a_session_manager.testing.contract.titles import TitlesContract
from a2a_session_manager.testing.contract.trees import TreesContract
from a2a_session_manager.testing.contract.typed import TypedContract
from a2a_session_manager.testing.contract.usage import UsageContract
from a2a_session_manager.testing.contract.views import ViewsContract

__all__ = ["StoreContract"]


@pytest.mark.asyncio
class StoreContract(
    AppendingContract,
    SavingContract,
    SavingRefusedContract,
    SavingElsewhereContract,
    CopiesContract,
    GuardingContract,
    ExactlyOnceContract,
    RepeatingContract,
    RetractingContract,
    RestoringContract,
    RestoringBesideContract,
    RunsContract,
    LeasesContract,
    HeldRunsContract,
    UsageContract,
    CountingOnceContract,
    BudgetsContract,
    BudgetsSetContract,
    BudgetsCancelledContract,
    BudgetsDisturbedContract,
    ActivityContract,
    TitlesContract,
    TreesContract,
    DeletingContract,
    ExpiringContract,
    PruningContract,
    ReadingContract,
    ReadingMessagesContract,
    FindingContract,
    ViewsContract,
    CompactingContract,
    CompactionsEndedContract,
    ForkingContract,
    ForksApartContract,
    ForksDetachedContract,
    ForksInTreesContract,
    ForksInViewsContract,
    ForksSpendingContract,
    MovingContract,
    ClaimingContract,
    ListingContract,
    PagingContract,
    HeadsContract,
    FindingSessionsContract,
    IncarnationsContract,
    FollowingContract,
    FollowingNamespacesContract,
    NamespacesContract,
    ReindexingContract,
    IdsContract,
    PayloadsContract,
    TypedContract,
    LimitsContract,
    ArgumentsContract,
    CorruptionContract,
    LifecycleContract,
    StatisticsContract,
    RacingContract,
    LosingRepliesContract,
    CancellingContract,
):
    """The whole contract. A subclass implements `open_store` and `damage`, and says whether it `is_durable`."""
