"""Which result answers which call, in small examples: the view, and what its report says."""

from __future__ import annotations

import pytest

from a2a_session_manager.context.findings import INTERRUPTED, Finding
from a2a_session_manager.context.matching import Matching
from a2a_session_manager.shapes.normal_form import Result
from tests.context.examples import (
    ASK,
    INTERRUPTION,
    SAY,
    STOP,
    Json,
    call,
    function_call,
    function_response,
    gemini,
    result,
    said,
    view,
)


def test_calls_with_their_results_after_them_are_given_as_they_are() -> None:
    messages = [ASK, call("c1", "c2"), result("c2"), result("c1"), SAY]

    found = view(*messages)

    assert (list(found), found.seqs, found.report) == (messages, (1, 2, 3, 4, 5), ())


def test_the_result_goes_before_what_the_user_wrote_while_the_tool_ran() -> None:
    found = view(ASK, call("c1"), STOP, result("c1"), SAY)

    assert found == [ASK, call("c1"), result("c1"), STOP, SAY]
    assert found.seqs == (1, 2, 4, 3, 5)
    assert found.report == (Finding("moved_result", (4,), "event 4 goes after its call in the event 2"),)


def test_the_result_goes_before_the_notice_of_another_agent() -> None:
    notice = {"role": "assistant", "content": "The forecast is late.", "name": "observer"}

    found = view(ASK, call("c1"), notice, result("c1"), SAY, run_ids=[None, "a", "b", "a", "a"])

    assert found == [ASK, call("c1"), result("c1"), notice, SAY]
    assert found.report == (Finding("moved_result", (4,), "event 4 goes after its call in the event 2"),)


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_of_two_runs_with_one_call_id_each_gets_its_own_result(order: str) -> None:
    oslo, rome = call("c1", city="Oslo"), call("c1", city="Rome")
    results = {"a": result("c1", "rain"), "b": result("c1", "sun")}

    found = view(ASK, oslo, rome, *(results[run] for run in order), run_ids=[None, "a", "b", *order])

    assert found == [ASK, oslo, results["a"], rome, results["b"]]


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    found = view(ASK, call("c1", "c2"), result("c2"), STOP)

    assert found == [ASK, call("c1", "c2"), result("c2"), INTERRUPTION, STOP]
    assert found.seqs == (1, 2, 3, 2, 4)
    assert found.report == (Finding("closed_call", (2,), "event 2 makes the call 'weather' (c1), which has no result"),)


def test_of_two_results_the_first_one_counts() -> None:
    found = view(ASK, call("c1"), result("c1"), result("c1", "sun"), SAY)

    assert found == [ASK, call("c1"), result("c1"), SAY]
    assert found.report == (Finding("repeated_result", (4,), "event 4 answers the call 'c1' again, and is left out"),)


def test_a_result_that_comes_after_all_replaces_the_one_that_says_interrupted() -> None:
    found = view(ASK, call("c1"), result("c1", INTERRUPTED), result("c1"), SAY)

    assert found == [ASK, call("c1"), result("c1"), SAY]
    assert found.report == (
        Finding("repeated_result", (3,), "event 3 says that the call 'c1' was interrupted: its result came"),
    )


def test_a_call_that_was_saved_twice_is_made_once() -> None:
    found = view(ASK, call("c1"), call("c1"), result("c1"), SAY)

    assert found == [ASK, call("c1"), result("c1"), SAY]
    assert found.seqs == (1, 2, 4, 5)
    assert found.report == (
        Finding("repeated_call", (3,), "event 3 makes the call 'weather' (c1) again, and is left out"),
    )


def test_an_id_may_come_again_in_a_later_turn() -> None:
    messages = [ASK, call("c1"), result("c1"), SAY, ASK, call("c1", city="Rome"), result("c1", "sun")]

    found = view(*messages)

    assert (list(found), found.report) == (messages, ())


def test_two_calls_of_one_id_in_a_message_get_their_results_in_order() -> None:
    messages = [ASK, call("c1", "c1"), result("c1"), result("c1", "sun"), SAY]

    found = view(*messages)

    assert (list(found), found.report) == (messages, ())


def test_of_two_calls_of_one_id_the_second_may_be_open() -> None:
    found = view(ASK, call("c1", "c1"), result("c1"))

    assert found == [ASK, call("c1", "c1"), result("c1"), INTERRUPTION]
    assert [each.code for each in found.report] == ["closed_call"]


def test_what_stands_for_results_that_did_not_come_is_in_the_order_of_the_calls() -> None:
    found = view(ASK, call("c2"), call("c1", "c2"))

    assert [each["tool_call_id"] for each in found if each["role"] == "tool"] == ["c2", "c1", "c2"]


def test_a_result_for_a_call_of_another_session_is_left_out() -> None:
    found = view(ASK, result("x9"), SAY)

    assert found == [ASK, SAY]
    assert found.report == (
        Finding("orphan_result", (2,), "event 2 answers the call 'x9', which was not made, and is left out"),
    )


def test_a_result_before_its_call_does_not_answer_it() -> None:
    found = view(ASK, result("c1"), call("c1"))

    assert found == [ASK, call("c1"), INTERRUPTION]
    assert [(each.code, each.seqs) for each in found.report] == [("orphan_result", (2,)), ("closed_call", (3,))]


def test_calls_of_gemini_without_ids_go_by_their_names() -> None:
    calls = gemini("model", function_call("Oslo"), function_call("Rome"))
    results = gemini("user", function_response("rain"), function_response("sun"))

    found = view(gemini("user", {"text": "Weather?"}), calls, gemini("user", {"text": "Hm?"}), results)

    assert found == [gemini("user", {"text": "Weather?"}), calls, results, gemini("user", {"text": "Hm?"})]
    assert found.report == (Finding("moved_result", (4,), "event 4 goes after its call in the event 2"),)


def test_calls_of_ollama_without_ids_go_by_their_names() -> None:
    calls = _ollama_calls("weather", "time")
    time, weather = _ollama_result("time", "9:00"), _ollama_result("weather", "rain")

    found = view(ASK, calls, STOP, time, weather)

    assert found == [ASK, calls, time, weather, STOP]
    assert [(each.code, each.seqs) for each in found.report] == [("moved_result", (4,)), ("moved_result", (5,))]


def test_a_result_without_an_id_answers_the_calls_of_its_tool_in_their_order() -> None:
    asked, calls = gemini("user", {"text": "Weather?"}), gemini("model", *_calls_with_ids("f1", "f2"))
    rain, sun = (gemini("user", function_response(text)) for text in ("rain", "sun"))

    found = view(asked, calls, rain, sun, format="openai")

    given = [(each["tool_call_id"], each["content"]) for each in found[2:]]
    assert given == [("f1", "rain"), ("f2", "sun")]


def test_a_result_beside_its_call_answers_that_and_no_open_one_of_the_same_tool() -> None:
    shown = {"type": "tool-weather", "toolCallId": "c1", "state": "output-available", "input": {}, "output": "rain"}
    beside = {"id": "m", "role": "assistant", "parts": [{"type": "text", "text": "Oslo:"}, shown]}

    found = view(gemini("user", {"text": "Weather?"}), gemini("model", function_call("Rome")), beside)

    interruption = {"functionResponse": {"name": "weather", "response": {"error": INTERRUPTED}}}
    assert list(found[-2:]) == [gemini("user", interruption), beside]
    assert [(each.code, each.seqs) for each in found.report] == [("closed_call", (2,))]


def test_a_result_that_names_nothing_answers_the_call_right_before_it_also_where_another_one_waits() -> None:
    nameless = {"role": "tool", "content": "rain"}
    lost, made = _ollama_calls("map"), _ollama_calls("weather")

    found = view(ASK, lost, STOP, made, nameless, SAY)

    assert list(found[-3:]) == [made, nameless, SAY]
    assert [(each.code, each.seqs) for each in found.report] == [("closed_call", (2,))]


def test_a_result_that_names_nothing_answers_no_other_runs_call_where_several_wait() -> None:
    nameless = {"role": "tool", "content": "rain"}
    runs = [None, "a", "b", "a"]

    found = view(ASK, _ollama_calls("map"), _ollama_calls("weather"), nameless, run_ids=runs)

    assert nameless not in found
    assert [(each.code, each.seqs) for each in found.report] == [
        ("closed_call", (2,)),
        ("closed_call", (3,)),
        ("orphan_result", (4,)),
    ]


@pytest.mark.parametrize("names", [("map", "weather"), ("weather", "map", "weather"), ("map", "map")])
def test_as_many_results_that_name_nothing_as_calls_answer_these_in_their_order(names: tuple[str, ...]) -> None:
    results = [_nameless(f"{name} {at}") for at, name in enumerate(names)]
    messages = [ASK, _ollama_calls("map"), STOP, _ollama_calls(*names), *results, SAY]

    found = view(*messages)
    given = view(*messages, format="gemini")[-3:-1]

    assert list(found[-2 - len(names) :]) == messages[3:]
    assert [(each.code, each.seqs) for each in found.report] == [("closed_call", (2,))]
    calls = [part["functionCall"] for part in given[0]["parts"]]
    answers = [part["functionResponse"] for part in given[1]["parts"]]
    assert [(each["name"], each["response"]["output"]) for each in answers] == [
        (name, f"{name} {at}") for at, name in enumerate(names)
    ]
    assert [each.get("id") for each in answers] == [each.get("id") for each in calls]
    matching = Matching(said(*messages), has_earlier=True).finish()
    named = [part.name for each in matching.answers[3] for part in each.message.parts if isinstance(part, Result)]
    assert (named, matching.is_doubtful) == (list(names), False)


@pytest.mark.parametrize(
    ("after", "runs"),
    [
        (["one"], "aa"),
        (["one", "two", "three"], "aaaa"),
        (["one", STOP, "two"], "aaaa"),
        ([STOP, "one", "two"], "aaaa"),
        (["one", "two"], "aab"),
        (["one", "two"], "abb"),
    ],
)
def test_results_that_name_nothing_answer_none_of_several_calls_unless_it_is_clear(
    after: list[str | Json], runs: str
) -> None:
    results = [each if isinstance(each, dict) else _nameless(each) for each in after]

    found = view(_ollama_calls("map", "weather"), *results, run_ids=list(runs))

    codes = [each.code for each in found.report]
    assert codes == ["closed_call", "closed_call", *("orphan_result" for each in results if each != STOP)]


def test_a_result_that_names_nothing_does_not_answer_the_first_call_where_the_next_one_names_its_own() -> None:
    calls, named = _ollama_calls("map", "weather"), _ollama_result("map", "a map")

    found = view(ASK, calls, _nameless("rain"), named)

    assert [(each.code, each.seqs) for each in found.report] == [("closed_call", (2,)), ("orphan_result", (3,))]


def test_a_result_that_names_nothing_is_in_other_formats_of_the_call_that_no_other_result_names() -> None:
    calls, named, nameless = _ollama_calls("map", "weather"), _ollama_result("map", "a map"), _nameless("rain")

    found = view(ASK, calls, named, nameless, format="openai")

    assert [(each["tool_call_id"], each["content"]) for each in found[2:]] == [("map", "a map"), ("weather", "rain")]
    assert found.report == ()


@pytest.mark.parametrize(("between", "is_doubtful"), [([], False), ([STOP], True)])
def test_earlier_messages_may_decide_what_a_result_answers_that_names_nothing(
    between: list[Json], is_doubtful: bool
) -> None:
    newest = said(_ollama_calls("weather"), *between, {"role": "tool", "content": "rain"})

    assert Matching(newest, has_earlier=True).finish().is_doubtful is is_doubtful
    assert Matching(newest).finish().is_doubtful is False


def test_what_says_nothing_is_left_out() -> None:
    found = view(ASK, {"role": "assistant", "content": " \n"}, SAY)

    assert found == [ASK, SAY]
    assert found.report == (Finding("empty_message", (2,), "event 2 says nothing, and is left out"),)


def test_what_no_format_knows_is_passed_on_and_named() -> None:
    odd, part = {"role": "critic", "verdict": "bad"}, {"type": "hologram", "of": "Oslo"}
    strange = {"role": "assistant", "content": [part]}

    found = view(ASK, odd, strange)

    assert found == [ASK, odd, strange]
    assert found.report == (
        Finding("unknown_shape", (2,), "event 2 holds what is not understood, and is passed on as it is"),
        Finding("unknown_part", (3,), "event 3 holds what is not understood, and is passed on as it is"),
    )


def test_open_calls_are_told_in_their_order() -> None:
    matching = Matching(said(ASK, call("c1", "c2"), call("c3"), result("c2"), run_ids=[None, "a", "b", "a"]))

    matching.finish()

    assert [(each.at, each.call.id, each.run_id) for each in matching.open_calls()] == [(1, "c1", "a"), (2, "c3", "b")]


def _calls_with_ids(*call_ids: str) -> list[Json]:
    return [{"functionCall": {"id": each, "name": "weather", "args": {}}} for each in call_ids]


def _ollama_calls(*names: str) -> Json:
    made = [{"function": {"name": each, "arguments": {"city": "Oslo"}}} for each in names]
    return {"role": "assistant", "content": "", "tool_calls": made}


def _nameless(text: str) -> Json:
    return {"role": "tool", "content": text}


def _ollama_result(name: str, text: str) -> Json:
    return {"role": "tool", "tool_name": name, "content": text}
