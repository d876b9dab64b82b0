"""Tokens of texts and chats: exact without a network, and never in the event loop's way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.tokens import loading
from a2a_session_manager.tokens.bound import BoundCounter, BoundTiktoken, TooMuchAtOnce
from a2a_session_manager.tokens.chat import PromptCounter, count_messages
from a2a_session_manager.tokens.media import MediaTokens
from a2a_session_manager.tokens.memo import CountMemo
from a2a_session_manager.tokens.pieces import PIECE
from a2a_session_manager.tokens.resolver import Resolved, resolve
from a2a_session_manager.tokens.token_count import TokenCount, TokenCounter, weakest_basis
from a2a_session_manager.tokens.vocabulary import BUNDLED

if TYPE_CHECKING:
    from tiktoken import Encoding

__all__ = [
    "MediaTokens",
    "TiktokenCounter",
    "TokenCount",
    "TokenCounter",
    "count_chat_tokens",
    "count_prompt_tokens",
    "count_tokens",
    "count_tool_tokens",
    "counting",
    "weakest_basis",
]

T = TypeVar("T")

Messages = Iterable[Mapping[str, Any]]


async def count_tokens(text: str, model: str, *, counter: TokenCounter | None = None) -> TokenCount:
    """Return the tokens of `text` for `model`: exact for OpenAI's models, otherwise `estimated`.

    Special tokens such as `<|endoftext|>` count as the text they are. Long texts, and the first use of a
    vocabulary, go to a thread. `counter` counts instead of tiktoken.
    """
    _check_text(text)
    at_once = _at_once(counter, model) if len(text) <= PIECE else None
    if at_once is not None:
        return _token_count(at_once, text)
    return await counting(lambda bound: _token_count(bound, text), model, counter=counter)


async def count_chat_tokens(messages: Messages, model: str, *, counter: TokenCounter | None = None) -> TokenCount:
    """Return what `messages` take as a prompt of `model`, the chat format's own tokens included.

    Messages are those of any provider's format. Every text that is sent is counted, and media by the formula that the
    model's provider publishes, else by the figures of MediaTokens, which make the number `estimated`. `counter` counts
    the texts instead of tiktoken, and its attribute `media_tokens`, where it has one, the media.
    """
    if not isinstance(messages, Iterable):
        raise TypeError(f"chat messages are mappings with role and content, not a {type(messages).__name__}")
    listed = list(messages)
    return await counting(partial(count_messages, listed), model, counter=counter)


async def count_prompt_tokens(prompt: str | Messages, model: str, *, counter: TokenCounter | None = None) -> TokenCount:
    """Return the tokens of a prompt: of a text as it is, of messages as a chat."""
    if isinstance(prompt, str):
        return await count_tokens(prompt, model, counter=counter)
    return await count_chat_tokens(prompt, model, counter=counter)


async def count_tool_tokens(
    tools: Iterable[Mapping[str, Any]], model: str, *, counter: TokenCounter | None = None
) -> TokenCount:
    """Return what definitions of tools take, as JSON: an estimate, since nobody says how a model is given them.

    Raises TypeError for what is no JSON object.
    """
    if isinstance(tools, str | Mapping) or not isinstance(tools, Iterable):
        raise TypeError(f"tools are several definitions, not one {type(tools).__name__}")
    listed = list(tools)
    for tool in listed:
        if not isinstance(tool, Mapping):
            raise TypeError(f"a tool is the JSON object that goes to the provider, not a {type(tool).__name__}")
    return await counting(partial(_tools_count, listed), model, counter=counter)


async def counting(
    work: Callable[[PromptCounter], T], model: str, *, counter: TokenCounter | None = None, is_heavy: bool = False
) -> T:
    """Return `work(bound)`, where `bound` counts for `model`.

    It is done in a thread when there is much to count, when `work` takes long otherwise (`is_heavy`), and always with a
    `counter` that is not ours: that one may block. `work` may have to be done again there, so it must change nothing.
    """
    bound = await _bound(counter, model)
    if isinstance(bound, BoundTiktoken) and not is_heavy:
        try:
            return work(bound.at_once())
        except TooMuchAtOnce:
            pass
    return await in_thread(work, bound)


class TiktokenCounter:
    """Counts with tiktoken and the vocabularies that travel with the package; safe to use from any thread.

    Args:
        allow_download: tiktoken may fetch the vocabularies of OpenAI's oldest models.
        download_timeout: for how many seconds a caller waits for one, from when its download began; then the count is
            an estimate.
        memo_size: so many counts are remembered, by digest: those that were used last.
        media_tokens: the figures for pictures, sounds, films and files where no provider has published any.
    """

    def __init__(
        self,
        *,
        allow_download: bool = False,
        download_timeout: float = 10.0,
        memo_size: int = 16_384,
        media_tokens: MediaTokens | None = None,
    ) -> None:
        self.media_tokens = media_tokens or MediaTokens()
        self._download_timeout = download_timeout if allow_download else None
        self._memo = CountMemo(memo_size)
        self._last: BoundTiktoken | None = None  # for one model after the other, as most programs have a single one

    def count(self, text: str, model: str) -> TokenCount:
        """Return the tokens of `text` for `model`; the first use of a vocabulary blocks until it is loaded."""
        _check_text(text)
        resolved = resolve(model)
        encoding = loading.ready(resolved.encoding)
        if encoding is None:
            encoding = loading.load(resolved.encoding, download_timeout=self._download_timeout).encoding
        return _token_count(self._bound(resolved, encoding, model), text)

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

    def bound_at_once(self, model: str) -> BoundTiktoken | None:
        """Return what counts for `model`, or None while its vocabulary is not loaded."""
        last, resolved = self._last, resolve(model)
        encoding = loading.ready(resolved.encoding)
        if last is not None and last.is_of(model, encoding, self.media_tokens):
            return last
        if encoding is not None:
            self._last = last = self._bound(resolved, encoding, model)
            return last
        return None

    async def bound_to(self, model: str) -> BoundTiktoken:
        """Load the vocabulary of `model`, and return what counts for it and never waits."""
        resolved = resolve(model)
        outcome = await loading.load_async(resolved.encoding, download_timeout=self._download_timeout)
        return self._bound(resolved, outcome.encoding, model)

    def _bound(self, resolved: Resolved, encoding: Encoding | None, model: str) -> BoundTiktoken:
        return BoundTiktoken(resolved, encoding, self._memo, self.media_tokens, model)


def _at_once(counter: TokenCounter | None, model: str) -> BoundTiktoken | None:
    if counter is None:
        counter = DEFAULT_COUNTER
    # Nobody knows how long another counter takes, a subclass of this one included.
    return counter.bound_at_once(model) if type(counter) is TiktokenCounter else None


async def _bound(counter: TokenCounter | None, model: str) -> BoundTiktoken | BoundCounter:
    at_once = _at_once(counter, model)
    if at_once is not None:
        return at_once
    if counter is None:
        counter = DEFAULT_COUNTER
    return await counter.bound_to(model) if type(counter) is TiktokenCounter else BoundCounter(counter, model)


def _token_count(bound: PromptCounter, text: str) -> TokenCount:
    tokens, is_exact = bound.text(text)
    return TokenCount(tokens, "counted" if is_exact else "estimated", bound.encoding)


def _tools_count(tools: Sequence[Mapping[str, Any]], bound: PromptCounter) -> TokenCount:
    tokens = sum(bound.json(tool)[0] for tool in tools)
    return TokenCount(tokens, "estimated" if tools else "counted", bound.encoding)


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise TypeError(f"tokens are counted in text, not in {type(text).__name__}")


DEFAULT_COUNTER = TiktokenCounter()
