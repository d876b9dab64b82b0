import pytest

pytest.importorskip("pydantic_ai.conversation_store", reason="pydantic-ai is not installed: .ci/bridges installs it")
