"""Sessions in FastAPI: a lifespan, dependencies, problem details, ETags, streamed answers and a read-only router."""

from __future__ import annotations

from a2a_session_manager.exceptions import MissingDependency

try:
    import fastapi as _fastapi
except ModuleNotFoundError as error:
    raise MissingDependency("fastapi", "fastapi") from error

from a2a_session_manager.integrations.fastapi.dependencies import (
    Chat,
    Sessions,
    chat_of,
    get_chat,
    get_sessions,
    sessions_of,
)
from a2a_session_manager.integrations.fastapi.lifespan import session_lifespan
from a2a_session_manager.integrations.fastapi.preconditions import IfMatch, Precondition, etag, read_if_match
from a2a_session_manager.integrations.fastapi.problems import install_problem_handlers
from a2a_session_manager.integrations.fastapi.responses import AsciiJSONResponse
from a2a_session_manager.integrations.fastapi.router import session_router
from a2a_session_manager.integrations.fastapi.sse import (
    EventStream,
    ResumeAfter,
    event_frame,
    follow_stream,
    read_resume_after,
    sse_frame,
)
from a2a_session_manager.integrations.fastapi.streaming import StreamedAnswer, stream_answer

del _fastapi

__all__ = [
    "AsciiJSONResponse",
    "Chat",
    "EventStream",
    "IfMatch",
    "Precondition",
    "ResumeAfter",
    "Sessions",
    "StreamedAnswer",
    "chat_of",
    "etag",
    "event_frame",
    "follow_stream",
    "get_chat",
    "get_sessions",
    "install_problem_handlers",
    "read_if_match",
    "read_resume_after",
    "session_lifespan",
    "session_router",
    "sessions_of",
    "sse_frame",
    "stream_answer",
]
