from __future__ import annotations

from a2a_session_manager.shapes.normal_form import Call, Instruction, Message, Result, Text, split

RESULT = Result("c1", "f", (Text("4"),))


def test_results_beside_what_a_user_says_come_first() -> None:
    message = Message("user", (Instruction("Be brief."), Text("and now?"), RESULT, Text("Well?")))

    assert split(message) == [
        Message("tool", (RESULT,)),
        Message("system", (Instruction("Be brief."),)),
        Message("user", (Text("and now?"), Text("Well?"))),
    ]


def test_an_answer_that_holds_its_results_keeps_its_order() -> None:
    message = Message("assistant", (Text("Wait."), Call("c1", "f"), RESULT, Text("It is 4.")))

    assert split(message) == [
        Message("assistant", (Text("Wait."), Call("c1", "f"))),
        Message("tool", (RESULT,)),
        Message("assistant", (Text("It is 4."),)),
    ]


def test_a_message_of_one_role_is_not_split() -> None:
    message = Message("user", (Text("hi"),), "openai", None, {"role": "user", "content": "hi"})

    assert split(message)[0] is message
