"""What a logger was told while a test ran."""

from __future__ import annotations

import logging

import pytest


def told(logger: str, caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[tuple[str, str]]:
    """Return level and text of what was logged there at `level` or above."""
    return [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name == logger and record.levelno >= level
    ]
