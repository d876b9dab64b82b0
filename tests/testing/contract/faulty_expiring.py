"""Stores over memory whose sessions expire, but for one with a planted fault each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.testing.contract.expiring import SECONDS


class _Mortal(MemoryBackend):
    """Deletes each session some time after its creation, but for those that are made to stay."""

    def __init__(self) -> None:
        super().__init__()
        self.staying: set[str] = set()

    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        stays = not creation.expires
        if stays and creation.parent is not None:
            self.check_parent(creation.parent.creation_id)
        written = super().create(key, creation, commit)
        if stays:
            self.staying.add(creation.creation_id)
        asyncio.get_running_loop().call_later(SECONDS, self._expire, key, creation.creation_id)
        return written

    def check_parent(self, creation_id: str) -> None:
        if creation_id not in self.staying:
            raise InvalidSessionOperation("the parent expires")

    def _expire(self, key: SessionKey, creation_id: str) -> None:
        if creation_id not in self.staying:
            self.delete(key, creation_id, cascade=True, guard=None)


class MortalStore(BaseSessionStore):
    """Keeps the promise."""

    lets_expire = True

    def __init__(self) -> None:
        super().__init__(_Mortal())


class _Forgetful(_Mortal):
    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        return super().create(key, creation._replace(expires=True), commit)


class ForgetsWhatStays(BaseSessionStore):
    """Lets all sessions expire."""

    lets_expire = True

    def __init__(self) -> None:
        super().__init__(_Forgetful())


class _LooksAtNoParent(_Mortal):
    def check_parent(self, creation_id: str) -> None:
        pass


class PutsWhatStaysBelowWhatExpires(BaseSessionStore):
    """Makes a session to stay where it will go with its parent."""

    lets_expire = True

    def __init__(self) -> None:
        super().__init__(_LooksAtNoParent())
