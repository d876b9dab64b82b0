"""What the first bytes of media tell: the size of a picture, how long a sound or film is, the pages of a PDF.

The media are base64, of which only the parts that are looked at are decoded. What cannot be read is None: an estimate
takes its place, never an error.
"""

from __future__ import annotations

import re
from base64 import b64decode
from struct import unpack_from
from typing import Final

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_GIFS: Final = (b"GIF87a", b"GIF89a")
_JPEG: Final = b"\xff\xd8\xff"
# The markers of a JPEG that begin a frame; the other three between them are tables.
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Cameras put a preview and colour profiles before the frame, in segments of 64 KB each.
_MOST_SEGMENTS: Final = 100
_MOST_BOXES: Final = 64
_HEAD: Final = 40
# A PDF says its pages at its start or in the page tree, which most write at the end.
_PDF_ENDS: Final = 1 << 15
_LINEARIZED: Final = re.compile(rb"/Linearized\b[^>]{0,200}/N (\d{1,7})\b")
_PAGE_TREE: Final = re.compile(
    rb"/Type\s?/Pages\b[^>]{0,200}?/Count (\d{1,7})\b|/Count (\d{1,7})\b[^>]{0,200}?/Type\s?/Pages\b"
)
# What a header says beyond these is damage, or a lie.
_LARGEST_EDGE: Final = 1 << 16
_LOWEST_BYTE_RATE: Final = 500
_LONGEST: Final = 24 * 60 * 60.0
_SMALLEST_PAGE: Final = 32
_NOT_STANDARD: Final = str.maketrans("-_", "+/")

Size = tuple[int, int]


class Base64Bytes:
    """The bytes that a text of base64 stands for, of either alphabet, decoded where they are looked at."""

    def __init__(self, text: str) -> None:
        # Base64 that is broken into lines is told by the first one: then only the beginning is looked at.
        self._text = "".join(text[: 1 << 16].split()) if any(map(str.isspace, text[:128])) else text
        self.length = len(text) * 3 // 4

    def read(self, start: int, size: int) -> bytes:
        """Return up to `size` bytes from `start` on: none where there are none or the text is no base64."""
        first = start // 3 * 4
        piece = self._text[first : first + (size + 5) // 3 * 4].translate(_NOT_STANDARD)
        try:
            return b64decode(piece + "=" * (-len(piece) % 4))[start % 3 :][:size]
        except ValueError:
            return b""


def image_size(data: Base64Bytes) -> Size | None:
    """Return the width and height of a PNG, JPEG, GIF or WebP in pixels."""
    head = data.read(0, _HEAD)
    size: Size | None = None
    if head.startswith(_PNG) and len(head) >= 24:
        size = unpack_from(">II", head, 16)
    elif head.startswith(_GIFS) and len(head) >= 10:
        size = unpack_from("<HH", head, 6)
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP" and len(head) >= 30:
        size = _webp_size(head)
    elif head.startswith(_JPEG):
        size = _jpeg_size(data)
    return size if size is not None and min(size) > 0 and max(size) < _LARGEST_EDGE else None


def sound_seconds(data: Base64Bytes) -> float | None:
    """Return how long a WAV file sounds."""
    head = data.read(0, 12)
    if not head.startswith(b"RIFF") or head[8:] != b"WAVE":
        return None
    start, rate = 12, 0
    for _ in range(_MOST_BOXES):
        chunk = data.read(start, 24)
        if len(chunk) < 8:
            return None
        size = unpack_from("<I", chunk, 4)[0]
        if chunk.startswith(b"fmt ") and len(chunk) >= 20:
            rate = unpack_from("<I", chunk, 16)[0]
        elif chunk.startswith(b"data"):
            # What is streamed says no length, or more than there is.
            sounding = min(size or data.length, max(data.length - start - 8, 0))
            return sounding / rate if rate >= _LOWEST_BYTE_RATE else None
        start += 8 + size + size % 2
    return None


def film_seconds(data: Base64Bytes) -> float | None:
    """Return how long an MP4 or QuickTime film is."""
    start = 0
    for _ in range(_MOST_BOXES):
        box = data.read(start, 40)
        if len(box) < 16:
            return None
        size = unpack_from(">I", box)[0]
        if box[4:8] == b"moov":
            return _movie_seconds(data.read(start + 8, 40))
        size = unpack_from(">Q", box, 8)[0] if size == 1 else size
        if size < 8:
            return None
        start += size
    return None


def is_pdf(data: Base64Bytes) -> bool:
    """Tell whether the bytes begin as those of a PDF."""
    return data.read(0, 4) == b"%PDF"


def pdf_pages(data: Base64Bytes) -> int | None:
    """Return how many pages a PDF has that tells them without being unpacked."""
    start = data.read(0, _PDF_ENDS)
    if linearized := _LINEARIZED.search(start):
        counts = [int(linearized[1])]
    else:
        counts = _page_counts(start, data.read(max(_PDF_ENDS, data.length - _PDF_ENDS), _PDF_ENDS))
    pages = max(counts, default=0)
    return pages if 0 < pages * _SMALLEST_PAGE < data.length else None


def _page_counts(*parts: bytes) -> list[int]:
    return [int(one or other) for part in parts for one, other in _PAGE_TREE.findall(part)]


def _webp_size(head: bytes) -> Size | None:
    if head[12:16] == b"VP8 ":
        width, height = unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    if head[12:16] == b"VP8L":
        bits = unpack_from("<I", head, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    return None


def _jpeg_size(data: Base64Bytes) -> Size | None:
    start = 2
    for _ in range(_MOST_SEGMENTS):
        segment = data.read(start, 9)
        if len(segment) < 9 or segment[0] != 0xFF:
            return None
        if segment[1] == 0xFF:  # padding
            start += 1
        elif segment[1] in _JPEG_FRAMES:
            height, width = unpack_from(">HH", segment, 5)
            return width, height
        else:
            start += 2 + unpack_from(">H", segment, 2)[0]
    return None


def _movie_seconds(box: bytes) -> float | None:
    """Return how long a film is by the movie's header, which stands first."""
    if len(box) < 40 or box[4:8] != b"mvhd":
        return None
    scale, length = unpack_from(">IQ", box, 28) if box[8] == 1 else unpack_from(">II", box, 20)
    return length / scale if scale and length <= _LONGEST * scale else None
