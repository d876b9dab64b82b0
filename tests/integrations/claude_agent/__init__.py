import pytest

pytest.importorskip("claude_agent_sdk", reason="claude-agent-sdk is not installed: .ci/bridges installs it")
