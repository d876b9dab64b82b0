"""Texts that want to be something else: markup, ends of lines, commands to a terminal, halves of characters."""

from __future__ import annotations

from hypothesis import strategies as st

PIECES = (
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "]]>",
    "\"'><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "\u2028",
    "\u2029",
    "\x00",
    "\x07",
    "\x08\x08",
    "\x1b[7;31m",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil\x1b\\",
    "\x9b2J",
    "\x7f",
    "\r",
    "\r\n",
    "\n",
    "\t",
    "\u202e",
    "\u2066",
    "\u200b",
    "\ufeff",
    "\ud800",
    "\udfff",
    "\U000e0001",
    "[bold]",
    ":smile:",
    "```",
    "# ",
    "&amp;",
    "\\",
    "é",
    "😀",
    "x",
)
texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join) | st.text(min_size=1, max_size=12)


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


# Ids and keys hold no half of a character, which no store could keep.
ids = texts.filter(_is_whole)
