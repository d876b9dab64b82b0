"""Makes, forks, appends to and deletes sessions of the same few ids as others do, in two trees, and notes its answers.

Usage: racer.py DIRECTORY SEED NOTES. A note is one line: `made`, `append`, `appended` or `delete`, the creation id of
the life that was meant, and what else there is to know of it. It stands in the file before the next thing is done.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from uuid import uuid4

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionAlreadyExists, SessionNotFound
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage.file import FileSessionStore

IDS = ("a", "b", "c", "d")
ROOTS = ("r1", "r2")


def life_of(session: Session) -> str:
    sync = session._sync
    assert sync is not None, "what a store returned has one"
    return sync.creation_id


async def main() -> None:
    directory, seed, notes = sys.argv[1:]
    chance = random.Random(seed)
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(*words: str) -> None:
        os.write(file, f"{' '.join(words)}\n".encode())

    async def race(store: FileSessionStore) -> None:
        while True:
            session_id = chance.choice(IDS)
            try:
                session = await store.get(session_id)
                if session is None and chance.random() < 0.5:
                    source = chance.choice(IDS)
                    note("made", life_of(await store.fork(source, new_id=session_id)), session_id, source)
                elif session is None:
                    root = chance.choice(ROOTS)
                    note("made", life_of(await store.create(session_id, parent_id=root)), session_id, root)
                elif chance.random() < 0.15:
                    note("delete", life_of(session))
                    await store.delete(session)
                else:
                    event = SessionEvent(
                        id=uuid4().hex, message="x", token_usage=TokenUsage(prompt_tokens=1, model="m")
                    )
                    note("append", life_of(session), event.id, session.root_id or "")
                    await store.append(session, event)
                    note("appended", life_of(session), event.id, session.root_id or "")
            except (SessionAlreadyExists, SessionNotFound, InvalidSessionOperation):
                continue  # another was faster

    async with FileSessionStore(directory) as store:
        await asyncio.gather(*(race(store) for _ in range(3)))


if __name__ == "__main__":
    asyncio.run(main())
