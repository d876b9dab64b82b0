"""Tokens of texts and chats: exact without a network, and never in the event loop's way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.tokens import loading
from a2a_session_manager.tokens.chat import count_messages, is_heavier_than
from a2a_session_manager.tokens.memo import CountMemo, digest
from a2a_session_manager.tokens.pieces import PIECE, pieces, slices
from a2a_session_manager.tokens.resolver import Resolved, resolve
from a2a_session_manager.tokens.token_count import TokenCount, TokenCounter, weakest_basis
from a2a_session_manager.tokens.vocabulary import BUNDLED

if TYPE_CHECKING:
    from tiktoken import Encoding

__all__ = [
    "TiktokenCounter",
    "TokenCount",
    "TokenCounter",
    "count_chat_tokens",
    "count_prompt_tokens",
    "count_tokens",
    "counting",
    "weakest_basis",
]

T = TypeVar("T")

Messages = Iterable[Mapping[str, Any]]
Count = Callable[[str], TokenCount]

# In characters. For a shorter text the digest would take a good part of what counting takes.
_MEMO_FROM = 256


async def count_tokens(text: str, model: str, *, counter: TokenCounter | None = None) -> TokenCount:
    """Return the tokens of `text` for `model`: exact for OpenAI's models, otherwise `estimated`.

    Special tokens such as `<|endoftext|>` count as the text they are. Long texts, and the first use of a
    vocabulary, go to a thread. `counter` counts instead of tiktoken.
    """
    _check_text(text)
    at_once = _at_once(counter, model) if len(text) <= PIECE else None
    if at_once is not None:
        return at_once(text)
    return await counting(lambda count: count(text), text, model, counter=counter)


async def count_chat_tokens(messages: Messages, model: str, *, counter: TokenCounter | None = None) -> TokenCount:
    """Return what `messages` take as a prompt of `model`, the chat format's own tokens included.

    Messages are mappings with role and content, as OpenAI's chat API takes them. Media are not counted, and make the
    number `estimated`. `counter` counts their texts instead of tiktoken.
    """
    if not isinstance(messages, Iterable):
        raise TypeError(f"chat messages are mappings with role and content, not a {type(messages).__name__}")
    listed = list(messages)
    return await counting(partial(count_messages, listed), listed, model, counter=counter)


async def count_prompt_tokens(prompt: str | Messages, model: str, *, counter: TokenCounter | None = None) -> TokenCount:
    """Return the tokens of a prompt: of a text as it is, of messages as a chat."""
    if isinstance(prompt, str):
        return await count_tokens(prompt, model, counter=counter)
    return await count_chat_tokens(prompt, model, counter=counter)


async def counting(work: Callable[[Count], T], texts: Any, model: str, *, counter: TokenCounter | None = None) -> T:
    """Return `work(count)`, where `count` counts one text for `model`.

    It is done in a thread when `texts`, the plain data that `work` counts, are heavy, and always with a `counter` that
    is not ours: that one may block.
    """
    count, is_quick = await _bound(counter, model)
    if is_quick and not is_heavier_than(texts, PIECE):
        return work(count)
    return await in_thread(work, count)


class TiktokenCounter:
    """Counts with tiktoken and the vocabularies that travel with the package; safe to use from any thread.

    With `allow_download`, tiktoken may fetch the vocabularies of OpenAI's oldest models; a caller waits for one until
    `download_timeout` seconds after its download began, and gets an estimate then. The last `memo_size` counts of
    longer texts are remembered, by digest.
    """

    def __init__(self, *, allow_download: bool = False, download_timeout: float = 10.0, memo_size: int = 8192) -> None:
        self._download_timeout = download_timeout if allow_download else None
        self._memo = CountMemo(memo_size)

    def count(self, text: str, model: str) -> TokenCount:
        """Return the tokens of `text` for `model`; the first use of a vocabulary blocks until it is loaded."""
        _check_text(text)
        resolved = resolve(model)
        encoding = loading.ready(resolved.encoding)
        if encoding is None:
            encoding = loading.load(resolved.encoding, download_timeout=self._download_timeout).encoding
        return self._count(resolved, encoding, text)

    async def warm_up(self, models: str | Iterable[str] | None = None) -> list[str]:
        """Load the vocabularies of `models` ahead, and return the names of those that are loaded.

        `models` is a model's or an encoding's name, or several; None stands for all that travel with the package.
        A vocabulary that is nowhere to be had is not among the names. Raises SessionManagerError when one that travels
        with the package is damaged, or a download failed; counting goes on then, with estimates.
        """
        named = [models] if isinstance(models, str) else BUNDLED if models is None else models
        names = list(dict.fromkeys(resolve(model).encoding for model in named))
        for name in names:
            outcome = await loading.load_async(name, download_timeout=self._download_timeout)
            if outcome.error is not None:
                raise outcome.error
        return [name for name in names if loading.ready(name)]

    def bound_at_once(self, model: str) -> Count | None:
        """Return what counts texts for `model`, or None while its vocabulary is not loaded."""
        resolved = resolve(model)
        encoding = loading.ready(resolved.encoding)
        return None if encoding is None else partial(self._count, resolved, encoding)

    async def bound_to(self, model: str) -> Count:
        """Load the vocabulary of `model`, and return what counts texts for it and never waits."""
        resolved = resolve(model)
        outcome = await loading.load_async(resolved.encoding, download_timeout=self._download_timeout)
        return partial(self._count, resolved, outcome.encoding)

    def _count(self, resolved: Resolved, encoding: Encoding | None, text: str) -> TokenCount:
        if encoding is None:
            return TokenCount(_guess(text), "estimated")
        if len(text) < _MEMO_FROM:
            tokens, is_exact = _piece_length(encoding, text)
        else:
            tokens, is_exact = self._remembered_length(resolved, encoding, text)
        return TokenCount(tokens, "counted" if is_exact and resolved.is_own else "estimated", resolved.encoding)

    def _remembered_length(self, resolved: Resolved, encoding: Encoding, text: str) -> tuple[int, bool]:
        key = digest(resolved.encoding, text)
        known = self._memo.get(key)
        if known is not None:
            return known, True
        tokens, is_exact = _encoded_length(encoding, text)
        if is_exact:
            self._memo.put(key, tokens)
        return tokens, is_exact


def _at_once(counter: TokenCounter | None, model: str) -> Count | None:
    if counter is None:
        counter = DEFAULT_COUNTER
    # Nobody knows how long another counter takes, a subclass of this one included.
    return counter.bound_at_once(model) if type(counter) is TiktokenCounter else None


async def _bound(counter: TokenCounter | None, model: str) -> tuple[Count, bool]:
    at_once = _at_once(counter, model)
    if at_once is not None:
        return at_once, True
    if counter is None:
        counter = DEFAULT_COUNTER
    if type(counter) is TiktokenCounter:
        return await counter.bound_to(model), True
    return partial(_count_by, counter, model), False


def _count_by(counter: TokenCounter, model: str, text: str) -> TokenCount:
    return counter.count(text, model)


def _encoded_length(encoding: Encoding, text: str) -> tuple[int, bool]:
    if len(text) <= PIECE:
        return _piece_length(encoding, text)
    tokens, is_exact = 0, True
    for piece, ends_exactly in pieces(text):
        length, piece_is_exact = _piece_length(encoding, piece)
        tokens += length
        is_exact = is_exact and ends_exactly and piece_is_exact
    return tokens, is_exact


def _piece_length(encoding: Encoding, piece: str) -> tuple[int, bool]:
    try:
        if len(piece) <= 2 * PIECE:
            # This is a microsecond quicker than `encode`, but it panics where that one raises.
            return len(encoding.encode_ordinary(piece)), True
        text = _mended(piece)
        return len(encoding.encode(text, disallowed_special=())), text is piece
    except ValueError:
        return _guess(piece), False  # the vocabulary's pattern gave up
    except BaseException as error:
        # A panic of tiktoken's Rust code is an exception that cannot be imported and is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        return _guess(piece), False


def _mended(piece: str) -> str:
    """Return `piece` itself, or without surrogates: tiktoken replaces them too, but holds the interpreter for it."""
    try:
        piece.encode()
    except UnicodeEncodeError:
        return "".join(part.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for part in slices(piece))
    return piece


def _guess(text: str) -> int:
    # Bytes are counted, not characters: of Chinese and Japanese those would give half.
    return max(1, len(text.encode("utf-8", "surrogatepass")) // 4) if text else 0


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise TypeError(f"tokens are counted in text, not in {type(text).__name__}")


DEFAULT_COUNTER = TiktokenCounter()
