"""The page itself: one HTML file that loads nothing, runs no script but its own, and shows all data as text."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

from a2a_session_manager.timeline.document import Document
from a2a_session_manager.timeline.enclosing import Enclosed

# In the order in which they use each other. They are one script, so that a page has one digest.
_SCRIPTS: Final = (
    "model",
    "format",
    "dom",
    "search",
    "outline",
    "markdown",
    "cards",
    "list",
    "lanes",
    "sidebar",
    "live",
    "main",
)
# Longer texts are in blocks of their own, which are not read until somebody wants to see them.
_INLINE_CHARACTERS: Final = 4_000
_PREVIEW_CHARACTERS: Final = 600


def page_of(document: Document, *, live: bool, bundle: Enclosed | None = None) -> str:
    """Return the page as ASCII text; `live` lets it connect to where it came from, and to nothing else.

    With a `bundle`, the page offers that for download, or says why it has none.
    """
    style, script = _style(), _script()
    policy = content_policy(live=live)
    parts = [
        "<!doctype html>\n",
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n',
        '<link rel="icon" href="data:,">\n',
        f"<title>{_as_ascii(document.title)}</title>\n",
        f"<style>{style}</style>\n</head>\n<body>\n",
        _body(),
        *_blocks(document, bundle),
        f"<script>{script}</script>\n</body>\n</html>\n",
    ]
    return "".join(parts)


def content_policy(*, live: bool) -> str:
    """Return what the page may do, for its own header as well as for that of a response."""
    connect = "connect-src 'self'; " if live else ""
    return (
        f"default-src 'none'; script-src {_digest(_script())}; style-src {_digest(_style())}; img-src data:; {connect}"
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def escaped_json(value: Any) -> str:
    """Return JSON in ASCII that can stand inside a script block: nothing in it ends or begins an element."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _blocks(document: Document, bundle: Enclosed | None) -> Iterator[str]:
    texts: Sequence[str] = document.texts
    held = [text if len(text) <= _INLINE_CHARACTERS else [len(text), text[:_PREVIEW_CHARACTERS]] for text in texts]
    data = {**document.data, "texts": held, "no_bundle": None if bundle is None else bundle.reason}
    yield f'<script type="application/json" id="data">{escaped_json(data)}</script>\n'
    for number, text in enumerate(texts):
        if len(text) > _INLINE_CHARACTERS:
            yield f'<script type="application/json" id="text-{number}">{escaped_json(text)}</script>\n'

    if bundle is not None and bundle.reason is None:
        yield f'<script type="application/gzip" id="bundle">{bundle.text}</script>\n'


@cache
def _script() -> str:
    parts = "\n".join(_file(f"{name}.js") for name in _SCRIPTS)
    # What is not ASCII stands in texts and comments alone, where the escape means the same.
    ascii_parts = "".join(each if each.isascii() else f"\\u{ord(each):04x}" for each in parts)
    return f'(() => {{\n"use strict";\n{ascii_parts}}})();\n'


@cache
def _style() -> str:
    return _file("page.css")


@cache
def _body() -> str:
    return _file("page.html")


def _file(name: str) -> str:
    return files("a2a_session_manager.timeline").joinpath("page", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _as_ascii(text: str) -> str:
    # A lone surrogate is no character that a page may hold.
    sound = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return html.escape(sound).encode("ascii", "xmlcharrefreplace").decode()
