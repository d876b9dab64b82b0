"""Long texts, each held once: the page keeps them apart, and a value refers to one as {"$": its number}."""

from __future__ import annotations

from typing import Any, Final

REFERENCE: Final = "$"
_LONG: Final = 160


class Texts:
    """The long texts of a page, by their numbers. With `together=True`, values keep their texts."""

    def __init__(self, *, together: bool = False) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._together = together

    def value(self, value: Any) -> Any:
        """Return a JSON value with a reference in the place of each long text.

        A key that begins as a reference does is told from one by another `$` in front of it.
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {_escaped(key): self.value(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.value(each) for each in value]
        return _exact(value)

    def text(self, text: str) -> Any:
        """Return a text, or the reference to it where it is long."""
        if self._together or len(text) < _LONG:
            return text
        number = self._numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        return {REFERENCE: number}


def _escaped(key: str) -> str:
    return REFERENCE + key if key.startswith(REFERENCE) else key


def _exact(value: Any) -> Any:
    """Return a number as browsers can read it without rounding: as text where it is too large for them."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53:
        return str(value)
    return value
