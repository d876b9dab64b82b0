"""Every way to write a model's name leads to its vocabulary, or to a stand-in that says so."""

from __future__ import annotations

import pytest
from tiktoken import model as tiktoken_model

from a2a_session_manager.tokens.resolver import resolve

O200K = """
gpt-5 gpt-5.1 gpt-5.4 gpt-5-codex gpt-5-mini-2025-08-07 gpt-4o gpt-4o-mini gpt-4o-2024-08-06 gpt-4.1 gpt-4.1-nano
gpt-4.5-preview o1 o1-preview o3 o3-mini o3-pro o4-mini o4-mini-high chatgpt-4o-latest gpt-oss-20b gpt-oss-120b
gpt-6 gpt-6-mini gpt-6.1 gpt-10 o4 o5-mini
GPT-4o  openai/gpt-4o openrouter/openai/gpt-5-mini azure/gpt-4o openai:gpt-4o azure_openai:gpt-4.1 gpt-4o:free
ft:gpt-4o:acme::abc ft:gpt-4.1-mini:acme:tone:abc ft:gpt-4.1-2025-04-14:acme::abc openai/ft:gpt-4o-mini:acme::abc
openai.gpt-oss-120b-1:0 o200k_base o200k_harmony
"""
CL100K = """
gpt-4 gpt-4-0613 gpt-4-32k gpt-4-turbo gpt-4-1106-preview gpt-3.5 gpt-3.5-turbo gpt-3.5-turbo-16k gpt-35-turbo
gpt-35-turbo-16k gpt-3.5-turbo-instruct text-embedding-3-small text-embedding-3-large text-embedding-ada-002
davinci-002 babbage-002 ft:gpt-4-0613:acme::abc ft:gpt-3.5-turbo-0125:acme::abc ft:davinci-002:acme::abc
openai/gpt-4 OpenAI/GPT-4-Turbo azure/gpt-35-turbo cl100k_base
"""
STOOD_IN_FOR = """
claude-3-5-sonnet-20241022 claude-sonnet-4-5 anthropic/claude-opus-4 us.anthropic.claude-3-haiku-20240307-v1:0
gemini-2.5-pro models/gemini-2.5-flash llama-3.1-70b llama3:70b mistral-large-latest deepseek-chat qwen-max grok-4
gpt-realtime gpt-image-1 codex-mini-latest computer-use-preview text-embedding-4 olmo-2 gpt-4oo gpt-3 gpt unknown :
"""


@pytest.mark.parametrize("model", O200K.split())
def test_what_counts_with_o200k(model: str) -> None:
    assert resolve(model) == ("o200k_base", True)


@pytest.mark.parametrize("model", CL100K.split())
def test_what_counts_with_cl100k(model: str) -> None:
    assert resolve(model) == ("cl100k_base", True)


@pytest.mark.parametrize("model", [*STOOD_IN_FOR.split(), "", "  "])
def test_a_model_whose_vocabulary_is_not_published_counts_with_a_stand_in(model: str) -> None:
    assert resolve(model) == ("o200k_base", False)


SAME_TEXT = {"gpt2": "r50k_base", "p50k_edit": "p50k_base", "o200k_harmony": "o200k_base"}


@pytest.mark.parametrize(("model", "encoding"), tiktoken_model.MODEL_TO_ENCODING.items())
def test_every_model_that_tiktoken_knows_resolves_as_there(model: str, encoding: str) -> None:
    assert resolve(model) == (SAME_TEXT.get(encoding, encoding), True)


@pytest.mark.parametrize("prefix", sorted(tiktoken_model.MODEL_PREFIX_TO_ENCODING))
def test_every_prefix_that_tiktoken_knows_resolves_as_there(prefix: str) -> None:
    encoding = tiktoken_model.MODEL_PREFIX_TO_ENCODING[prefix]
    model = f"{prefix}2024-08-06" if prefix.endswith("-") else prefix

    assert resolve(model) == (SAME_TEXT.get(encoding, encoding), True)
