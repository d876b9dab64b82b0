"""A view is a list with a system text, a report and seqs, and tells why it does not begin with an earlier one."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from a2a_session_manager.context.matching import Said
from a2a_session_manager.context.prompt import prompt_of, view_of
from a2a_session_manager.context.view import MessageView, PrefixCheck
from tests.context.examples import ASK, INSTRUCT, SAY, STOP, Json, block, call, result, view


def test_a_view_is_a_list() -> None:
    found = view(ASK, SAY)

    assert isinstance(found, list)
    assert found == [ASK, SAY]
    assert json.loads(json.dumps(found)) == [ASK, SAY]
    assert (found[1:], found[-1], len(found), SAY in found) == ([SAY], SAY, 2, True)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda found: pickle.loads(pickle.dumps(found))])
def test_a_copy_of_a_view_has_all_of_it(again: type[MessageView]) -> None:
    found = view(INSTRUCT, ASK, call("c1"), format="anthropic")

    other = again(found)

    assert (type(other), list(other)) == (MessageView, list(found))
    assert (other.system, other.seqs, other.report) == (found.system, found.seqs, found.report)
    assert (other.format, other.session_id) == ("anthropic", "chat")
    assert view(INSTRUCT, ASK, call("c1"), result("c1"), format="anthropic").extends(other).change == "answer"


def test_a_longer_view_extends_a_shorter_one() -> None:
    longer, shorter = view(ASK, SAY, STOP), view(ASK, SAY)

    assert longer.extends(shorter) == PrefixCheck()
    assert bool(longer.extends(shorter))


def test_the_result_of_a_call_that_was_open_changes_the_prefix() -> None:
    check = view(ASK, call("c1"), result("c1")).extends(view(ASK, call("c1")))

    assert (bool(check), check) == (False, PrefixCheck("answer", 2, 2))


def test_a_message_of_the_same_role_changes_the_prefix_where_both_are_one() -> None:
    one, other = ({"role": "user", "content": [{"text": text}]} for text in ("Weather?", "In Oslo."))

    assert view(one, other).extends(view(one)) == PrefixCheck("continuation", 0, 1)


def test_a_message_that_was_hidden_changes_the_prefix() -> None:
    shorter = view_of(prompt_of(Said([ASK, STOP], [1, 3], [None] * 2), None), None, "chat")

    assert shorter.extends(view(ASK, SAY, STOP)) == PrefixCheck("retraction", 1, 2)


def test_a_message_that_came_back_changes_the_prefix() -> None:
    shorter = view_of(prompt_of(Said([ASK, STOP], [1, 3], [None] * 2), None), None, "chat")

    assert view(ASK, SAY, STOP).extends(shorter) == PrefixCheck("restoration", 1, 3)


def test_a_view_that_was_cut_to_a_budget_is_told_apart() -> None:
    whole = view(ASK, SAY, STOP)
    cut = view_of(prompt_of(Said([STOP], [3], [None]), None), None, "chat", is_cut=True)

    assert cut.extends(whole) == PrefixCheck("budget", 0, 1)
    assert whole.extends(cut) == PrefixCheck("budget", 0, 3)


def test_views_in_different_formats_are_told_apart() -> None:
    assert view(ASK, format="openai").extends(view(ASK)) == PrefixCheck("format")


def test_views_of_different_sessions_are_told_apart() -> None:
    other = view_of(prompt_of(Said([ASK], [1], [None]), None), None, "other chat")

    assert view(ASK).extends(other) == PrefixCheck("session")


def test_what_the_system_says_is_part_of_the_prefix() -> None:
    kind: Json = {"role": "system", "content": [block("Be kind.")]}

    check = view(INSTRUCT, kind, ASK, format="anthropic").extends(view(INSTRUCT, format="anthropic"))

    assert check == PrefixCheck("continuation")


def test_a_digest_is_equal_exactly_where_the_prompt_is() -> None:
    digest = view(INSTRUCT, ASK, format="anthropic").prefix_digest

    assert view(INSTRUCT, ASK, format="anthropic").prefix_digest == digest
    assert view(ASK, format="anthropic").prefix_digest != digest
    assert view(INSTRUCT, STOP, format="anthropic").prefix_digest != digest
