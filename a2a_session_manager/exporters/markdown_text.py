"""Text in Markdown, so that it shows as it was said: its lists, emphasis and code stay, and nothing in it is lost.

What a renderer would take for HTML, for a heading among those of the transcript, for a picture to be fetched, or for
the definition of a link, which shows nothing, is escaped. Where it depends on what is around a line whether it is code,
in which an escape would show, and where a block of code does not end, all of the text becomes a block of code.
The timeline's `page/markdown.js` has the same rule, for what is copied from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_FENCE: Final = re.compile("`{3,}")
_TICKS: Final = re.compile("`+")
# A block of code by itself; one inside of a list or a quote ends where that ends.
_OPENS: Final = re.compile(r"(`{3,})[^`]*$|(~{3,}).*$")
_MARKS: Final = r"(?:[ \t>]|[-+*][ \t]|[0-9]{1,9}[.)][ \t])*"
_INNER_FENCE: Final = re.compile(rf"{_MARKS}(?:`{{3,}}|~{{3,}})")
_CODE_LINE: Final = re.compile(r"[ >]*(?: {4}|\t)")
_HEADING: Final = re.compile(rf"({_MARKS})(?=#{{1,6}}(?:[ \t]|$))")
_UNDERLINE: Final = re.compile(r"([ \t>]*)(?=(?:=+|-+)[ \t]*$)")
_BLANK: Final = re.compile(r"[ \t>]*$")
# What means something in plain text: an escape, code, a tag, an entity, a picture, a definition.
_SPECIAL: Final = re.compile(r"\\[!-/:-@\[-`{-~]|`+|<(?=[A-Za-z/!?])|&(?=#?[A-Za-z0-9]+;)|!(?=\[)|\](?=:)")
_ESCAPED: Final = {"<": r"\<", "&": "&amp;", "!": r"\!", "]": r"\]"}
_ANY_MARK: Final = re.compile(r"([\\`*_{}\[\]<>#|~!&])")


def shown(text: str) -> str:
    """Return Markdown that shows a text as it was said. Its line ends are those of Unix."""
    made: list[str] = []
    for line in _escaped(text.split("\n")):
        if line is None:
            return fenced(text, "markdown")
        made.append(line)
    return "\n".join(made)


def plain(text: str) -> str:
    """Return Markdown that shows a text letter by letter, on one line."""
    return _ANY_MARK.sub(r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """Return a span of code on one line."""
    text = " ".join(text.split())
    ticks = "`" * (max((len(each) for each in _TICKS.findall(text)), default=0) + 1)
    return f"{ticks}{text}{ticks}" if "`" not in text else f"{ticks} {text} {ticks}"


def fenced(text: str, language: str) -> str:
    """Return a block of code; its fence is longer than any inside."""
    fence = "`" * (max((len(each) for each in _FENCE.findall(text)), default=2) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _escaped(lines: list[str]) -> Iterator[str | None]:
    """Yield the lines as Markdown that shows them; None for one of which that cannot be told."""
    at, before = 0, ""
    while at < len(lines):
        line = lines[at]
        end = _end_of_code(lines, at)
        if end is not None:
            yield from lines[at:end]
            at, before = end, ""
            continue
        made = _escaped_line(line, before)
        is_unclear = _INNER_FENCE.match(line) or (made != line and _CODE_LINE.match(line))
        yield None if is_unclear else made
        at, before = at + 1, line


def _end_of_code(lines: list[str], at: int) -> int | None:
    """Return where a block of code ends that begins at a line; None where none does."""
    opens = _OPENS.match(lines[at])
    if opens is None:
        return None
    fence = opens[1] or opens[2]
    closes = re.compile(rf" {{0,3}}{fence[0]}{{{len(fence)},}}[ \t]*$")
    return next((end + 1 for end in range(at + 1, len(lines)) if closes.match(lines[end])), None)


def _escaped_line(line: str, before: str) -> str:
    starts = _HEADING.match(line) or (None if _BLANK.match(before) else _UNDERLINE.match(line))
    start = "" if starts is None else starts[1] + "\\"
    return start + _escaped_inside(line[0 if starts is None else starts.end() :])


def _escaped_inside(text: str) -> str:
    made, at = "", 0
    while (special := _SPECIAL.search(text, at)) is not None:
        made, found = made + text[at : special.start()], special[0]
        at = special.end()
        if found[0] != "`":
            made += found if found[0] == "\\" else _ESCAPED[found]
            continue
        closes = next((each for each in _TICKS.finditer(text, at) if len(each[0]) == len(found)), None)
        if closes is None:
            made += r"\`" * len(found)
        else:
            made, at = made + text[special.start() : closes.end()], closes.end()
    return made + text[at:]
