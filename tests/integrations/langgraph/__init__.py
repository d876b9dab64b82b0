import pytest

pytest.importorskip("langgraph.graph", reason="langgraph is not installed: .ci/bridges installs it")
