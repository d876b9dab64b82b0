"""A long text may be cut: its pieces' tokens are the tokens of the whole."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tiktoken import Encoding

from a2a_session_manager.tokens import loading, pieces
from a2a_session_manager.tokens.vocabulary import BUNDLED, VOCABULARIES
from tests.draws import few

# What patterns treat in a way of its own: cases, marks, numbers, spaces, line ends, contractions, joined emoji.
WORDS = """a B ab é e\u0301 字 한 あ ſ İ ǅ ʰ \u093e 1 12 ² Ⅷ ५ . , ' 's 'T 'll don't ’ / // - _ ( " { } : ; = ， 。
👍 🏽 \u200d $ \0 <|endoftext|>"""
ATOMS = WORDS.split()
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\r", "\u3000", "\xa0", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"]
texts = st.lists(st.sampled_from(ATOMS + SPACES) | st.characters(), max_size=40).map("".join)


@pytest.fixture(scope="module", params=BUNDLED)
def encoding(request: pytest.FixtureRequest) -> Encoding:
    loaded = loading.load(request.param).encoding
    assert loaded is not None
    return loaded


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 3)
    monkeypatch.setattr(pieces, "_STRIDE", 2)


@pytest.mark.usefixtures("short_pieces")
@settings(max_examples=few(150, of=2_000), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=texts)
@example(text="abc's de\n\nfg \n h")
@example(text="abc12 \t\t, d")
def test_the_tokens_of_the_pieces_are_those_of_the_whole(encoding: Encoding, text: str) -> None:
    cut = list(pieces.pieces(text))

    assert "".join(piece for piece, _ in cut) == text
    assert all(is_exact for _, is_exact in cut)
    in_pieces = [token for piece, _ in cut for token in encoding.encode(piece, disallowed_special=())]
    assert in_pieces == encoding.encode(text, disallowed_special=())


@pytest.mark.parametrize(
    "line",
    [
        "The quick brown fox.\n",
        "def f(x):\n\treturn x\n",
        "今日は良い天気です。散歩に行きましょう、",
        '{"id":12,"tags":["a","b"]},',
    ],
)
def test_pieces_are_short_where_there_is_a_place_to_cut(line: str) -> None:
    cut = list(pieces.pieces(line * 20_000))

    assert max(len(piece) for piece, _ in cut) < pieces.PIECE + 100


def test_a_run_without_a_place_is_cut_in_the_end_and_says_so() -> None:
    cut = list(pieces.pieces("x " + "a" * (pieces.LONGEST + 5)))

    assert [(len(piece), is_exact) for piece, is_exact in cut] == [(pieces.LONGEST, False), (7, True)]


@pytest.mark.parametrize("length", [0, 1, pieces.PIECE, pieces.PIECE + 1, pieces.LONGEST])
def test_a_run_that_is_short_enough_stays_whole(length: int) -> None:
    text = "a" * length

    assert list(pieces.pieces(text)) == ([(text, True)] if text else [])


def test_the_patterns_are_those_that_the_cuts_were_made_for() -> None:
    """Another vocabulary needs its own proof that no piece straddles a cut: add it to `encoding` above first."""
    assert {*VOCABULARIES} == {"o200k_base", "cl100k_base", "p50k_base", "r50k_base"}
