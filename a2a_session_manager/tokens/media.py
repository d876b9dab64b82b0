"""What media take of a prompt: by the provider's published formula where there is one, else by figures of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from a2a_session_manager.shapes.normal_form import Media
from a2a_session_manager.tokens.image_tokens import image_formula
from a2a_session_manager.tokens.media_headers import (
    Base64Bytes,
    film_seconds,
    image_size,
    is_pdf,
    pdf_pages,
    sound_seconds,
)
from a2a_session_manager.tokens.resolver import bare_name

# Pictures of models whose provider is not known, by the formula that Anthropic had published up to 2026.
_PIXELS_PER_TOKEN: Final = 750
_MOST_IMAGE_TOKENS: Final = 1_600

# developers.openai.com/api/docs/guides/realtime-costs: a token for 100 ms of what a user says.
_OPENAI_AUDIO: Final = 10
# ai.google.dev/gemini-api/docs/tokens: 32 tokens for a second of sound, 263 for one of film; and since Gemini 3, by
# /media-resolution, 70 for each frame, of which one a second is taken, beside the sound.
_GEMINI_AUDIO: Final = 32
_GEMINI_2_VIDEO: Final = 263
_GEMINI_VIDEO: Final = 70 + _GEMINI_AUDIO
# ai.google.dev/gemini-api/docs/document-processing and /media-resolution.
_GEMINI_2_PAGE: Final = 258
_GEMINI_PAGE: Final = 560
# platform.claude.com/docs/en/build-with-claude/pdf-support: each page is text, of which 1,500 tokens are the least that
# it names, and a picture, which takes what a picture takes at most.
_CLAUDE_PAGE: Final = 1_500 + 1_568

_BYTES_PER_TOKEN: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaTokens:
    """How pictures, sounds, films and files are counted.

    OpenAI's, Anthropic's and Google's published formulas come first, with what the media's first bytes tell. These
    figures take their place where none is published or something is not known; they are this library's own, and make
    a count `estimated`.

    Args:
        image: returns the tokens of a picture from its width and height, for all models, in place of every formula.
        image_size: the width and height of a picture whose size is not known, such as one at a URL.
        seconds: how long a sound or film is of which nothing is here to be measured.
        audio_per_second: the tokens of a second of sound, for a model of which no figure is published.
        audio_bytes_per_second: tells the length of a sound that is no WAV file; the default is that of 128 kbit/s.
        video_per_second: the tokens of a second of film, for a model of which no figure is published.
        video_bytes_per_second: tells the length of a film that is no MP4 file; the default is that of 2 Mbit/s.
        page: the tokens of a page, for a model of which no figure is published.
        bytes_per_page: tells how many pages a PDF has that does not say it.
        pages: how many another file has, or one that is not here. The bytes of one of text are counted as text.
    """

    image: Callable[[int, int], int] | None = None
    image_size: tuple[int, int] = (1024, 1024)
    seconds: float = 60.0
    audio_per_second: float = 25.0
    audio_bytes_per_second: int = 16_000
    video_per_second: float = 263.0
    video_bytes_per_second: int = 250_000
    page: int = 1_500
    bytes_per_page: int = 50_000
    pages: int = 1

    def count(self, media: Media, model: str) -> tuple[int, bool]:
        """Return the tokens of media that are no text, and whether a provider has published them for `model`."""
        data = Base64Bytes(media.data) if media.data else None
        if media.kind == "image":
            return self._image(media, data, model)
        if media.kind == "audio":
            return self._audio(data, model)
        if media.kind == "video":
            return self._video(data, model)
        return self._file(media, data, model)

    def _image(self, media: Media, data: Base64Bytes | None, model: str) -> tuple[int, bool]:
        known = None if data is None else image_size(data)
        width, height = known or self.image_size
        if self.image is not None:
            return self.image(width, height), False
        formula = image_formula(model)
        if formula is None:
            return min(ceil(width * height / _PIXELS_PER_TOKEN), _MOST_IMAGE_TOKENS), False
        tokens, is_published = formula(width, height, _detail(media.raw))
        return tokens, is_published and known is not None

    def _audio(self, data: Base64Bytes | None, model: str) -> tuple[int, bool]:
        known = None if data is None else sound_seconds(data)
        name, rate = bare_name(model), self.audio_per_second
        is_openai = name.startswith("gpt-") and ("audio" in name or "realtime" in name)
        if is_openai:
            rate = _OPENAI_AUDIO
        elif name.startswith("gemini"):
            rate = _GEMINI_AUDIO
        seconds = self._seconds(known, data, self.audio_bytes_per_second)
        return ceil(seconds * rate), is_openai and known is not None

    def _video(self, data: Base64Bytes | None, model: str) -> tuple[int, bool]:
        known = None if data is None else film_seconds(data)
        name, rate = bare_name(model), self.video_per_second
        if name.startswith("gemini"):
            rate = _GEMINI_2_VIDEO if _is_before_3(name) else _GEMINI_VIDEO
        return ceil(self._seconds(known, data, self.video_bytes_per_second) * rate), False

    def _seconds(self, known: float | None, data: Base64Bytes | None, bytes_per_second: int) -> float:
        if known is not None:
            return known
        return self.seconds if data is None else data.length / bytes_per_second

    def _file(self, media: Media, data: Base64Bytes | None, model: str) -> tuple[int, bool]:
        if data is not None and _is_text(media.mime_type):
            return ceil(data.length / _BYTES_PER_TOKEN), False
        pages = self.pages
        if data is not None and is_pdf(data):
            pages = pdf_pages(data) or ceil(data.length / self.bytes_per_page)
        return pages * self._page(bare_name(model)), False

    def _page(self, name: str) -> int:
        if name.startswith("gemini"):
            return _GEMINI_2_PAGE if _is_before_3(name) else _GEMINI_PAGE
        return _CLAUDE_PAGE if "claude" in name else self.page


def _is_before_3(name: str) -> bool:
    return name.startswith(("gemini-1", "gemini-2", "gemini-pro"))


def _is_text(mime_type: str | None) -> bool:
    return mime_type is not None and (mime_type.startswith("text/") or mime_type.endswith(("json", "xml", "csv")))


def _detail(raw: Any) -> str:
    """Return how closely a model is to look at a picture, in OpenAI's words or Google's; "auto" where nobody says."""
    if not isinstance(raw, Mapping):
        return "auto"
    inner = raw.get("image_url")
    for found in (raw, inner if isinstance(inner, Mapping) else {}):
        for key in ("detail", "media_resolution", "mediaResolution", "resolution"):
            value = found.get(key)
            value = value.get("level") if isinstance(value, Mapping) else value
            if isinstance(value, str) and value:
                return value.lower().removeprefix("media_resolution_")
    return "auto"
