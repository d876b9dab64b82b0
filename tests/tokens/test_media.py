"""Media: their headers are read from base64 without decoding it all, and they count as their providers publish."""

from __future__ import annotations

import struct
from base64 import b64encode, encodebytes, urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a2a_session_manager.shapes.normal_form import Media, MediaKind
from a2a_session_manager.tokens import media_headers
from a2a_session_manager.tokens.counting import count_chat_tokens
from a2a_session_manager.tokens.image_tokens import image_formula
from a2a_session_manager.tokens.media import MediaTokens
from a2a_session_manager.tokens.media_headers import (
    Base64Bytes,
    film_seconds,
    image_size,
    pdf_pages,
    sound_seconds,
)

NOISE = bytes(range(256)) * 4_000


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x06\0\0\0" + NOISE


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + NOISE


def jpeg(width: int, height: int, *, preview: int = 0) -> bytes:
    segment = b"\xff\xe1" + struct.pack(">H", 65_000) + bytes(64_998)
    table = b"\xff\xc4" + struct.pack(">H", 20) + bytes(18)
    frame = b"\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width) + bytes(10)
    return b"\xff\xd8" + segment * preview + b"\xff\xff" + table[1:] + frame + NOISE


def webp(width: int, height: int, kind: bytes) -> bytes:
    head = b"RIFF" + struct.pack("<I", 4_000) + b"WEBP" + kind + struct.pack("<I", 3_000)
    if kind == b"VP8 ":
        return head + b"\x30\x01\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + NOISE
    if kind == b"VP8L":
        return head + b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + NOISE
    return head + bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little") + NOISE


def wav(seconds: float, *, rate: int = 48_000, extra: bytes = b"") -> bytes:
    size = int(seconds * rate)
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate // 2, rate, 2, 16)
    return b"RIFF" + struct.pack("<I", size) + b"WAVE" + fmt + extra + b"data" + struct.pack("<I", size) + bytes(size)


def mp4(seconds: int, *, version: int = 0, late: bool = False) -> bytes:
    times = struct.pack(">IIII", 0, 0, 600, seconds * 600)
    if version:
        times = struct.pack(">QQIQ", 0, 0, 600, seconds * 600)
    mvhd = b"mvhd" + bytes([version, 0, 0, 0]) + times + bytes(80)
    moov = struct.pack(">I", len(mvhd) + 4) + mvhd
    boxes = [box(b"moov", moov), box(b"mdat", NOISE)]
    return box(b"ftyp", b"isom" + bytes(12)) + b"".join(reversed(boxes) if late else boxes)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def pdf(tree: bytes, *, before: bytes = b"") -> bytes:
    return b"%PDF-1.7\n" + before + NOISE + b"\n1 0 obj\n" + tree + b"\nendobj\ntrailer"


PICTURES = [
    pytest.param(png(1800, 2400), id="PNG"),
    pytest.param(gif(1800, 2400), id="GIF"),
    pytest.param(jpeg(1800, 2400), id="JPEG"),
    pytest.param(jpeg(1800, 2400, preview=6), id="JPEG with a preview"),
    *(pytest.param(webp(1800, 2400, kind), id=kind.decode()) for kind in (b"VP8 ", b"VP8L", b"VP8X")),
]


@pytest.mark.parametrize("picture", PICTURES)
def test_the_size_of_a_picture_is_read_from_its_header(picture: bytes) -> None:
    assert image_size(Base64Bytes(b64encode(picture).decode())) == (1800, 2400)
    assert image_size(Base64Bytes(urlsafe_b64encode(picture).decode())) == (1800, 2400)


@pytest.mark.parametrize("picture", [png(1800, 2400), gif(1800, 2400), jpeg(1800, 2400), webp(1800, 2400, b"VP8X")])
def test_base64_in_lines_is_read_too(picture: bytes) -> None:
    assert image_size(Base64Bytes(encodebytes(picture).decode())) == (1800, 2400)


@pytest.mark.parametrize("picture", [*PICTURES, wav(20), mp4(20), mp4(20, late=True), pdf(b"/Type /Pages /Count 3")])
def test_no_more_is_decoded_than_is_looked_at(picture: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []

    def b64decode(text: str) -> bytes:
        decoded.append(len(text))
        return bytes(original(text))

    original = vars(media_headers)["b64decode"]
    monkeypatch.setattr(media_headers, "b64decode", b64decode)
    data = Base64Bytes(b64encode(picture).decode())
    for read in (image_size, sound_seconds, film_seconds, pdf_pages):
        read(data)

    assert sum(decoded) < 250_000 < data.length


@pytest.mark.parametrize(
    "data",
    ["", "iVBORw0KGgo", "!!!!", "Ünicode", "iVBORw0KGgo" * 999, b64encode(png(0, 9)).decode(), "R0lGODlh", "/9j/4AAQ"],
)
def test_what_is_damaged_has_no_size(data: str) -> None:
    assert image_size(Base64Bytes(data)) is None


@given(
    st.sampled_from(
        [png(9, 9), gif(9, 9), jpeg(9, 9), webp(9, 9, b"VP8L"), wav(1), mp4(9), pdf(b"/Type/Pages/Count 2")]
    ),
    st.lists(st.tuples(st.integers(0, 80), st.binary(min_size=1, max_size=4)), max_size=3),
    st.integers(0, 120),
)
def test_damaged_headers_are_no_exception_and_no_absurd_count(
    media: bytes, changes: list[tuple[int, bytes]], length: int
) -> None:
    damaged = bytearray(media)
    for place, change in changes:
        damaged[place : place + len(change)] = change
    for data in (bytes(damaged), bytes(damaged[:length])):
        for kind in ("image", "audio", "video", "file"):
            tokens, _ = MediaTokens().count(of(kind, data), "gpt-4o")
            assert 0 <= tokens < 100_000_000


def test_a_sound_says_how_long_it_is() -> None:
    assert sound_seconds(read(wav(3))) == 3.0
    assert sound_seconds(read(wav(3, extra=b"LIST" + struct.pack("<I", 5) + bytes(6)))) == 3.0
    assert sound_seconds(read(NOISE)) is None


def test_a_streamed_sound_is_as_long_as_it_is() -> None:
    streamed = bytearray(wav(3))
    place = streamed.index(b"data") + 4
    for size in (0, 0xFFFFFFFF):
        streamed[place : place + 4] = struct.pack("<I", size)
        assert sound_seconds(read(bytes(streamed))) == pytest.approx(3.0, abs=0.01)


@pytest.mark.parametrize("film", [mp4(75), mp4(75, version=1), mp4(75, late=True)])
def test_a_film_says_how_long_it_is(film: bytes) -> None:
    assert film_seconds(read(film)) == 75.0
    assert film_seconds(read(NOISE)) is None


@pytest.mark.parametrize(
    "document",
    [
        pdf(b"<< /Type /Pages /Kids [2 0 R] /Count 12 >>"),
        pdf(b"<< /Count 12 /Kids [2 0 R]\n/Type /Pages >>"),
        pdf(b"<</Type/Pages/Kids[2 0 R]/Count 12>>"),
        pdf(b"", before=b"<</Linearized 1/L 9999/O 5/N 12/T 99>>"),
        pdf(b"<< /Type /Pages /Count 12 >> << /Type /Pages /Count 5 >> << /Type /Outlines /Count 99 >>"),
    ],
)
def test_a_pdf_says_how_many_pages_it_has(document: bytes) -> None:
    assert pdf_pages(read(document)) == 12


@pytest.mark.parametrize("document", [pdf(b"packed"), pdf(b"/Type /Pages /Count 9999999")])
def test_a_pdf_that_does_not_say_it_has_no_known_pages(document: bytes) -> None:
    assert pdf_pages(read(document)) is None


# Among them are the examples of OpenAI's page and of Anthropic's.
@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        ("gpt-4o", (1024, 1024), "high", 765),
        ("gpt-4o", (2048, 4096), "high", 1105),
        ("gpt-4o", (4096, 8192), "low", 85),
        ("gpt-4o", (512, 512), "high", 255),
        ("gpt-4o-2024-08-06", (1024, 1024), "high", 765),
        ("azure/GPT-4o", (1024, 1024), "high", 765),
        ("gpt-4o-mini", (1024, 1024), "high", 2833 + 4 * 5667),
        ("gpt-4.1", (1024, 1024), "high", 765),
        ("gpt-5", (1024, 1024), "high", 630),
        ("o1", (1024, 1024), "high", 675),
        ("o3", (1024, 1024), "low", 75),
        ("o4-mini", (1024, 1024), "auto", 1762),
        ("gpt-4.1-mini", (1800, 2400), "auto", 2353),
        ("gpt-4.1-nano", (1800, 2400), "high", 3572),
        ("gpt-5-mini", (1800, 2400), "auto", 1743),
        ("gpt-5-mini", (1280, 720), "auto", 1104),
        ("gpt-5-nano", (1024, 1024), "auto", 1536),
        ("gpt-5.4-mini", (4000, 3000), "auto", 1743),
        ("gpt-5.4", (4000, 3000), "auto", 2942),
        ("gpt-5.4", (4000, 3000), "original", 11868),
        ("gpt-5.5", (4000, 3000), "auto", 11868),
        ("gpt-5.6-sol", (8000, 6000), "auto", 56400),
        ("gpt-5.6-sol", (8000, 6000), "high", 2942),
        ("claude-sonnet-4-5", (1920, 1080), "auto", 1560),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", (1000, 1000), "auto", 1296),
        ("claude-sonnet-4-20250514", (3840, 2160), "auto", 1560),
        ("claude-3-5-sonnet-20241022", (200, 200), "auto", 64),
        ("claude-opus-4-7", (1920, 1080), "auto", 2691),
        ("claude-opus-4.8", (3840, 2160), "auto", 4784),
        ("claude-sonnet-5", (3024, 1964), "auto", 4760),
        ("anthropic/claude-fable-5", (4032, 3024), "auto", 4740),
        ("gemini-1.5-pro", (4000, 3000), "auto", 258),
        ("gemini-2.5-flash", (384, 384), "auto", 258),
        ("models/gemini-2.5-flash", (960, 540), "auto", 6 * 258),
        ("gemini-3-pro-preview", (4000, 3000), "auto", 1120),
        ("gemini-3.5-flash", (4000, 3000), "low", 280),
    ],
)
def test_pictures_count_as_providers_publish(model: str, size: tuple[int, int], detail: str, tokens: int) -> None:
    formula = image_formula(model)

    assert formula is not None
    assert formula(*size, detail).tokens == tokens
    assert formula(size[1], size[0], detail).tokens == tokens


@pytest.mark.parametrize("model", ["gpt-5.1", "gpt-5.4-pro", "gpt-6.1-sol", "gpt-6-luna", "o3-pro", "gpt-4-turbo"])
def test_a_model_that_is_not_listed_counts_as_one_like_it_and_says_so(model: str) -> None:
    formula = image_formula(model)

    assert formula is not None
    assert formula(1024, 1024, "high").is_published is False


@pytest.mark.parametrize("model", ["", "mistral-large", "qwen3-vl", "grok-4", "our-model"])
def test_a_model_of_an_unknown_provider_has_no_formula(model: str) -> None:
    assert image_formula(model) is None
    assert MediaTokens().count(of("image", png(900, 1000)), model) == (1200, False)
    assert MediaTokens().count(of("image", png(9000, 1000)), model) == (1600, False)


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.sampled_from(["low", "high", "auto", "original"]))
def test_no_size_takes_more_than_its_model_allows(width: int, height: int, detail: str) -> None:
    most = {"gpt-4o": 85 + 8 * 170, "gpt-5.4-mini": 1_844, "claude-sonnet-4-5": 1_568, "claude-opus-4-7": 4_784}
    for model, allowed in most.items():
        formula = image_formula(model)
        assert formula is not None
        if model.startswith("claude") or detail != "original":
            assert 1 <= formula(width, height, detail).tokens <= allowed


def picture(detail: str | None, data: bytes) -> dict[str, Any]:
    url = f"data:image/png;base64,{b64encode(data).decode()}"
    part = {"type": "image_url", "image_url": {"url": url, **({"detail": detail} if detail else {})}}
    return {"role": "user", "content": [part]}


async def test_a_picture_whose_tokens_are_published_is_counted() -> None:
    count = await count_chat_tokens([picture("high", png(1024, 1024))], "gpt-4o")

    assert repr(count) == f"TokenCount({3 + 3 + 1 + 765}, 'counted', 'o200k_base')"


@pytest.mark.parametrize(
    ("message", "model"),
    [
        (picture(None, png(1024, 1024)), "gpt-4o"),  # what "auto" means there is not published
        (picture("high", b"no picture"), "gpt-4o"),
        (picture("high", png(1024, 1024)), "gpt-4-turbo"),
        (picture("high", png(1024, 1024)), "claude-opus-4-7"),  # the text is an estimate
    ],
)
async def test_a_picture_of_which_something_is_not_known_is_an_estimate(message: dict[str, Any], model: str) -> None:
    assert (await count_chat_tokens([message], model)).basis == "estimated"


async def test_how_closely_to_look_is_read_from_both_of_openais_formats_and_from_geminis() -> None:
    url = f"data:image/png;base64,{b64encode(png(1024, 1024)).decode()}"
    item = {"role": "user", "content": [{"type": "input_image", "image_url": url, "detail": "low"}]}
    part = {
        "inlineData": {"mimeType": "image/png", "data": b64encode(png(1024, 1024)).decode()},
        "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
    }

    assert await count_chat_tokens([picture("low", png(1024, 1024))], "gpt-4o") == 7 + 85
    assert await count_chat_tokens([item], "gpt-4o") == 7 + 85
    assert await count_chat_tokens([{"role": "user", "parts": [part]}], "gemini-3-pro") == 7 + 280


def of(kind: MediaKind, data: bytes | None = None, *, mime_type: str | None = None) -> Media:
    return Media(kind, mime_type, None if data is None else b64encode(data).decode())


def read(data: bytes) -> Base64Bytes:
    return Base64Bytes(b64encode(data).decode())


@pytest.mark.parametrize(
    ("media", "model", "tokens", "is_published"),
    [
        (of("audio", wav(3)), "gpt-4o-audio-preview", 30, True),
        (of("audio", wav(3)), "gpt-realtime", 30, True),
        (of("audio", wav(3)), "gemini-2.5-pro", 96, False),
        (of("audio", wav(3)), "our-model", 75, False),
        (of("audio", bytes(48_000)), "gpt-audio", 30, False),
        (of("audio"), "gemini-3-pro", 60 * 32, False),
        (of("video", mp4(75)), "gemini-2.5-pro", 75 * 263, False),
        (of("video", mp4(75)), "gemini-3-pro", 75 * 102, False),
        (of("video", bytes(750_000)), "our-model", 3 * 263, False),
        (of("video"), "our-model", 60 * 263, False),
        (of("file", pdf(b"/Type /Pages /Count 12")), "gemini-2.5-pro", 12 * 258, False),
        (of("file", pdf(b"/Type /Pages /Count 12")), "gemini-3-pro", 12 * 560, False),
        (of("file", pdf(b"/Type /Pages /Count 12")), "claude-sonnet-5", 12 * 3068, False),
        (of("file", pdf(b"/Type /Pages /Count 12")), "gpt-5.4", 12 * 1500, False),
        (of("file", b"%PDF" + bytes(99_999)), "gpt-5.4", 3 * 1500, False),
        (of("file", bytes(99_999)), "gpt-5.4", 1500, False),
        (of("file"), "gpt-5.4", 1500, False),
        (of("file", bytes(3_000), mime_type="text/csv"), "gpt-5.4", 750, False),
    ],
)
def test_sounds_films_and_files_count_by_what_is_known(
    media: Media, model: str, tokens: int, is_published: bool
) -> None:
    assert MediaTokens().count(media, model) == (tokens, is_published)


def test_every_figure_of_ours_can_be_set() -> None:
    figures = MediaTokens(
        image_size=(512, 512),
        seconds=10,
        audio_per_second=7,
        audio_bytes_per_second=1_000,
        video_per_second=11,
        video_bytes_per_second=2_000,
        page=100,
        bytes_per_page=10_000,
        pages=5,
    )
    media = [of("image"), of("audio"), of("audio", bytes(5_000)), of("video"), of("video", bytes(6_000)), of("file")]

    counts = [figures.count(each, "our-model")[0] for each in (*media, of("file", b"%PDF" + bytes(29_990)))]
    assert counts == [350, 70, 36, 110, 33, 500, 300]
