"""How messages are put in order and joined, and how a turn is shortened, in small examples."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from a2a_session_manager.context.findings import INTERRUPTED, Finding
from a2a_session_manager.context.fitting import Fit, fitted
from a2a_session_manager.context.prompt import prompt_of
from a2a_session_manager.shapes.normal_form import Media
from a2a_session_manager.tokens.chat import TOKENS_FOR_REPLY, Messages, MessagesCount
from tests.context.examples import (
    ASK,
    HELLO,
    INSTRUCT,
    SAY,
    STOP,
    Json,
    block,
    call,
    result,
    said,
    tool_result,
    used,
    uses,
    view,
)

ASKED: Json = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Weather?"}]}
ADDED: Json = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "In Oslo."}]}
ANSWERED: Json = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Rain."}]}
THOUGHT: Json = {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "Hm."}]}


def test_results_of_one_message_stand_in_one_where_the_format_demands_it() -> None:
    found = view(ASK, uses("a", "b"), used(tool_result("a")), used(tool_result("b")), SAY)

    assert found == [ASK, uses("a", "b"), used(tool_result("a"), tool_result("b")), SAY]
    assert found.seqs == (1, 2, 3, 5)
    assert found.report == (Finding("joined_results", (3, 4), "event 3 holds the results of other messages, too"),)


def test_a_message_holds_only_the_events_that_were_joined_into_it() -> None:
    # The results of event 4 are split: only the one that stands after the first calls is joined with event 5.
    log = (ASK, uses("a", "b"), uses("c"), used(tool_result("a"), tool_result("c")), used(tool_result("b")), SAY)
    found = prompt_of(said(*log), None)

    assert found.messages[2:5] == [used(tool_result("a"), tool_result("b")), uses("c"), used(tool_result("c"))]
    assert found.only([(0, 4)]).events() == {1, 2, 3, 4, 5}
    assert found.only([(3, 6)]).events() == {3, 4, 6}
    assert found.events_at([4]) == [4]


def test_what_the_user_says_beside_a_result_goes_after_all_results() -> None:
    found = view(ASK, uses("a", "b"), used(tool_result("a"), block("Well?")), used(tool_result("b")))

    assert found == [ASK, uses("a", "b"), used(tool_result("b"), tool_result("a"), block("Well?"))]


def test_messages_of_one_role_are_one_where_the_format_demands_it() -> None:
    one, other = ({"role": "user", "content": [{"text": text}]} for text in ("Weather?", "In Oslo."))
    answer = {"role": "assistant", "content": [{"text": "Rain."}]}

    found = view(one, other, answer)

    assert found == [{"role": "user", "content": [{"text": "Weather?"}, {"text": "In Oslo."}]}, answer]
    assert found.seqs == (1, 3)
    assert found.report == (Finding("joined_messages", (1, 2), "event 1 holds what the next message of the role says"),)


def test_blank_parts_beside_others_are_left_out() -> None:
    found = view(ASK, {"role": "assistant", "content": [block(" "), block("Rain.")]})

    assert found == [ASK, {"role": "assistant", "content": [block("Rain.")]}]
    assert found.report == (Finding("empty_part", (2,), "event 2 has parts that say nothing, which are left out"),)


def test_a_thought_goes_before_the_answer_that_it_led_to() -> None:
    found = view(ASKED, THOUGHT, ADDED, ANSWERED, run_ids=["a", "a", None, "a"])

    assert found == [ASKED, ADDED, THOUGHT, ANSWERED]
    assert found.seqs == (1, 3, 2, 4)
    assert found.report == (Finding("moved_thought", (2,), "event 2 goes before the answer that it led to"),)


def test_a_thought_does_not_go_before_the_answer_of_another_run() -> None:
    found = view(ASKED, THOUGHT, ANSWERED, run_ids=[None, "a", "b"])

    assert found == [ASKED, ANSWERED]
    assert found.report == (
        Finding("empty_message", (2,), "event 2 is a thought that no answer follows, and is left out"),
    )


def test_what_is_said_before_the_user_speaks_stays_where_no_format_is_asked_for() -> None:
    found = view(INSTRUCT, HELLO, ASK)

    assert (list(found), found.report) == ([INSTRUCT, HELLO, ASK], ())


def test_what_is_said_before_the_user_speaks_is_left_out_where_a_format_refuses_it() -> None:
    found = view(INSTRUCT, HELLO, ASK, SAY, format="anthropic")

    assert (found.system, list(found), found.seqs) == ("Be brief.", [ASK, SAY], (3, 4))
    assert found.report == (Finding("opening", (2,), "event 2 is said before the user speaks, and is left out"),)


def test_a_shortened_turn_names_the_events_that_it_lacks() -> None:
    exchanges = [call("c1"), result("c1"), call("c2"), result("c2"), call("c3"), result("c3")]

    fit = _fitted(ASK, *exchanges, most=5)

    assert fit.found.messages == [ASK, *exchanges[2:]]
    assert fit.found.seqs == [1, 4, 5, 6, 7]
    text = f"the turn that is under way takes more than {5 + TOKENS_FOR_REPLY} tokens: its first exchanges are left out"
    assert fit.found.findings == [Finding("shortened_turn", (2, 3), text)]


def test_a_shortened_turn_names_all_events_of_what_was_joined() -> None:
    messages = [ASK, uses("a", "b"), used(tool_result("a")), used(tool_result("b")), uses("c"), used(tool_result("c"))]

    fit = _fitted(*messages, most=3)

    assert fit.found.messages == [ASK, *messages[4:]]
    assert [each.seqs for each in fit.found.findings if each.code == "shortened_turn"] == [(2, 3, 4)]


@pytest.mark.parametrize("key", ["parts", "toolInvocations"])
@pytest.mark.parametrize("state", [[], {}, None, 7])
def test_a_call_of_an_interface_is_closed_whatever_its_state_is(state: Any, key: str) -> None:
    made = {"type": "tool-weather", "toolCallId": "c1", "state": state, "input": {}}
    wrong = {"id": "m", "role": "assistant", "content": "Oslo:", "parts": [], key: [made]}

    found = view(ASK, wrong, STOP)

    assert INTERRUPTED in str(found[1][key])
    assert [(each.code, each.seqs) for each in found.report] == [("closed_call", (2,))]


def test_a_call_of_an_interface_without_an_id_and_a_name_is_closed() -> None:
    wrong = {"id": "m", "role": "assistant", "content": "Oslo:", "toolInvocations": [{}]}

    found = view(ASK, wrong, STOP)

    assert INTERRUPTED in str(found[1]["toolInvocations"])
    assert [(each.code, each.seqs) for each in found.report] == [("closed_call", (2,))]


def test_a_budget_takes_whole_turns_and_names_nothing() -> None:
    fit = _fitted(ASK, SAY, STOP, SAY, most=3)

    assert (fit.found.messages, fit.found.findings, fit.is_full) == ([STOP, SAY], [], True)


def _fitted(*messages: Json, most: int) -> Fit:
    """Return what fits into a budget of so many messages."""
    return fitted(prompt_of(said(*messages), None), most + TOKENS_FOR_REPLY, _Counter(), has_earlier=False)


class _Counter:
    """Counts one token for each message."""

    encoding: str | None = None

    def messages(self, messages: Messages, count: MessagesCount, most: float = inf) -> tuple[int, bool]:
        return len(messages), True

    def text(self, text: str) -> tuple[int, bool]:
        return len(text), True

    def json(self, value: Any) -> tuple[int, bool]:
        return 1, True

    def media(self, media: Media) -> tuple[int, bool]:
        return 1, True
