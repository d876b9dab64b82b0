"""Tests of the bridge for google-adk: skipped where that is not installed, and all run by `.ci/bridges`."""

import pytest

pytest.importorskip(
    "google.adk.sessions", reason="google-adk is not installed: see .[google-adk]", exc_type=ImportError
)
