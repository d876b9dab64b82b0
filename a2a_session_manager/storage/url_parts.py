"""Taking a store's URL apart, without ever repeating it: a password may stand anywhere in one that was mistyped."""

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
    """Return what may be said of a URL in an error: its scheme, and that more came behind it."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        return "store URL"
    return f"store URL {scheme[0] + ('…' if len(url) > scheme.end() else '')!r}"


def split_url(url: object) -> SplitResult:
    """Return the parts of a URL. Raises InvalidSessionOperation, which holds nothing of the URL but its scheme.

    It is stricter than `urlsplit`, which drops line breaks and fragments without a word: the URL would then name
    another place than the one that was written.
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
    """Return the options of a URL, each as it was written. Raises InvalidSessionOperation for one that is not known."""
    options: dict[str, str] = {}
    for number, (name, value) in enumerate(_pairs(url, query), start=1):
        # The name is not repeated: a password with a bare '&' in it goes on as the name of an option.
        if name not in known:
            raise InvalidSessionOperation(f"{shown(url)}: its option {number} is unknown: known: {', '.join(known)}")
        if name in options:
            raise InvalidSessionOperation(f"{shown(url)} says {name} twice: say it once")
        options[name] = value
    return options


def unescaped(url: str, text: str) -> str:
    """Return a part of a URL without its percent-encoding. Raises InvalidSessionOperation where it is no UTF-8."""
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
    except UnicodeError:  # it repeats the text
        raise InvalidSessionOperation(f"{shown(url)}: its percent-encoding is no UTF-8: encode the text anew") from None
