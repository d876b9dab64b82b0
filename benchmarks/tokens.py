"""The rows of counting, pricing and importing, which use no store."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from genai_prices import Usage, calc_price

from a2a_session_manager import TiktokenCounter, TokenUsage, count_chat_tokens, count_tokens, warm_up
from a2a_session_manager.models.token_usage import priced
from a2a_session_manager.tokens import loading
from benchmarks.measure import Result, Sample, compared, lateness, lateness_turns, outpaced
from benchmarks.payloads import chat_messages
from benchmarks.scenarios import Case, Sizes, at_least, at_most

MODEL = "gpt-4o"
_WORDS = [
    "shall",
    "the",
    "flight",
    "hotel",
    "booking",
    "return",
    "11:15",
    "EST",
    "price",
    "certificate",
    "economy",
    "警告",
]
_IMPORTS = {
    "pydantic, anyio": "import pydantic, anyio",
    "the package": "import a2a_session_manager",
}
_TYPED = {**_IMPORTS, "the package": "from a2a_session_manager import SessionManager"}


async def counting(sizes: Sizes, *, texts: Sequence[str]) -> Result:
    """Counting texts one after the other, awaited and without a memory, against tiktoken as it is."""
    await warm_up(MODEL)
    encoding = loading.ready("o200k_base")
    assert encoding is not None
    forgetful = TiktokenCounter(memo_size=0)

    async def raw() -> float:
        start = time.perf_counter()
        for text in texts:
            len(encoding.encode(text, disallowed_special=()))
        return (time.perf_counter() - start) / len(texts)

    return await outpaced({"tiktoken": raw, "awaited": _counted(texts, forgetful)}, turns=sizes.turns)


async def memory(sizes: Sizes) -> Result:
    """Counting texts that were counted before against counting them anew."""
    await warm_up(MODEL)
    texts = _texts(500, 4_000)
    strategies = {"anew": _counted(texts, TiktokenCounter(memo_size=0)), "again": _counted(texts, TiktokenCounter())}
    return await outpaced(strategies, turns=sizes.turns)


async def chats(sizes: Sizes) -> Result:
    """Counting a conversation of 30 messages as a prompt against the sum of its texts."""
    await warm_up(MODEL)
    texts = _texts(30, 1_000)
    messages = [{"role": "user", "content": text} for text in texts]
    forgetful = TiktokenCounter(memo_size=0)

    async def chat() -> float:
        start = time.perf_counter()
        await count_chat_tokens(messages, MODEL, counter=forgetful)
        return (time.perf_counter() - start) / len(messages)

    return await compared({"texts": _counted(texts, forgetful), "chat": chat}, turns=sizes.turns)


async def pricing(sizes: Sizes) -> Result:
    """Pricing a usage, the cost stored in it, against genai-prices called as it is."""
    await warm_up()
    at = datetime(2026, 11, 20, tzinfo=UTC)
    usage = TokenUsage(prompt_tokens=1_200, completion_tokens=300, cache_read_tokens=600, model=MODEL)
    theirs = Usage(input_tokens=1_200, output_tokens=300, cache_read_tokens=600)

    async def plain() -> float:
        start = time.perf_counter()
        for _ in range(sizes.operations):
            calc_price(theirs, MODEL, provider_id="openai", genai_request_timestamp=at)
        return (time.perf_counter() - start) / sizes.operations

    async def ours() -> float:
        start = time.perf_counter()
        for _ in range(sizes.operations):
            assert priced(usage, at).cost_pico_usd
        return (time.perf_counter() - start) / sizes.operations

    return await compared({"genai-prices": plain, "priced": ours}, turns=sizes.turns)


async def lateness_of(sizes: Sizes, *, text: Callable[[int], str]) -> Result:
    """A ticker's lateness while a nasty text is counted, nothing of it remembered."""
    await warm_up(MODEL)
    nasty = text(sizes.big_bytes)

    async def work() -> object:
        return await count_tokens(nasty, MODEL, counter=TiktokenCounter(memo_size=0))

    return await lateness(work, turns=lateness_turns(sizes.turns))


async def importing(sizes: Sizes, *, commands: dict[str, str]) -> Result:
    """Importing in a fresh process against importing what every program of this kind has anyway."""

    def timed(command: str) -> Sample:
        code = f"import time; start = time.perf_counter(); {command}; print(time.perf_counter() - start)"

        async def sample() -> float:
            run = partial(subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True)
            return float((await asyncio.to_thread(run)).stdout)

        return sample

    turns = min(sizes.turns, 15)
    return await compared({name: timed(command) for name, command in commands.items()}, turns=turns)


def _counted(texts: Sequence[str], counter: TiktokenCounter) -> Sample:
    async def sample() -> float:
        start = time.perf_counter()
        for text in texts:
            await count_tokens(text, MODEL, counter=counter)
        return (time.perf_counter() - start) / len(texts)

    return sample


def _texts(count: int, characters: int) -> list[str]:
    rng = random.Random(7)
    return [" ".join(rng.choices(_WORDS, k=characters // 8)) for _ in range(count)]


def _messages() -> list[str]:
    """Return texts as agents have them: many short ones, some of a few thousand characters."""
    own = [str(message.get("content") or message) for message in chat_messages().values()]
    return [*_texts(150, 120), *_texts(100, 600), *_texts(40, 3_000), *own, *_texts(10, 8_000)]


def _long(sizes: int) -> str:
    return "\n".join(_texts(sizes // 50_000 + 1, 10_000))


CASES = [
    Case("tokens/counting/messages", at_least(0.9), lambda sizes: counting(sizes, texts=_messages())),
    Case("tokens/counting/2 MB", None, lambda sizes: counting(sizes, texts=[_long(sizes.big_bytes)])),
    Case("tokens/counting/again", None, memory),
    Case("tokens/counting/a chat", None, chats),
    Case("tokens/pricing", None, pricing),
    Case("tokens/lateness/2 MB", at_most(10.0), partial(lateness_of, text=_long)),
    Case("tokens/lateness/spaces", at_most(10.0), partial(lateness_of, text=lambda size: " " * (size * 12 // 100))),
    Case("tokens/lateness/letters", at_most(10.0), partial(lateness_of, text=lambda size: "a" * (size // 10))),
    Case("import/lazy", at_most(1.5), partial(importing, commands=_IMPORTS)),
    Case("import/what is used", None, partial(importing, commands=_TYPED)),
]
