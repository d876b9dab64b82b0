"""Secrets in what people are shown: what certainly is one is left out, and counted."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

# Only forms that nothing else has: what looks like a secret and is none would make the page lie. A text without any of
# the hints is not searched, which takes a hundredth of the time.
_FORMS: Final = tuple(
    (kind, tuple(hints.split()), re.compile(form))
    for kind, hints, form in (
        (
            "private key",
            "-----BEGIN",
            r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[\s\S]{0,20000}?-----END (?:[A-Z]+ )*PRIVATE KEY-----",
        ),
        ("API key", "sk-", r"\bsk-(?:ant-|proj-|or-|svcacct-|live_|test_)?[A-Za-z0-9_-]{20,}"),
        ("API key", "k_live_ k_test_", r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}"),
        ("API key", "AIza", r"\bAIza[0-9A-Za-z_-]{35}\b"),
        ("API key", "hf_", r"\bhf_[A-Za-z0-9]{30,}\b"),
        (
            "access token",
            "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
            r"\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{40,}",
        ),
        ("access token", "glpat-", r"\bglpat-[A-Za-z0-9_-]{20,}"),
        ("access token", "xox", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
        ("access key", "AKIA ASIA", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        ("token", "eyJ", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
        ("token", "earer EARER", r"(?i:(?<=bearer ))[A-Za-z0-9._~+/-]{20,}=*"),
        ("password", "://", r"(?<=://)[^\s/:@\"'<>]{0,100}:[^\s/@\"'<>]{1,200}(?=@)"),
    )
)
_NAMES: Final = "|".join(
    name.replace("_", "[_-]?")
    for name in (
        "api_key",
        "x_api_key",
        "authorization",
        "proxy_authorization",
        "password",
        "passwd",
        "passphrase",
        "secret",
        "secret_key",
        "client_secret",
        "access_token",
        "refresh_token",
        "id_token",
        "auth_token",
        "private_key",
        "aws_secret_access_key",
        "set_cookie",
    )
)
_IS_NAME: Final = re.compile(_NAMES, re.IGNORECASE)
# A value under such a name in JSON text, which is how arguments of calls are stored.
_NAMED: Final = re.compile(rf'"({_NAMES})(\\*"\s*:\s*\\*")(?!\[redacted: )[^"\\]{{1,2000}}', re.IGNORECASE)
_NAME_HINTS: Final = ("key", "auth", "pass", "secret", "token", "cookie")
_VALUE: Final = "value by its name"
# What only its provider reads, and would refuse when it is changed; and media.
_OPAQUE_NAMES: Final = frozenset(
    {"signature", "thought_signature", "thoughtSignature", "encrypted_content", "encryptedContent", "b64_json"}
)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_=\s-]{256,}")


class Redactor:
    """Leaves secrets out of JSON values. `counts` says how many of each kind it has left out.

    With `enabled=False` it leaves everything as it is.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled
        self.counts: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """How many secrets were left out."""
        return self.counts.total()

    def value(self, value: Any, name: str = "") -> Any:
        """Return a JSON value without its secrets; `name` is the key that it stands under."""
        if not self.enabled:
            return value
        if isinstance(value, str):
            return self._named(value, name)
        if isinstance(value, dict):
            return {self._text(key): self.value(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [self.value(each, name) for each in value]
        return value

    def text(self, text: str) -> str:
        """Return a text without its secrets."""
        return self._text(text) if self.enabled else text

    def _named(self, value: str, name: str) -> str:
        if name in _OPAQUE_NAMES or _is_media(value, name):
            return value
        if value and _IS_NAME.fullmatch(name):
            self.counts[_VALUE] += 1
            return _mark(name)
        return self._text(value)

    def _text(self, text: str) -> str:
        for kind, hints, form in _FORMS:
            if any(hint in text for hint in hints):
                text, count = form.subn(_mark(kind), text)
                self._count(kind, count)
        if '"' in text and ":" in text:
            low = text.lower()
            if any(hint in low for hint in _NAME_HINTS):
                text, count = _NAMED.subn(lambda found: f'"{found[1]}{found[2]}{_mark(found[1])}', text)
                self._count(_VALUE, count)
        return text

    def _count(self, kind: str, count: int) -> None:
        if count:
            self.counts[kind] += count


def _is_media(value: str, name: str) -> bool:
    return value.startswith("data:") or (name in ("data", "bytes") and _BASE64.fullmatch(value) is not None)


def _mark(kind: str) -> str:
    return f"[redacted: {kind}]"
