"""The public names: `from a2a_session_manager import …` finds them here, imported when the first one is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from a2a_session_manager.active import ActiveRun, ActiveSession
from a2a_session_manager.active.titles import TitleBy
from a2a_session_manager.bundles.report import ExportReport, Loss, MovedSession, MoveReport
from a2a_session_manager.context.compaction_policy import CompactionPolicy
from a2a_session_manager.context.conversion import MessageFormat
from a2a_session_manager.context.findings import Finding
from a2a_session_manager.context.messages import ChatMessage, chat_messages, event_from_message
from a2a_session_manager.context.repair import OpenToolCall
from a2a_session_manager.context.summaries import Summarizer, Summary
from a2a_session_manager.context.view import MessageView, PrefixCheck
from a2a_session_manager.context.window import MessageWindow
from a2a_session_manager.diagnosis import StoreFinding
from a2a_session_manager.exceptions import (
    BudgetExceeded,
    CorruptSession,
    InvalidEvent,
    InvalidSessionOperation,
    LeaseLost,
    MissingDependency,
    RunBusy,
    SessionAlreadyExists,
    SessionConflict,
    SessionManagerError,
    SessionNotFound,
    StoreFull,
    StoreUnavailable,
)
from a2a_session_manager.exporters.conversation import ConversationExport, ExportFormat, export_conversation
from a2a_session_manager.importers.importing import import_conversations
from a2a_session_manager.importers.report import ImportReport
from a2a_session_manager.lazy import lazy_names
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.budget import BudgetAmounts, BudgetStatus
from a2a_session_manager.models.change import CommitResult, Restoration, Retraction, SessionChange
from a2a_session_manager.models.event_filter import EventFilters
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.forked_from import ForkedFrom, TreeNode
from a2a_session_manager.models.namespace_change import NamespaceChange
from a2a_session_manager.models.pruning import PrunedBranch, PruneResult, SparedBranch
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_head import SessionHead
from a2a_session_manager.models.session_metadata import SessionMetadata
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.models.token_tally import TokenTally
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.models.unfinished_run import UnfinishedRun
from a2a_session_manager.pricing.pricer import ListPricer, PricedCost, Pricer
from a2a_session_manager.pricing.prices import Prices
from a2a_session_manager.pricing.usage_numbers import UsageNumbers
from a2a_session_manager.storage import (
    LAZY,
    Backend,
    BaseSessionStore,
    EventsPage,
    HeadsPage,
    InMemorySessionStore,
    PageOrder,
    SessionPage,
    SessionStore,
    SessionStoreInterface,
    SessionStoreProvider,
    StoreLimits,
    StoreStatistics,
    store_from_url,
)
from a2a_session_manager.timeline.export import session_timeline
from a2a_session_manager.tokens.counting import (
    MediaTokens,
    TiktokenCounter,
    TokenCount,
    TokenCounter,
    count_chat_tokens,
    count_tokens,
)
from a2a_session_manager.usage.provider_usage import merged_usage, usage_from
from a2a_session_manager.usage.recorded import recorded_usage
from a2a_session_manager.warming import warm_up

if TYPE_CHECKING:
    from a2a_session_manager.storage.file import FileSessionStore, create_file_session_store
    from a2a_session_manager.storage.redis import RedisSessionStore, create_redis_session_store

__all__ = [
    "ActiveRun",
    "ActiveSession",
    "Backend",
    "BaseSessionStore",
    "BudgetAmounts",
    "BudgetExceeded",
    "BudgetStatus",
    "ChatMessage",
    "CommitResult",
    "CompactionPolicy",
    "ConversationExport",
    "CorruptSession",
    "EventFilters",
    "EventSource",
    "EventType",
    "EventsPage",
    "ExportFormat",
    "ExportReport",
    "FileSessionStore",
    "Finding",
    "ForkedFrom",
    "HeadsPage",
    "ImportReport",
    "InMemorySessionStore",
    "InvalidEvent",
    "InvalidSessionOperation",
    "LeaseLost",
    "ListPricer",
    "Loss",
    "MediaTokens",
    "MessageFormat",
    "MessageView",
    "MessageWindow",
    "MissingDependency",
    "MoveReport",
    "MovedSession",
    "NamespaceChange",
    "OpenToolCall",
    "PageOrder",
    "PrefixCheck",
    "PricedCost",
    "Pricer",
    "Prices",
    "PruneResult",
    "PrunedBranch",
    "RedisSessionStore",
    "Restoration",
    "Retraction",
    "RunBusy",
    "RunStatus",
    "Session",
    "SessionAlreadyExists",
    "SessionChange",
    "SessionConflict",
    "SessionEvent",
    "SessionHead",
    "SessionManager",
    "SessionManagerError",
    "SessionMetadata",
    "SessionNotFound",
    "SessionPage",
    "SessionRun",
    "SessionStore",
    "SessionStoreInterface",
    "SessionStoreProvider",
    "SparedBranch",
    "StoreFinding",
    "StoreFull",
    "StoreLimits",
    "StoreStatistics",
    "StoreUnavailable",
    "Summarizer",
    "Summary",
    "TiktokenCounter",
    "TitleBy",
    "TokenCount",
    "TokenCounter",
    "TokenSummary",
    "TokenTally",
    "TokenUsage",
    "TreeNode",
    "UnfinishedRun",
    "UsageNumbers",
    "chat_messages",
    "count_chat_tokens",
    "count_tokens",
    "create_file_session_store",
    "create_redis_session_store",
    "event_from_message",
    "export_conversation",
    "import_conversations",
    "merged_usage",
    "recorded_usage",
    "session_timeline",
    "store_from_url",
    "usage_from",
    "warm_up",
]

if not TYPE_CHECKING:  # so that type checkers report a name that is not there
    NAMES = frozenset(__all__)
    __getattr__, __dir__ = lazy_names(__name__, LAZY, __all__)
    del __all__
