"""What 0.1 had and 0.2 has not is refused by name, with the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import (
    FileSessionStore,
    InMemorySessionStore,
    InvalidSessionOperation,
    Session,
    create_file_session_store,
)


@pytest.mark.parametrize("make", [FileSessionStore, create_file_session_store])
@pytest.mark.parametrize(("option", "remedy"), [("session_class", "message_type=M"), ("auto_save", "await store.save")])
def test_a_store_option_that_is_gone_is_refused_with_the_remedy(
    make: Any, option: str, remedy: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSessionOperation, match=f"{option}= is gone since 0.2: .*{remedy}"):
        make(tmp_path, **{option: None})


def test_the_memory_store_refuses_them_too() -> None:
    with pytest.raises(InvalidSessionOperation, match=r"auto_save= is gone"):
        InMemorySessionStore(auto_save=True)


@pytest.mark.parametrize("name", ["add_child", "remove_child", "update_token_usage"])
def test_a_method_that_is_gone_is_not_there_and_tells_the_remedy(name: str) -> None:
    session = Session()

    assert not hasattr(session, name)
    with pytest.raises(InvalidSessionOperation, match=f"{name} is gone since 0.2"):
        getattr(session, name)


@pytest.mark.parametrize("make", [FileSessionStore, create_file_session_store])
def test_an_option_that_never_was_is_a_type_error(make: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unexpected option 'colour'"):
        make(tmp_path, colour="red")
