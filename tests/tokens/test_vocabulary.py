"""Vocabularies: byte for byte the published ones, found in a fixed order, and never downloaded unasked."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from pathlib import Path

import pytest
import tiktoken
import tiktoken.registry
from tiktoken_ext import openai_public  # type: ignore[import-untyped]  # it has no types

from a2a_session_manager import SessionManagerError
from a2a_session_manager.tokens import vocabulary
from a2a_session_manager.tokens.ranks import read_tiktoken, unflatten
from a2a_session_manager.tokens.vocabulary import BUNDLED, VOCABULARIES, at_hand, downloaded
from tests.tokens.repack import FOLDER, flatten, pack, write_tiktoken

TOY = {bytes([byte]): byte for byte in range(256)} | {b"hell": 256, b"hello": 257}


@pytest.mark.parametrize("name", BUNDLED)
def test_the_packed_file_rebuilds_the_published_text(name: str) -> None:
    ranks = vocabulary._bundled_ranks(VOCABULARIES[name])

    assert hashlib.sha256(write_tiktoken(ranks)).hexdigest() == VOCABULARIES[name].sha256
    assert VOCABULARIES[name].sha256 in (FOLDER / "NOTICE.md").read_text()


def test_packing_loses_nothing() -> None:
    assert unflatten(flatten(TOY)) == TOY
    assert read_tiktoken(write_tiktoken(TOY)) == TOY


def test_ranks_with_gaps_are_not_packed() -> None:
    with pytest.raises(ValueError, match="gaps"):
        flatten({b"a": 0, b"b": 2})


@pytest.mark.parametrize("name", VOCABULARIES)
def test_special_tokens_and_published_digests_are_those_of_tiktoken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda url, expected_hash: {"hash": expected_hash})
    theirs, ours = openai_public.ENCODING_CONSTRUCTORS[name](), VOCABULARIES[name]

    assert (theirs["special_tokens"], theirs["mergeable_ranks"]) == (ours.special_tokens, {"hash": ours.sha256})


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-9], lambda data: data[:500] + data[501:]])
def test_a_damaged_file_is_named_with_the_remedy(
    damage: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(damage)
    (tmp_path / "vocabularies").mkdir()
    whole = (FOLDER / "cl100k_base.xz").read_bytes()
    (tmp_path / "vocabularies" / "cl100k_base.xz").write_bytes(damage(whole))
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})

    with pytest.raises(SessionManagerError, match=r"cl100k_base .* install the package again"):
        at_hand("cl100k_base")


def test_a_file_of_other_ranks_is_refused_though_it_unpacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vocabularies").mkdir()
    (tmp_path / "vocabularies" / "o200k_base.xz").write_bytes(pack(TOY))
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})

    with pytest.raises(SessionManagerError, match="damaged"):
        at_hand("o200k_base")


def toy_encoding() -> tiktoken.Encoding:
    return tiktoken.Encoding("toy", pat_str=r"\w+|\W", mergeable_ranks=TOY, special_tokens={})


@pytest.mark.parametrize("name", ["o200k_base", "p50k_base"])
def test_what_tiktoken_has_loaded_already_is_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = toy_encoding()
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {name: toy})

    assert at_hand(name) is toy


def test_loading_registers_nothing_with_tiktoken(monkeypatch: pytest.MonkeyPatch) -> None:
    registered: dict[str, tiktoken.Encoding] = {}
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", registered)

    assert at_hand("cl100k_base") is not None
    assert not registered


@pytest.mark.parametrize("variable", ["TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"])
def test_an_old_vocabulary_is_found_in_the_cache_of_tiktoken(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = write_tiktoken(TOY)
    toy = vocabulary.Vocabulary("r50k_base", r"\w+|\W", {}, hashlib.sha256(text).hexdigest(), "cached")
    monkeypatch.setitem(VOCABULARIES, "r50k_base", toy)
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))

    assert at_hand("r50k_base") is None

    (tmp_path / "cached").write_bytes(text)
    found = at_hand("r50k_base")

    assert found is not None
    assert found.encode("hello") == [257]


def test_a_cached_file_that_was_tampered_with_is_passed_over_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tampered = tmp_path / VOCABULARIES["p50k_base"].cache_name
    tampered.write_bytes(base64.b64encode(b"a") + b" 0\n")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))

    assert at_hand("p50k_base") is None
    assert tampered.exists()


def test_a_download_asked_for_goes_through_tiktoken_but_not_through_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    ranks = {**TOY, **{b"t%d" % rank: rank for rank in range(258, 50256)}}
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda url, expected_hash: ranks)
    monkeypatch.setattr(tiktoken.registry, "_lock", None)

    assert downloaded("r50k_base").encode("hello") == [257]
