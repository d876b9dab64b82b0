"""A store in a process of its own that does what it is told, one JSON line a command.

Usage: remote.py DIRECTORY. Answers each line by one: {"result": …} or {"error": the exception's name}.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import sys
from typing import Any, TextIO

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.storage.file import FileSessionStore
from tests.storage.file.processes.made import said, spending
from tests.storage.file.processes.racer import life_of

_held: list[TextIO] = []


async def _do(store: FileSessionStore, verb: str, *args: Any) -> Any:
    match verb:
        case "append":
            session_id, *event_ids = args
            return [event.seq for event in await store.append(session_id, *(said(each, id=each) for each in event_ids))]
        case "spend":
            await store.append(args[0], spending(args[1]))
        case "create":
            await store.create(args[0], parent_id=args[1])
        case "fork":
            source, at, new_id = args
            return life_of(await store.fork(source, at=at, new_id=new_id))
        case "delete":
            await store.delete(args[0], children="cascade")
        case "retract":
            return [event.id for event in await store.retract(args[0], *args[1:])]
        case "ids":
            session = await store.get(args[0])
            return None if session is None else [event.id for event in session.events]
        case "list":
            return await store.list_sessions()
    return None


def _hold(path: str) -> None:
    _held.append(open(path, "r+"))  # noqa: SIM115  # held until told otherwise
    fcntl.flock(_held[-1], fcntl.LOCK_EX)


def _release() -> None:
    while _held:
        _held.pop().close()


def _answer(runner: asyncio.Runner, store: FileSessionStore, verb: str, *args: Any) -> dict[str, Any]:
    if verb in ("hold", "release"):
        _hold(*args) if verb == "hold" else _release()
        return {"result": None}
    try:
        return {"result": runner.run(_do(store, verb, *args))}
    except SessionManagerError as error:
        return {"error": type(error).__name__}


def main() -> None:
    store = FileSessionStore(sys.argv[1])
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            print(json.dumps(_answer(runner, store, *json.loads(line))), flush=True)
        runner.run(store.aclose())


if __name__ == "__main__":
    main()
