"""A2APushNotificationConfigStore: where servers of the A2A SDK remember whom to notify, in sessions of ours."""

from __future__ import annotations

from typing import Any

from a2a.server.context import ServerCallContext
from a2a.server.owner_resolver import OwnerResolver, resolve_user_scope
from a2a.server.tasks.push_notification_config_store import (
    PushNotificationConfigStore,
    normalize_push_notification_config,
)
from a2a.types.a2a_pb2 import TaskPushNotificationConfig
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from a2a_session_manager.active.opening import open_session
from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.integrations.a2a.border import FORMAT, push_session, their_errors
from a2a_session_manager.integrations.foreign_ids import joined_id, parts_of
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session

_CONFIG, _PLACE = "config", "place"


class A2APushNotificationConfigStore(PushNotificationConfigStore):
    """The SDK's `PushNotificationConfigStore`: the configs of a task, of all its owners, are the state of one session.

    Tokens and credentials in a config are stored as they are given, readable for whoever reads the store: there is no
    sealing yet. The verbs raise InvalidParamsError for what cannot be stored, and InternalError when the store fails;
    our error is the cause.

    Args:
        sessions: the manager of the store, or of a namespace of it; the one of the tasks will do. It stays open.
        owner_resolver: tells whose a config is; see A2ATaskStore.
    """

    def __init__(self, sessions: SessionManager, *, owner_resolver: OwnerResolver = resolve_user_scope) -> None:
        self._sessions = sessions
        self._owner_of = owner_resolver

    async def set_info(
        self, task_id: str, notification_config: TaskPushNotificationConfig, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        """Store a config in the place of the owner's one of the same id, and return it as it is stored.

        One without an id gets that of the task. The caller's object stays as it is.
        """
        config = normalize_push_notification_config(task_id, notification_config)
        with their_errors():
            key = joined_id(self._owner_of(context), config.id, may_be_empty=True)
            store, write_id = self._sessions.store, hidden_id()
            about = SessionChange(set_properties=FORMAT.as_property())
            session = await retry_if_unknown(lambda: open_session(store, push_session(task_id), change=about))
            FORMAT.check(session)
            place = 1 + max((each[_PLACE] for each in session.state.values()), default=0)
            change = SessionChange(set_state={key: {_CONFIG: MessageToDict(config), _PLACE: place}})
            await retry_if_unknown(lambda: store.commit(session, change, write_id=write_id))
        return config

    async def get_info(self, task_id: str, context: ServerCallContext) -> list[TaskPushNotificationConfig]:
        """Return the owner's configs of a task, the one last that was set last."""
        owner = self._owner_of(context)
        return await self._configs(task_id, lambda key: _is_of(key, owner))

    async def get_info_for_dispatch(self, task_id: str) -> list[TaskPushNotificationConfig]:
        """Return the configs of a task of all owners, the one last that was set last."""
        return await self._configs(task_id, lambda key: True)

    async def delete_info(self, task_id: str, context: ServerCallContext, config_id: str | None = None) -> None:
        """Delete one config of the owner, or all when `config_id` is None; what is not there is fine."""
        owner = self._owner_of(context)
        with their_errors():
            session = await self._read(task_id)
            if session is None:
                return
            keys = [key for key in session.state if _is_of(key, owner) and config_id in (None, parts_of(key)[1])]
            write_id = hidden_id()
            change = SessionChange(unset_state=keys)
            await retry_if_unknown(lambda: self._sessions.store.commit(session, change, write_id=write_id))

    async def _configs(self, task_id: str, is_meant: Any) -> list[TaskPushNotificationConfig]:
        with their_errors():
            session = await self._read(task_id)
            if session is None:
                return []
            found = sorted((kept[_PLACE], key) for key, kept in session.state.items() if is_meant(key))
            return [_config(session, key) for _, key in found]

    async def _read(self, task_id: str) -> Session[Any] | None:
        session = await self._sessions.store.get(push_session(task_id), last=0)
        if session is not None:
            FORMAT.check(session)
        return session


def _is_of(key: str, owner: str) -> bool:
    """Tell whether a key of the state stands for a config of this owner."""
    return parts_of(key)[0] == owner


def _config(session: Session[Any], key: str) -> TaskPushNotificationConfig:
    config = TaskPushNotificationConfig()
    try:
        ParseDict(session.state[key][_CONFIG], config)
    except (ParseError, KeyError, TypeError) as error:
        raise CorruptSession(
            session.id,
            f"session {session.id!r}: its push notification config {key!r} is none that this release of the A2A SDK "
            f"reads: {error}",
        ) from error
    return config
