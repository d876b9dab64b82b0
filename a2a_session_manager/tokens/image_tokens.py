"""What pictures take of a prompt, by the formulas that OpenAI, Anthropic and Google publish.

These are the sources, as read in copies of 5 October 2026 (OpenAI's factors), of 29 August 2026 (Anthropic's), and in
undated ones from 2026 (Google's, and OpenAI's sizes):
- developers.openai.com/api/docs/guides/images-vision ("Model sizing behavior", "Calculating costs")
- platform.claude.com/docs/en/build-with-claude/vision
- ai.google.dev/gemini-api/docs/media-resolution (Gemini 3), /tokens and /image-understanding (earlier ones)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor, sqrt
from typing import Final, NamedTuple

from a2a_session_manager.tokens.resolver import bare_name

PATCH: Final = 32


class ImageCount(NamedTuple):
    """What a picture takes; `is_published` where the provider says so for this model and this detail."""

    tokens: int
    is_published: bool


@dataclass(frozen=True, slots=True)
class Tiles:
    """OpenAI's older models: `base` tokens for a picture, and `tile` for each square of 512 pixels that covers it.

    It is scaled down to fit into 2,048 by 2,048, and then so that its shorter side is 768. Low detail is the base
    alone. What "auto" chooses is not published; it counts as high.
    """

    base: int
    tile: int

    def __call__(self, width: int, height: int, detail: str) -> ImageCount:
        if detail == "low":
            return ImageCount(self.base, True)
        width, height = _within(width, height, 2048)
        scale = min(1.0, 768 / min(width, height))
        width, height = max(round(width * scale), 1), max(round(height * scale), 1)
        return ImageCount(self.base + self.tile * ceil(width / 512) * ceil(height / 512), detail == "high")


@dataclass(frozen=True, slots=True)
class Patches:
    """OpenAI's newer models: one token for each square of 32 pixels that covers a picture, times a factor.

    Args:
        hundredths: the factor, which is rounded up.
        high: the most patches of high detail, for which a picture is scaled down, to 2,048 pixels, too.
        original: the same for the detail "original", with 6,000 pixels; None where it is not scaled down at all.
        is_original: "auto" means "original" here, and else "high".
    """

    hundredths: int
    high: int = 1_536
    original: int | None = 10_000
    is_original: bool = False

    def __call__(self, width: int, height: int, detail: str) -> ImageCount:
        if detail == "low":  # a version of 512 by 512 pixels; what it costs is not published
            return ImageCount(self._tokens(*_within(width, height, 512), 256), False)
        if detail == "original" or (detail == "auto" and self.is_original):
            if self.original is None:
                return ImageCount(self._tokens(width, height, None), True)
            return ImageCount(self._tokens(*_within(width, height, 6000), self.original), True)
        return ImageCount(self._tokens(*_within(width, height, 2048), self.high), True)

    def _tokens(self, width: int, height: int, most: int | None) -> int:
        patches = ceil(width / PATCH) * ceil(height / PATCH)
        if most is not None and patches > most:
            patches = min(_patches_within(width, height, most), most)
        return -(-patches * self.hundredths // 100)


@dataclass(frozen=True, slots=True)
class ClaudePatches:
    """Anthropic's models: one token for each square of 28 pixels that covers a picture.

    It is scaled down until its longer side has at most `edge` pixels and it takes at most `most` tokens.
    """

    edge: int
    most: int

    def __call__(self, width: int, height: int, detail: str) -> ImageCount:
        longer, shorter = max(width, height), min(width, height)
        low, high = 1, min(longer, self.edge)
        if self._tokens(high, longer, shorter) > self.most:
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if self._tokens(middle, longer, shorter) > self.most else (middle, high)
            high = low
        return ImageCount(self._tokens(high, longer, shorter), True)

    def _tokens(self, edge: int, longer: int, shorter: int) -> int:
        return ceil(edge / 28) * ceil(max(round(edge * shorter / longer), 1) / 28)


def gemini_tiles(width: int, height: int, detail: str) -> ImageCount:
    """Gemini 2 and 2.5: 258 tokens, and for what is larger than 384 pixels, 258 for each tile.

    A tile is as wide as two thirds of the shorter side, from 256 to 768 pixels. Google calls the formula rough.
    """
    if width <= 384 and height <= 384:
        return ImageCount(258, True)
    unit = min(max(floor(min(width, height) / 1.5), 256), 768)
    return ImageCount(258 * ceil(width / unit) * ceil(height / unit), True)


def gemini_resolution(width: int, height: int, detail: str) -> ImageCount:
    """Gemini 3 and later: so many tokens for every picture, by the media resolution that is asked for."""
    return ImageCount(_GEMINI_RESOLUTIONS.get(detail, 1_120), True)


def gemini_fixed(width: int, height: int, detail: str) -> ImageCount:
    """Gemini before 2: 258 tokens for every picture."""
    return ImageCount(258, True)


Formula = Callable[[int, int, str], ImageCount]

_GEMINI_RESOLUTIONS: Final = {"low": 280, "medium": 560, "high": 1_120, "ultra_high": 2_240}


_GPT_5_6: Final = Patches(120, 2_500, None, is_original=True)
_GPT_4O: Final = Tiles(85, 170)
_STANDARD_CLAUDE: Final = ClaudePatches(1_568, 1_568)
_HIGH_CLAUDE: Final = ClaudePatches(2_576, 4_784)

# The models that OpenAI lists, each of them also with a date after its name. First match wins.
_OPENAI: Final[tuple[tuple[str, Formula], ...]] = (
    (r"gpt-5\.6(?:-sol|-terra|-luna)?", _GPT_5_6),
    (r"gpt-5\.5", Patches(120, 2_500, is_original=True)),
    (r"gpt-5\.4-(?:mini|nano)", Patches(120)),
    (r"gpt-5\.4", Patches(120, 2_500)),
    (r"gpt-5\.2|gpt-5-mini", Patches(120)),
    (r"gpt-5-nano", Patches(150)),
    (r"gpt-4\.1-mini", Patches(162)),
    (r"gpt-4\.1-nano", Patches(246)),
    (r"o4-mini", Patches(172)),
    (r"gpt-5(?:-chat)?", Tiles(70, 140)),
    (r"gpt-4o-mini", Tiles(2_833, 5_667)),
    (r"gpt-4o|chatgpt-4o|gpt-4\.1|gpt-4\.5", _GPT_4O),
    (r"o1(?:-pro)?|o3", Tiles(75, 150)),
    (r"computer-use-preview", Tiles(65, 129)),
)
# The ones most like them stand in for the models that it does not list.
_STAND_INS: Final[tuple[tuple[str, Formula], ...]] = (
    (r"gpt-5\.[3-9]|gpt-5\.\d+-codex|gpt-5(?:\.1)?-codex-mini", Patches(120)),
    (r"gpt-5", Tiles(70, 140)),
    (r"gpt-4|o\d", _GPT_4O),
    (r"gpt-[6-9]|gpt-[1-9]\d", _GPT_5_6),
)
_OTHERS: Final[tuple[tuple[str, Formula], ...]] = (
    (r".*claude.*-4[-.](?:[7-9]|1\d)(?!\d)", _HIGH_CLAUDE),
    (r".*claude-(?:opus|sonnet|haiku|fable|mythos)-(?:[5-9]|\d\d)(?!\d)", _HIGH_CLAUDE),
    (r".*claude", _STANDARD_CLAUDE),
    (r"gemini-1|gemini-pro", gemini_fixed),
    (r"gemini-2", gemini_tiles),
    (r"gemini", gemini_resolution),
)
# A date, or `latest`, names the same model; any other suffix one that is like it.
_LISTED: Final = tuple((re.compile(rf"(?:{name})(?:-20[\d-]+|-latest)?(-.*)?$"), formula) for name, formula in _OPENAI)
_LIKE: Final = tuple((re.compile(pattern), formula) for pattern, formula in _STAND_INS)
_RULES: Final = tuple((re.compile(pattern), formula) for pattern, formula in _OTHERS)


@lru_cache(maxsize=1024)
def image_formula(model: str) -> Formula | None:
    """Return what counts pictures of a width, height and detail for `model`; None where the provider is not known.

    The detail is "auto" where nothing is said.
    """
    name = bare_name(model)
    for pattern, formula in _LISTED:
        if found := pattern.match(name):
            return _not_published(formula) if found[1] else formula
    if like := _first(_LIKE, name):
        return _not_published(like)
    return _first(_RULES, name)


def _first(rules: tuple[tuple[re.Pattern[str], Formula], ...], name: str) -> Formula | None:
    return next((formula for pattern, formula in rules if pattern.match(name)), None)


def _not_published(formula: Formula) -> Formula:
    """Return a formula that stands in for a model of which none is published."""
    return lambda width, height, detail: ImageCount(formula(width, height, detail).tokens, False)


def _within(width: int, height: int, edge: int) -> tuple[int, int]:
    """Return the size of a picture that is scaled down so that neither side has more than `edge` pixels."""
    scale = min(1.0, edge / max(width, height))
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _patches_within(width: int, height: int, most: int) -> int:
    """Return the patches of a picture that is scaled down to no more than `most`, in OpenAI's words."""
    shrink = sqrt(PATCH**2 * most / (width * height))
    wide, high = width * shrink / PATCH, height * shrink / PATCH
    shrink *= min(max(floor(wide), 1) / wide, max(floor(high), 1) / high)
    return max(ceil(floor(width * shrink) / PATCH), 1) * max(ceil(floor(height * shrink) / PATCH), 1)
