"""Texts from elsewhere that are kept in any case: a model's answer that came in pieces, an exception's message."""

from __future__ import annotations

_MOST_CHARACTERS = 65_536


def with_whole_characters(text: str) -> str:
    """Return `text` with the two halves of a character joined, which a stream may have parted; a lone half stays."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def reason_text(reason: object) -> str | None:
    """Return the text of a reason, which may be an exception: never one that no store would take."""
    if reason is None:
        return None
    try:
        text = str(reason)
    except Exception as error:  # a foreign __str__
        return f"a {type(reason).__name__} whose text cannot be had ({type(error).__name__})"
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[:_MOST_CHARACTERS]}… ({len(text)} characters)"
    return with_whole_characters(text)
