"""Stores for servers of the A2A SDK: tasks, push notification configs, and the events of tasks across replicas."""

from __future__ import annotations

from a2a_session_manager.exceptions import MissingDependency

try:
    from a2a.server.cluster import TaskVersion as _TaskVersion  # noqa: F401  only to say clearly what is missing
except ImportError as error:
    raise MissingDependency("a2a-sdk", "a2a") from error

from a2a_session_manager.integrations.a2a.event_stream import A2ATaskEventStream
from a2a_session_manager.integrations.a2a.push_configs import A2APushNotificationConfigStore
from a2a_session_manager.integrations.a2a.task_stores import A2ATaskStore, A2AVersionedTaskStore

__all__ = ["A2APushNotificationConfigStore", "A2ATaskEventStream", "A2ATaskStore", "A2AVersionedTaskStore"]
