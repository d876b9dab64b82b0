"""How many tokens tiktoken makes of a text, whatever the text is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from a2a_session_manager.tokens.pieces import PIECE, pieces, slices

if TYPE_CHECKING:
    from tiktoken import Encoding


def encoded_length(encoding: Encoding, text: str) -> tuple[int, bool]:
    """Return the tokens of `text`, and whether they are exact: long texts are counted in pieces."""
    if len(text) <= PIECE:
        return _piece_length(encoding, text)
    tokens, is_exact = 0, True
    for piece, ends_exactly in pieces(text):
        length, piece_is_exact = _piece_length(encoding, piece)
        tokens += length
        is_exact = is_exact and ends_exactly and piece_is_exact
    return tokens, is_exact


def guess(text: str) -> int:
    """Return about how many tokens `text` has, for want of a vocabulary."""
    # Bytes are counted, not characters: of Chinese and Japanese those would give half.
    return max(1, len(text.encode("utf-8", "surrogatepass")) // 4) if text else 0


def _piece_length(encoding: Encoding, piece: str) -> tuple[int, bool]:
    try:
        if len(piece) <= 2 * PIECE:
            # This is a microsecond quicker than `encode`, but it panics where that one raises.
            return len(encoding.encode_ordinary(piece)), True
        text = _mended(piece)
        return len(encoding.encode(text, disallowed_special=())), text is piece
    except ValueError:
        return guess(piece), False  # the vocabulary's pattern gave up
    except BaseException as error:
        # A panic of tiktoken's Rust code is an exception that cannot be imported and is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        return guess(piece), False


def _mended(piece: str) -> str:
    """Return `piece` itself, or without surrogates: tiktoken replaces them too, but holds the interpreter for it."""
    try:
        piece.encode()
    except UnicodeEncodeError:
        return "".join(part.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for part in slices(piece))
    return piece
