"""Texts that come from elsewhere and must be stored whatever they hold: streamed answers, exceptions' messages."""

from __future__ import annotations

_MOST_CHARACTERS = 65_536


def with_whole_characters(text: str) -> str:
    """Return `text` with the halves of a surrogate pair joined that a stream has split; a lone surrogate stays."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def reason_text(reason: object) -> str | None:
    """Return the text of a reason, which may be an exception, in a form that every store accepts."""
    if reason is None:
        return None
    try:
        text = str(reason)
    except Exception as error:  # from the __str__ of a foreign class
        return f"a {type(reason).__name__} whose text cannot be had ({type(error).__name__})"
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[:_MOST_CHARACTERS]}… ({len(text)} characters)"
    return with_whole_characters(text)
