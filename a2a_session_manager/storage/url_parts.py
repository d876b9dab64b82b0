"""The parts of a store's URL. No error repeats any of them: in a mistyped URL, a password may stand anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from a2a_session_manager.exceptions import InvalidSessionOperation

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def shown(url: str) -> str:
    """Return what an error may say of a URL: its scheme, and an ellipsis when more follows."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        return "store URL"
    return f"store URL {scheme[0] + ('…' if len(url) > scheme.end() else '')!r}"


def split_url(url: object) -> SplitResult:
    """Return the parts of a URL. Raises InvalidSessionOperation, which holds nothing of the URL but its scheme.

    This function refuses what `urlsplit` drops without a word: line breaks and fragments. The URL would otherwise name
    another place than the one that the user wrote.
    """
    if not isinstance(url, str):
        raise InvalidSessionOperation(
            f"the store URL is a {type(url).__name__}, not a string: take one, such as 'file:./sessions'"
        )
    if _CONTROL.search(url):
        raise InvalidSessionOperation(f"{shown(url)} holds a control character, such as a line break: leave it out")
    if "#" in url:
        raise InvalidSessionOperation(f"{shown(url)} holds a '#', which would end it: write it as %23")
    try:
        return urlsplit(url)
    except ValueError:  # its message repeats parts of the URL
        raise InvalidSessionOperation(
            f"{shown(url)} cannot be read: percent-encode '@', ':', '/', '?' and brackets in user, password and host"
        ) from None


def options_of(url: str, query: str, known: tuple[str, ...]) -> dict[str, str]:
    """Return the options in the `query` of a URL, unescaped; their values are not read further.

    Raises InvalidSessionOperation for an option that is not among `known`, and for one that comes twice.
    """
    options: dict[str, str] = {}
    for number, (name, value) in enumerate(_pairs(url, query), start=1):
        # The error does not repeat the name: what follows a bare '&' in a password is read as the name of an option.
        if name not in known:
            raise InvalidSessionOperation(f"{shown(url)}: its option {number} is unknown: known: {', '.join(known)}")
        if name in options:
            raise InvalidSessionOperation(f"{shown(url)} says {name} twice: say it once")
        options[name] = value
    return options


def unescaped(url: str, text: str) -> str:
    """Return a part of a URL without its percent-encoding. Raises InvalidSessionOperation when it is not UTF-8."""
    with _unreadable_refused(url):
        plain = unquote(text, errors="strict")
        plain.encode()
    return plain


def _pairs(url: str, query: str) -> list[tuple[str, str]]:
    with _unreadable_refused(url):
        query.encode()
        return parse_qsl(query, keep_blank_values=True, errors="strict")


@contextmanager
def _unreadable_refused(url: str) -> Iterator[None]:
    try:
        yield
    except UnicodeError:  # its message repeats the text
        raise InvalidSessionOperation(f"{shown(url)}: its percent-encoding is no UTF-8: encode the text anew") from None
