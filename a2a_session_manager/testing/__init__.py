"""What users and implementers test with: the contract that every store passes."""

from __future__ import annotations

import pytest

# Before the import, so that a failing assertion of the contract shows its values.
pytest.register_assert_rewrite(f"{__name__}.contract")

from a2a_session_manager.testing.blocking import blocking_calls_refused  # noqa: E402  see above
from a2a_session_manager.testing.contract import StoreContract  # noqa: E402

__all__ = ["StoreContract", "blocking_calls_refused"]
