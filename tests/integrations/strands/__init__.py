"""Tests of the bridge for strands-agents: skipped where that is not installed, and all run by `.ci/bridges`."""

import pytest

pytest.importorskip("strands.storage", reason="strands-agents is not installed: see .[strands]", exc_type=ImportError)
