"""An export of ChatGPT becomes sessions: the branch that was shown last, and a fork for the answer before it.

To run: python examples/import_conversations.py [conversations.json]
It prints: what came, what each session shows, that a second import brings nothing, and the conversation as Markdown. No
network.
"""

import asyncio
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from a2a_session_manager import SessionManager, export_conversation, import_conversations


def node(id: str, parent: str | None, children: list[str], role: str = "", text: str = "") -> dict[str, Any]:
    message = None
    if role:
        content = {"content_type": "text", "parts": [text]}
        message = {"id": id, "author": {"role": role}, "create_time": 1_700_000_000.0, "content": content}
    return {"id": id, "parent": parent, "children": children, "message": message}


EXPORT = [
    {
        "conversation_id": "oslo",
        "title": "A trip to Oslo",
        "create_time": 1_700_000_000.0,
        "update_time": 1_700_000_300.0,
        "current_node": "second",
        "mapping": {
            "root": node("root", None, ["asked"]),
            "asked": node("asked", "root", ["first", "second"], "user", "Two days in Oslo?"),
            "first": node("first", "asked", [], "assistant", "Stay at home."),
            "second": node("second", "asked", [], "assistant", "Day 1: the fjord."),
        },
    }
]


async def main(path: Path) -> None:
    async with SessionManager.from_url("memory:") as sessions:
        report = await import_conversations(sessions, path)
        print(f"{len(report.session_ids)} sessions, {report.forks} of them forks, {report.events} events")
        for session_id in report.session_ids[:5]:
            async with sessions.open(session_id) as chat:
                print(session_id, [message["content"] for message in await chat.messages()])
        again = await import_conversations(sessions, path)
        print(f"again: {again.new_events} events are new")
        print((await export_conversation(sessions, report.session_ids[0], format="markdown")).text)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(main(Path(sys.argv[1])))
    else:
        with TemporaryDirectory() as directory:
            file = Path(directory, "conversations.json")
            file.write_text(json.dumps(EXPORT))
            asyncio.run(main(file))
