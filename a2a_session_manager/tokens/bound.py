"""Counters that are bound to a model: what counts the texts, values and media of its prompts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Final

from a2a_session_manager.shapes.normal_form import Media
from a2a_session_manager.tokens.chat import Messages, MessagesCount
from a2a_session_manager.tokens.encoded import encoded_length, guess
from a2a_session_manager.tokens.media import MediaTokens
from a2a_session_manager.tokens.memo import HAS_KEYED_HASH, CountMemo, MemoKey, digest
from a2a_session_manager.tokens.pieces import PIECE
from a2a_session_manager.tokens.regular import PLAIN, texts_of
from a2a_session_manager.tokens.resolver import Resolved
from a2a_session_manager.tokens.token_count import TokenCounter
from a2a_session_manager.tokens.weight import is_heavier_than

if TYPE_CHECKING:
    from tiktoken import Encoding

# What is counted in the event loop's thread, in characters: half a millisecond of new text, or two of known text, of
# which only the digest is made.
_MOST_NEW: Final = PIECE
_MOST_KNOWN: Final = 1 << 18
# What a text of no length costs, as so many characters.
_CALL: Final = 16


class TooMuchAtOnce(Exception):
    """There is more to count than the event loop may be held up for: it is to be done again in a thread."""


class BoundTiktoken:
    """Counts with one vocabulary, also from several threads; `at_once()` is the same for the event loop's thread."""

    def __init__(
        self, resolved: Resolved, encoding: Encoding | None, memo: CountMemo, media: MediaTokens, model: str
    ) -> None:
        self.encoding = None if encoding is None else resolved.encoding
        self._resolved = resolved
        self._name = resolved.encoding
        self._vocabulary = encoding
        self._memo = memo
        self._known = memo.get
        self._media = media
        self._model = model
        self._is_own = encoding is not None and resolved.is_own
        self._guesses = 0  # of texts, since this was bound
        self._new_left: float = inf
        self._known_left: float = inf

    def is_of(self, model: str, encoding: Encoding | None, media: MediaTokens) -> bool:
        """Tell whether this counts for `model` by that vocabulary, and media by these figures."""
        return self._model == model and self._vocabulary is encoding and self._media is media

    def at_once(self) -> BoundTiktoken:
        """Return a counter of the same that raises TooMuchAtOnce where the event loop would be held up."""
        bound = BoundTiktoken(self._resolved, self._vocabulary, self._memo, self._media, self._model)
        bound._new_left, bound._known_left = _MOST_NEW, _MOST_KNOWN
        return bound

    def text(self, text: str) -> tuple[int, bool]:
        """Return the tokens of `text`, and whether they are exact for the model."""
        key = self._key((text,))
        known = self._known(key)
        if known is not None:
            return known, self._is_own
        self._new_left -= len(text) + _CALL
        if self._new_left < 0:
            raise TooMuchAtOnce
        tokens, is_exact = self._encoded(text)
        if is_exact:
            self._memo.put(key, tokens)
        else:
            self._guesses += 1
        return tokens, is_exact and self._is_own

    def messages(self, messages: Messages, count: MessagesCount, most: float = inf) -> tuple[int, bool]:
        """Return what `count` returns for messages, or has returned for some that say the same."""
        texts = texts_of(messages)
        if texts is None:
            return count(messages, self, most)
        key = self._key(texts)
        known = self._known(key)
        if known is not None:
            return known, self._is_own and len(texts) == PLAIN * len(messages)
        guesses = self._guesses
        tokens, is_exact = count(messages, self, most)
        if guesses == self._guesses and tokens <= most:  # above it, they may not all be counted
            self._memo.put(key, tokens)
        return tokens, is_exact

    def json(self, value: Any) -> tuple[int, bool]:
        """Return the tokens of a value as JSON text, which are an estimate: nobody says how a model is given it."""
        if self._known_left < inf and is_heavier_than(value, _MOST_NEW):
            raise TooMuchAtOnce
        return self.text(json_text(value))[0], False

    def media(self, media: Media) -> tuple[int, bool]:
        """Return the tokens of media that are no text, and whether the provider has published them."""
        return self._media.count(media, self._model)

    def _key(self, texts: Sequence[str]) -> MemoKey:
        """Return the memo's key of texts that are counted together."""
        length = sum(map(len, texts))
        self._known_left -= length + _CALL
        if self._known_left < 0:
            raise TooMuchAtOnce
        return self._name, hash(tuple(texts)) if HAS_KEYED_HASH else digest(texts), length

    def _encoded(self, text: str) -> tuple[int, bool]:
        return (guess(text), False) if self._vocabulary is None else encoded_length(self._vocabulary, text)


class BoundCounter:
    """Counts with a counter that is not ours."""

    def __init__(self, counter: TokenCounter, model: str) -> None:
        self.encoding: str | None = None
        self._counter = counter
        self._model = model
        media = getattr(counter, "media_tokens", None)
        self._media = media if isinstance(media, MediaTokens) else MediaTokens()

    def text(self, text: str) -> tuple[int, bool]:
        """Return the tokens of `text`, and whether they are exact for the model."""
        counted = self._counter.count(text, self._model)
        self.encoding = counted.encoding
        return int(counted), counted.basis == "counted"

    def messages(self, messages: Messages, count: MessagesCount, most: float = inf) -> tuple[int, bool]:
        """Return what `count` returns for messages: nothing is known of what this counter remembers."""
        return count(messages, self, most)

    def json(self, value: Any) -> tuple[int, bool]:
        """Return the tokens of a value as JSON text, which are an estimate."""
        return self.text(json_text(value))[0], False

    def media(self, media: Media) -> tuple[int, bool]:
        """Return the tokens of media that are no text, and whether the provider has published them."""
        return self._media.count(media, self._model)


def json_text(value: Any) -> str:
    """Return a value as JSON text, and text as it is."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    except (TypeError, ValueError, RecursionError):
        return repr(value)  # JSON cannot hold it, so its text stands for it
