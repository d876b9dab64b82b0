"""Counts equal the published ones, whatever the text, from loop and threads, and remember only what is exact."""

from __future__ import annotations

import asyncio
import pickle
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken import Encoding

from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.tokens import bound, counting, loading, pieces
from a2a_session_manager.tokens.chat import count_message, count_turn
from a2a_session_manager.tokens.counting import TiktokenCounter, TokenCount, TokenCounter, count_tokens, weakest_basis
from a2a_session_manager.tokens.memo import CountMemo, MemoKey, digest
from tests.draws import few
from tests.tokens.golden import GOLDEN
from tests.tokens.regular_messages import regular_messages

LOREM = "Lorem ipsum dolor sit amet, consectetur adipiscing elit.\n\tdef f(x): return {'a': 12}\n今日は良い天気です。"


def o200k() -> Encoding:
    encoding = loading.load("o200k_base").encoding
    assert encoding is not None
    return encoding


@pytest.mark.parametrize(("text", "o200k_tokens", "cl100k_tokens"), GOLDEN)
async def test_golden_vectors(text: str, o200k_tokens: int, cl100k_tokens: int) -> None:
    assert await count_tokens(text, "gpt-4o") == o200k_tokens
    assert await count_tokens(text, "gpt-4") == cl100k_tokens


async def test_a_count_says_where_it_comes_from() -> None:
    assert repr(await count_tokens("hello world", "openai/GPT-4")) == "TokenCount(2, 'counted', 'cl100k_base')"
    assert repr(await count_tokens("hello world", "claude-x")) == "TokenCount(2, 'estimated', 'o200k_base')"


def test_a_count_is_an_int_that_pickles_and_fits_a_usage() -> None:
    count = TokenCount(7, "estimated", "o200k_base")

    assert (count, count.tokens, count + 1, type(count.tokens)) == (7, 7, 8, int)
    assert repr(pickle.loads(pickle.dumps(count))) == repr(count)
    assert type(TokenUsage(prompt_tokens=count).model_dump()["prompt_tokens"]) is int


def test_a_sum_is_as_sure_as_its_weakest_part() -> None:
    counted, estimated = TokenCount(1), TokenCount(1, "estimated")

    assert (weakest_basis(), weakest_basis(counted), weakest_basis(counted, estimated)) == (
        "counted",
        "counted",
        "estimated",
    )


NASTY = {
    "lone surrogate": ("a\ud800b", 3),
    "surrogates": ("\udc00\ud83d" * 20_000, None),
    "a pair in two": ("\ud83d\ude00", 1),
    "NUL": ("\0", 1),
    "NULs": ("\0" * 20_000, None),
    "a letter": ("a" * 20_000, 2_500),
    "letters": ("a" * 1_000_000, 125_000),
    "capitals": ("A" * 300_000, None),
    "spaces": (" " * 1_200_000, None),
    "spaces and a word": (" " * 1_200_000 + "x", None),
    "no-break spaces": ("\xa0" * 300_000, None),
    "line ends": ("\r\n" * 300_000, None),
    "digits": ("7" * 300_000, 100_000),
    "emoji": ("👍🏽" * 20_000, None),
    "special tokens": ("<|endoftext|>" * 3_000, None),
}


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4"])
@pytest.mark.parametrize(("text", "tokens"), NASTY.values(), ids=NASTY)
async def test_nasty_text_is_counted_sanely(model: str, text: str, tokens: int | None) -> None:
    async with asyncio.timeout(30):
        count = await count_tokens(text, model)

    assert 0 < count <= len(text.encode("utf-8", "surrogatepass"))
    assert tokens is None or abs(count - tokens) <= 2


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(), max_size=300))
def test_any_text_counts_as_tiktoken_counts_it(text: str) -> None:
    assert counting.DEFAULT_COUNTER.count(text, "gpt-4o") == len(o200k().encode(text, disallowed_special=()))


@pytest.mark.parametrize("length", [pieces.PIECE - 1, pieces.PIECE, pieces.PIECE + 1, 200_000])
async def test_a_long_text_counts_as_in_one_piece(length: int) -> None:
    text = (LOREM * (length // len(LOREM) + 1))[:length]
    count = await count_tokens(text, "gpt-4o")

    assert (count, count.basis) == (len(o200k().encode(text, disallowed_special=())), "counted")


async def test_long_text_is_counted_in_a_thread_and_short_text_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    async def to_thread(function: object, *args: object) -> TokenCount:
        sent.append(expected)
        return TokenCount(0)

    await counting.DEFAULT_COUNTER.warm_up("gpt-4o")
    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    short, long = "a" * pieces.PIECE, "a" * (pieces.PIECE + 1)
    expected = "no short one"
    await count_tokens(short, "gpt-4o")
    await counting.count_chat_tokens([{"role": "user", "content": "short"}], "gpt-4o")
    expected = "a text"
    await count_tokens(long, "gpt-4o")
    expected = "a chat"
    await counting.count_chat_tokens([{"role": "user", "content": long}], "gpt-4o")

    assert sent == ["a text", "a chat"]


@pytest.mark.parametrize("error", [ValueError("gave up"), type("PanicException", (BaseException,), {})()])
async def test_a_tokenizer_that_gives_up_leaves_an_estimate(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    class GivesUp:
        def encode_ordinary(self, text: str) -> list[int]:
            raise error

        def encode(self, text: str, **options: object) -> list[int]:
            raise error

    monkeypatch.setitem(loading._ready, "o200k_base", GivesUp())
    counter = TiktokenCounter()
    texts = ["word " * 400, "word " * 8_000, "a" * 40_000]
    counts = [await count_tokens(text, "gpt-4o", counter=counter) for text in texts]

    assert {count.basis for count in counts} == {"estimated"}
    assert counts == [500, 10_000 - 1, 10_000]  # a byte's worth is lost where the second one is cut
    assert len(counter._memo) == 0


async def test_what_is_no_panic_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def encode_ordinary(self, text: str) -> list[int]:
            raise KeyboardInterrupt

    monkeypatch.setitem(loading._ready, "o200k_base", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        TiktokenCounter().count("hello", "gpt-4o")


@pytest.mark.parametrize("text", [None, b"bytes", 12, ["a"]])
async def test_what_is_no_text_is_refused_by_its_type(text: object) -> None:
    with pytest.raises(TypeError, match=type(text).__name__):
        await count_tokens(text, "gpt-4o")  # type: ignore[arg-type]  # that is the mistake


@pytest.mark.parametrize("model", [None, 4, b"gpt-4o"])
async def test_what_is_no_models_name_is_refused(model: Any) -> None:
    with pytest.raises(TypeError, match="model by its name, not for"):
        await count_tokens("hello", model)


@pytest.mark.parametrize("messages", [None, 5, "text", [5]])
async def test_what_are_no_chat_messages_are_refused(messages: Any) -> None:
    with pytest.raises(TypeError, match=r"mapping.* with role and content, not"):
        await counting.count_chat_tokens(messages, "gpt-4o")


def test_threads_count_alike() -> None:
    counter = TiktokenCounter(memo_size=3)
    texts = [LOREM * length for length in range(1, 30)]
    expected = [len(o200k().encode(text, disallowed_special=())) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        rounds = list(pool.map(lambda _: [counter.count(text, "gpt-4o").tokens for text in texts], range(24)))

    assert rounds == [expected] * 24
    assert len(counter._memo) <= 3


async def test_text_that_was_counted_is_not_encoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    counter, text = TiktokenCounter(), LOREM * 300
    first = await count_tokens(text, "gpt-4o", counter=counter)
    monkeypatch.setattr(bound, "encoded_length", lambda encoding, text: pytest.fail("encoded again"))

    assert await count_tokens(text, "gpt-4o", counter=counter) == first
    # The same vocabulary, not the same right to call it exact.
    stood_in = await count_tokens(text, "claude-x", counter=counter)
    assert (stood_in, stood_in.basis) == (first, "estimated")


async def test_a_chat_whose_counts_are_known_is_not_counted_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = TiktokenCounter()
    messages = [{"role": "user", "content": f"{LOREM * 4} {number}"} for number in range(200)]
    first = await counting.count_chat_tokens(messages, "gpt-4o", counter=counter)
    monkeypatch.setattr(asyncio, "to_thread", lambda *args: pytest.fail("went to a thread"))

    assert await counting.count_chat_tokens(messages, "gpt-4o", counter=counter) == first


async def test_what_is_known_and_very_long_is_counted_in_a_thread_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    counter, message = TiktokenCounter(), {"role": "user", "content": LOREM * 4_000}
    await counting.count_chat_tokens([message], "gpt-4o", counter=counter)

    async def to_thread(function: object, *args: object) -> TokenCount:
        return TokenCount(12)

    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    assert await counting.count_chat_tokens([message], "gpt-4o", counter=counter) == 12


async def test_vocabularies_do_not_share_memories() -> None:
    counter, text = TiktokenCounter(), "Здравствуйте, это мой первый раз здесь. " * 20

    assert await count_tokens(text, "gpt-4o", counter=counter) != await count_tokens(text, "gpt-4", counter=counter)


async def test_estimates_are_never_remembered() -> None:
    counter = TiktokenCounter()
    run = await count_tokens("a" * (pieces.LONGEST + pieces.PIECE), "gpt-4o", counter=counter)
    old_model = await count_tokens(LOREM * 10, "text-davinci-003", counter=counter)

    assert {run.basis, old_model.basis} == {"estimated"}
    assert len(counter._memo) == 0


def test_the_memo_forgets_what_was_unused_for_longest() -> None:
    memo, keys = CountMemo(2), [("o200k_base", number, 1) for number in range(3)]
    memo.put(keys[0], 0)
    memo.put(keys[1], 2)
    assert memo.get(keys[0]) == 0
    memo.put(keys[2], 3)

    assert [memo.get(key) for key in keys] == [0, None, 3]


def test_a_memo_of_no_size_remembers_nothing() -> None:
    memo = CountMemo(0)
    memo.put(("o200k_base", 0, 1), 1)

    assert memo.get(("o200k_base", 0, 1)) is None


@pytest.mark.parametrize("has_keyed_hash", [True, False])
def test_what_is_remembered_tells_texts_and_vocabularies_apart_and_holds_no_text(
    has_keyed_hash: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bound, "HAS_KEYED_HASH", has_keyed_hash)
    counter = TiktokenCounter()
    texts = ["", "b\ud800", "b\ufffd", "x" * 32, "x" * 33, "x" * 32 + "\ud800", "x" * 32 + "\ufffd", "x " * 20_000]
    for model in ("gpt-4o", "gpt-4"):
        for text in texts:
            counter.count(text, model)

    keys: list[MemoKey] = list(counter._memo._counts)
    assert len(keys) == 2 * len(texts)
    assert {part for key in keys for part in key if isinstance(part, str)} == {"o200k_base", "cl100k_base"}
    assert len({digest([text]) for text in texts}) == len(texts)
    assert len({digest(each) for each in (["ab", ""], ["a", "b"], ["", "ab"], ["ab"])}) == 4


def messages() -> st.SearchStrategy[dict[str, Any]]:
    texts = st.sampled_from(["", "a", "b", "tool", "user", LOREM, LOREM + " b", None, 1])
    roles = st.sampled_from(["system", "user", "assistant", "tool", "function", "critic", "model", "", None])
    functions = st.fixed_dictionaries({"name": texts, "arguments": texts}, optional={"strict": texts})
    calls = st.fixed_dictionaries(
        {"id": texts, "type": st.sampled_from(["function", "custom"]), "function": functions}, optional={"index": texts}
    )
    optional = {"content": texts, "name": texts, "tool_call_id": texts, "tool_calls": st.lists(calls, max_size=2)}
    return st.fixed_dictionaries({"role": roles}, optional=optional)


@settings(max_examples=few(100, of=1_000), deadline=None)
@given(st.lists(messages(), min_size=2, max_size=5))
async def test_a_message_that_is_remembered_counts_as_one_that_is_not(listed: list[dict[str, Any]]) -> None:
    counter = TiktokenCounter()
    for model in ("gpt-4o", "claude-x", "gpt-4"):
        for message in (*listed, *listed):
            new = await counting.count_chat_tokens([message], model, counter=TiktokenCounter())
            known = await counting.count_chat_tokens([message], model, counter=counter)
            assert repr(known) == repr(new)


@settings(max_examples=300, deadline=None)
@given(st.lists(regular_messages() | messages(), min_size=1, max_size=4), st.integers(0, 20))
async def test_a_turn_that_is_remembered_counts_as_its_messages(turn: list[dict[str, Any]], most: int) -> None:
    counter = await TiktokenCounter().bound_to("gpt-4o")
    each = [count_message(message, await TiktokenCounter().bound_to("gpt-4o")) for message in turn]
    whole = sum(tokens for tokens, _ in each), all(is_exact for _, is_exact in each)

    # What was counted up to a budget alone is not remembered as the whole.
    for budget in (most, inf, most, inf):
        found = count_turn(turn, counter, budget)
        assert found == whole or (found[0] > budget and budget < whole[0])


async def test_a_message_that_was_guessed_is_not_remembered() -> None:
    counter = TiktokenCounter()
    message = {"role": "user", "content": "a" * (pieces.LONGEST + pieces.PIECE)}
    count = await counting.count_chat_tokens([message], "gpt-4o", counter=counter)

    assert count.basis == "estimated"
    others = TiktokenCounter()
    for text in ("", "user"):
        others.count(text, "gpt-4o")
    assert counter._memo._counts.keys() <= others._memo._counts.keys()


async def test_another_counter_plugs_in_and_works_in_threads() -> None:
    class Words:
        def count(self, text: str, model: str) -> TokenCount:
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            return TokenCount(len(text.split()), "counted", f"words of {model}")

    counter: TokenCounter = Words()
    count = await count_tokens("two words", "mine", counter=counter)
    chat = await counting.count_chat_tokens([{"role": "user", "content": "two words"}], "mine", counter=counter)

    assert repr(count) == "TokenCount(2, 'counted', 'words of mine')"
    assert repr(chat) == "TokenCount(9, 'counted', 'words of mine')"
    assert isinstance(counter, TokenCounter)
    assert isinstance(TiktokenCounter(), TokenCounter)
