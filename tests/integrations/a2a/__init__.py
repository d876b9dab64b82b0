"""Tests of the bridge for a2a-sdk: skipped where that is not installed, and all run by `.ci/bridges`."""

import pytest

pytest.importorskip("a2a.server.cluster", reason="a2a-sdk is not installed: it comes with .[a2a]", exc_type=ImportError)
