"""Whatever is stored, a terminal gets no command of it, and a program gets it back as it was."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from a2a_session_manager import SessionManager
from a2a_session_manager.cli.app import run
from a2a_session_manager.namespaces import path_of
from tests import hostile
from tests.draws import few

# What the verbs themselves tell a terminal: styles, and of progress to hide the cursor and to write over a line.
_OWN = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|2K|1A)|\r(?=\x1b\[)")
_COMMANDS = [piece for piece in hostile.PIECES if "\x1b" in piece]
_VERBS = (
    ["ls"], ["ls", "--json"], ["show", "ID"], ["show", "ID", "--json"], ["tail", "ID"], ["tail", "ID", "--json"],
    ["tree", "ID"], ["tree", "ID", "--json"], ["usage", "ID", "--tree"], ["usage", "ID", "--tree", "--json"],
    ["check"], ["check", "--json"], ["prune", "--keep-last", "0"], ["stats"], ["namespaces", "--all"],
    ["namespaces", "--all", "--json"], ["title", "ID", "TEXT", "--by", "auto"], ["show", "TEXT"],
    ["ls", "--cursor", "TEXT"], ["ls", "--namespace", "PLACE"], ["no TEXT"], ["ls", "--property", "TEXT"],
)  # fmt: skip


class _Stream(TextIOWrapper):
    """What a verb prints to, which is a terminal or is none."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__(BytesIO(), encoding="utf-8", newline="")
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def text(self) -> str:
        self.flush()
        assert isinstance(self.buffer, BytesIO)
        return self.buffer.getvalue().decode()


def _call(arguments: list[str], *, is_terminal: bool) -> tuple[str, str]:
    out, err = _Stream(is_terminal=is_terminal), _Stream(is_terminal=is_terminal)
    with (
        patch.object(sys, "argv", ["a2a-sessions", *arguments]),
        patch.object(sys, "stdout", out),
        patch.object(sys, "stderr", err),
        patch.dict("os.environ", {"TERM": "xterm-256color"}),
        pytest.raises(SystemExit) as left,
    ):
        run()
    assert left.value.code in (0, 1, 2)
    return out.text(), err.text()


async def _fill(url: str, names: list[str], texts: list[str]) -> None:
    (session_id, child_id, run_id, tool, inner), (title, said, value, model) = names, texts
    async with SessionManager.from_url(url) as outer:
        for sessions in (outer, outer.namespace(inner)):
            async with sessions.open(session_id, properties={"title": title, run_id: value}) as chat:
                await chat.user(said)
                async with chat.run(id=run_id, agent=tool) as run:
                    await run.tool(tool, {run_id: said}, call_id=tool)
                    await run.assistant(said, model=model, usage={"prompt_tokens": 5, "completion_tokens": 1})
            if child_id != session_id:
                await sessions.create(child_id, parent_id=session_id, properties={"title": said})


@settings(
    deadline=None,
    max_examples=few(3, of=200),
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate],  # to shrink takes minutes; each text is short as it is
)
@given(
    st.lists(hostile.ids, min_size=5, max_size=5),
    st.lists(hostile.texts, min_size=4, max_size=4),
    st.lists(st.sampled_from(_VERBS), min_size=3, max_size=3, unique_by=tuple),
)
def test_a_terminal_gets_no_command_and_a_program_what_was_stored(
    names: list[str], texts: list[str], verbs: list[list[str]]
) -> None:
    with TemporaryDirectory() as directory:
        url = f"file:{Path(directory, 'store')}"
        asyncio.run(_fill(url, names, texts))
        # A shell passes no NUL, and no half of a character.
        words = {
            "ID": names[0],
            "TEXT": names[3].replace("\0", "0"),
            "PLACE": path_of((names[4],)).replace("\0", "0"),
        }
        for verb in verbs:
            arguments = [words.get(word, word.replace("TEXT", words["TEXT"])) for word in verb]
            if "\0" in "".join(arguments) or any(word.startswith("-") for word in words.values()):
                continue
            for is_terminal in (True, False):
                out, err = _call([*arguments, "--store", url], is_terminal=is_terminal)
                for shown in (out, err):
                    left = _OWN.sub("", shown) if is_terminal else shown
                    assert all(char.isprintable() or char in "\n\t" for char in left), (arguments, shown)
                    assert not any(command in shown for command in _COMMANDS), (arguments, shown)
                if "--json" in arguments and "TEXT" not in verb:
                    rows = [json.loads(line) for line in out.split("\n") if line]
                    assert verb[0] not in ("ls", "show") or names[0] in [row.get("id") for row in rows]
                    titles = [row["title"] for row in rows if row.get("id") == names[0] and "title" in row]
                    assert "title" in [each[0] for each in verbs] or all(title == texts[0] for title in titles), titles
