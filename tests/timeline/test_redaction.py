"""What certainly is a secret is left out of what people are shown; everything else stays as it is."""

from __future__ import annotations

import time
from typing import Any

import pytest

from a2a_session_manager.timeline.redaction import Redactor

SECRETS = [
    "sk-ant-REPLACED0123456789abcdef",
    "sk-proj-0123456789abcdefghij",
    "sk_live_0123456789abcdef",
    "AIza" + "0123456789abcdefghijABCDEFGHIJ_-012",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "xoxb-1234567890-abcdef",
    "AKIAABCDEFGHIJKLMNOP",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijklmno",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
]
PLAIN: list[Any] = [
    "ask-me-anything-about-your-next-holiday",
    "the password is not in here: ask for it",
    "https://example.org:8080/path?q=a@b",
    "a task-0123456789abcdefghijkl",
    {"token_usage": 3, "max_tokens": 100, "key": "value", "passenger": "Ann", "secretary": "Bob"},
    {"signature": "sk-proj-0123456789abcdefghij", "encrypted_content": "AKIAABCDEFGHIJKLMNOP"},
    {"url": "data:image/png;base64,AKIAABCDEFGHIJKLMNOP"},
    {"password": "", "n": [1, 2.5, None, True]},
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_left_out_wherever_it_stands(secret: str) -> None:
    redactor = Redactor()

    shown = redactor.value({"a": [f"before {secret} after", {secret: 1}]})

    assert secret not in str(shown)
    assert shown["a"][0].startswith("before [redacted: ")
    assert shown["a"][0].endswith("] after")
    assert redactor.total == 2


@pytest.mark.parametrize("name", ["api_key", "apiKey", "X-API-Key", "password", "Authorization", "client_secret"])
def test_a_value_is_left_out_for_its_name_also_in_json_text(name: str) -> None:
    redactor = Redactor()

    shown = redactor.value(
        {name: "hush", "arguments": f'{{"{name}": "hush", "to": "OSL"}}', "twice": f'"{{\\"{name}\\": \\"hush\\"}}"'}
    )

    assert "hush" not in str(shown)
    assert "OSL" in shown["arguments"]
    assert redactor.total == 3


def test_a_password_in_an_address_is_left_out() -> None:
    assert Redactor().text("redis://ann:hush@db:6379/0") == "redis://[redacted: password]@db:6379/0"


@pytest.mark.parametrize("value", PLAIN)
def test_what_is_no_secret_stays(value: Any) -> None:
    redactor = Redactor()

    assert redactor.value(value) == value
    assert redactor.total == 0


def test_it_does_nothing_where_it_is_not_wanted() -> None:
    redactor = Redactor(enabled=False)

    assert redactor.value({"password": SECRETS}) == {"password": SECRETS}
    assert redactor.text(SECRETS[0]) == SECRETS[0]


@pytest.mark.parametrize("text", ["eyJ" * 100_000, "://" + "a:" * 150_000, '"secret' * 50_000, "-----BEGIN " * 30_000])
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    Redactor().text(text)

    assert time.process_time() - started < 5
