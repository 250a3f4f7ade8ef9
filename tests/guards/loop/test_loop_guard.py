"""What the loop guard says of runs, rung by rung."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from callboard.bus.messages import (
    ChildFinished,
    ChildSpawned,
    Content,
    ModelResponded,
    Problem,
    RunClaimed,
    RunSteered,
    ToolCall,
    ToolRequested,
    ToolResolved,
    ToolReturned,
)
from callboard.config.guards import LoopSettings
from callboard.guards.loop.guard import LoopGuard
from tests.guards.loop.evaluation import judge
from tests.guards.loop.trace import KEY, WORDS, Call, Trace, words

SEARCH = Call("search", {"q": "x"}, "a list of hits")


def trace(**more):
    return Trace(random.Random(1), **more)


def guarded(**settings):
    return LoopGuard(LoopSettings(**{"turns": 8, "patience": 4} | settings))


def said(of: Trace, **settings):
    judged = judge(of.seen, guarded(**settings))
    return [(verdict.action, turn) for verdict, turn in zip(judged.verdicts, judged.turns, strict=True)]


def verdict(of: Trace, action: str, **settings):
    return next(each for each in judge(of.seen, guarded(**settings)).verdicts if each.action == action)


def repeat(times: int, call: Call = SEARCH, **more) -> Trace:
    out = trace(**more)
    for _ in range(times):
        out.turn(replace(call))
    return out


def test_the_same_call_with_the_same_result_is_nudged_denied_and_killed_in_this_order():
    assert said(repeat(9)) == [
        ("nudge", 3),
        *[("deny", turn) for turn in (4, 5, 6, 7)],
        ("kill", 7),
        ("deny", 8),
        ("deny", 9),
    ]


def test_a_note_says_what_repeats_with_its_number_and_what_to_do():
    nudge = verdict(repeat(3), "nudge")
    assert nudge.reason.startswith("You called search 3 times in the same way, and the result was the same.")
    assert "try something different" in nudge.reason
    assert (nudge.value, nudge.threshold, nudge.data) == (3, 3, {"signal": "cycle", "tools": ["search"]})
    assert len(nudge.evidence) == 2
    kill = verdict(repeat(7), "kill")
    assert kill.reason == "4 more turns (search) brought nothing new after the note at entry 13"
    assert 13 in kill.evidence
    assert list(kill.evidence) == sorted(set(kill.evidence))


def test_a_denial_names_its_call_and_tells_the_model_why():
    deny = verdict(repeat(4), "deny")
    assert (deny.call, deny.value) == ("m4.0", 3)
    assert deny.reason == "search was called 3 times in this way, always with the same result: not again"


def test_another_call_is_not_denied_after_the_nudge():
    assert said(repeat(3).turn(Call("search", {"q": "y"}, "other hits"))) == [("nudge", 3)]


def test_a_denied_call_counts_as_the_same_result_again():
    run = repeat(3)
    for _ in range(4):
        run.turn(Call("search", {"q": "x"}, problem="not again"))
    seen = [each for each in run.seen if not (isinstance(each.event, ToolRequested) and each.sequence > 14)]
    for place, each in enumerate(seen):
        if isinstance(each.event, ToolReturned) and each.event.problem:
            problem = Problem(kind="denied", message="not again")
            seen[place] = replace(each, event=each.event.model_copy(update={"problem": problem}))
    assert [each.action for each in judge(seen, guarded()).verdicts] == ["nudge", "kill"]


def test_a_call_that_a_lost_worker_had_begun_and_that_is_denied_to_the_next_one_is_no_news():
    run = repeat(3)
    call = ToolCall(id="m4.0", name="search", arguments={"q": "x"})
    run._write(ModelResponded(call="m4", tool_calls=(call,)), ToolRequested(call="m4.0", tool="search"))
    run._write(RunClaimed(task=1), owner="w2")
    run._write(ToolReturned(call="m4.0", problem=Problem(kind="denied", message="not again")), owner="w2")
    guard = guarded()
    state = guard.start(KEY)
    for each in run.seen:
        state, _ = guard.observe(state, each)
    assert (state.ladder.rung, state.ladder.unheeded, state.streak.turns) == ("nudged", 1.0, 3)


def test_a_circle_of_steps_is_seen_at_its_third_round():
    run = trace()
    for n in range(9):
        run.turn(Call("open", {"page": n % 3}, words(random.Random(n % 3), 30)))
    nudge = verdict(run, "nudge")
    assert nudge.reason.startswith("You are going in a circle: the same 3 steps (open) 3 times")
    assert said(run) == [("nudge", 9)]


def test_equal_errors_in_a_row_are_seen_whatever_the_arguments():
    run = trace()
    for n in range(6):
        run.turn(Call("sql", {"query": f"select c{n}"}, problem=f"no such column: c{n}"))
    assert said(run) == [("nudge", 5)]
    assert "same error, whatever the arguments (sql)" in verdict(run, "nudge").reason


def test_a_search_that_finds_nothing_may_go_on_for_a_while_but_not_for_ever():
    run = trace()
    for n in range(60):
        run.turn(Call("grep", {"pattern": f"p{n}"}, "no matches"))
    assert said(run) == [("nudge", 17), ("kill", 49)]
    assert "brought nothing new" in verdict(run, "nudge").reason


def test_twelve_greps_at_once_that_find_nothing_are_no_loop():
    run = trace().turn(*(Call("grep", {"pattern": f"p{n}"}, "no matches") for n in range(12)))
    assert said(run.turn(Call("grep", {"pattern": "q"}, "a.py:1: q"))) == []


def test_talking_without_doing_anything_is_seen():
    run = trace()
    for n in range(14):
        run.says(f"I will now do step {n} of the plan, {words(run.rng, 4)}")
    assert said(run) == [("nudge", 6), ("kill", 14)]
    assert verdict(run, "nudge").reason.startswith("You have been talking for 6 turns")


def test_a_tool_for_thinking_is_talking():
    run = trace(tools={"think": "read"})
    for _ in range(24):
        run.turn(Call("think", {"thought": words(run.rng, 9)}, "logged"))
    assert said(run) == [("nudge", 6), ("kill", 18)]


def test_the_same_answer_is_seen_sooner():
    run = trace()
    for _ in range(7):
        run.says("I am working on it.")
    assert said(run) == [("nudge", 3), ("kill", 7)]
    assert verdict(run, "nudge").reason.startswith("You have given the same answer 3 times without doing anything")


def test_a_summary_of_older_turns_is_no_answer():
    run = trace()
    for _ in range(7):
        run._write(ModelResponded(call="s1", text=Content(value="I am working on it."), purpose="summary"))
    assert said(run) == []


def test_an_answer_that_says_the_same_words_over_and_over_is_seen_at_once():
    run = trace()
    for n in range(3):
        run.turn(Call("save", {"n": n}, f"saved {words(run.rng, 3)}"), text="I will look into it again. " * 40)
    assert said(run) == [("nudge", 1), ("kill", 3)]


def test_news_after_the_nudge_take_it_back():
    run = repeat(3).turn(Call("search", {"q": "y"}, "other hits"))
    for _ in range(2):
        run.turn(replace(SEARCH))
    assert said(run) == [("nudge", 3)]


def test_who_falls_back_into_the_same_circle_has_half_the_patience():
    run = repeat(3).turn(Call("search", {"q": "y"}, "other hits"))
    for _ in range(5):
        run.turn(replace(SEARCH))
    assert [each for each in said(run) if each[0] != "deny"] == [("nudge", 3), ("nudge", 7), ("kill", 9)]


@pytest.mark.parametrize("word", ["person", "signal", "resolved"])
def test_a_persons_word_takes_everything_back(word):
    run = repeat(5)
    match word:
        case "person":
            run.person("go on, it is fine")
        case "signal":
            run.signal("approval", "yes")
        case _:
            run._write(ToolResolved(call="m1.0", decision="done"), owner="")
    for _ in range(6):
        run.turn(replace(SEARCH))
    of = [each for each in said(run) if each[0] != "deny"]
    assert of == [("nudge", 3), ("nudge", 8)]


def test_a_guards_note_takes_nothing_back():
    run = repeat(5)
    run._write(RunSteered(text="You have $1 left", guard="budget"), owner="")
    for _ in range(2):
        run.turn(replace(SEARCH))
    assert ("kill", 7) in said(run)


def test_patience_begins_when_the_note_stands_in_the_journal():
    run = repeat(5)
    run._write(RunSteered(text="note", guard="loop"), owner="")
    for _ in range(4):
        run.turn(replace(SEARCH))
        run._write(RunSteered(text="another", guard="loop"), owner="")
    assert [each for each in said(run) if each[0] == "kill"] == [("kill", 9)]


def test_the_same_word_of_a_person_while_nothing_is_new_is_a_scripts():
    run = trace()
    for _ in range(40):
        run.person("continue").turn(replace(SEARCH))
    assert [each for each in said(run) if each[0] != "deny"] == [("nudge", 8), ("kill", 12)]


def test_what_a_hook_says_in_nearly_the_same_words_is_a_scripts_too():
    run = trace()
    for n in range(20):
        run.person(
            f"Stop hook: the goal is still active ({n} of 500). Install the part and verify it. Elapsed {31 * n} s."
        )
        run.says(("Cannot continue: the device is offline.", "Still blocked: it is offline.", "No change.")[n % 3])
    assert [action for action, _ in said(run)] == ["nudge", "kill"]
    told = trace()
    for n in range(20):
        told.person("continue").says(words(random.Random(n), 60))
    assert said(told) == []


def test_a_person_may_say_go_on_for_ever_if_there_is_something_to_say():
    run = trace()
    for _ in range(60):
        run.person("continue").says(words(run.rng, 60))
    assert said(run) == []


def test_the_same_answer_to_whatever_a_person_says_is_nudged_once_and_killed_in_the_end():
    run = trace()
    for _ in range(30):
        run.person(words(run.rng, 5)).says("Is there anything else that I can help you with?")
    assert said(run) == [("nudge", 12), ("kill", 24)]
    assert verdict(run, "kill").reason == "it gave the same answer 24 times, whatever was said to it"


def test_a_tool_that_polls_is_judged_by_time_and_not_by_count():
    quick, slow = trace(tools={"status": "poll"}), trace(tools={"status": "poll"})
    for _ in range(80):
        quick.turn(Call("status", {}, "queued", seconds=0.1), think=0.1)
    for _ in range(20):
        slow.turn(Call("status", {}, "queued", seconds=60), think=0.1)
    assert said(quick) == []
    assert [action for action, _ in said(slow)] == ["nudge", "kill"]
    assert verdict(slow, "nudge").reason.startswith("status has answered the same for 5 min")


def test_a_poll_that_stands_still_beside_other_work_is_no_trouble():
    run = trace(tools={"status": "poll"})
    for n in range(20):
        run.turn(Call("status", {}, "queued", seconds=60)).turn(Call("open", {"page": n}, words(run.rng, 30)))
    assert said(run) == []


def test_a_sleep_between_two_looks_is_part_of_the_waiting():
    run = trace(tools={"status": "poll"})
    for _ in range(30):
        run.turn(Call("status", {}, "queued"), think=0.1).turn(Call("sleep", {"seconds": 1}, "ok"), think=0.1)
    assert said(run) == []


def test_a_tool_that_says_it_is_not_ready_is_given_time_and_not_denied():
    run = repeat(60, Call("status", {}, "still running"))
    assert said(run) == [("nudge", 15), ("kill", 42)]


def edits_and_tests(rounds: int, run: Trace | None = None) -> Trace:
    run = trace() if run is None else run
    for n in range(run.turns, run.turns + rounds):
        run.turn(Call("bash", {"command": f"sed -i {n}d a.py"}, "")).turn(
            Call("bash", {"command": "make test"}, "1 failed")
        )
    return run


def test_edits_with_tests_between_them_are_no_loop_even_if_the_test_says_the_same():
    assert said(edits_and_tests(15)) == []


def test_edits_that_change_nothing_that_a_test_says_are_in_vain_in_the_end():
    assert said(edits_and_tests(30)) == [("nudge", 36), ("kill", 50)]


def test_whatever_is_read_between_edits_and_tests_makes_them_worth_while():
    run = trace()
    for n in range(6):
        edits_and_tests(12, run).turn(Call("bash", {"command": f"cat {n}.py"}, words(run.rng, 30)))
    assert said(run) == []


def test_a_check_that_finds_all_well_after_every_change_is_no_loop():
    run = trace()
    for n in range(100):
        run.turn(Call("edit", {"line": n}, "edited"))
        run.turn(Call("bash", {"command": "ruff check"}, "All checks passed!"))
    assert said(run) == []


def test_a_call_whose_result_moves_by_itself_may_stand_still_for_a_while():
    run = trace()
    for state in ("one line", "two lines", "three lines"):
        run.turn(Call("end", {"n": 30}, state))
    for _ in range(9):
        run.turn(Call("end", {"n": 30}, "three lines"))
    assert [each for each in said(run) if each[0] == "kill"] == []
    for _ in range(7):
        run.turn(Call("end", {"n": 30}, "three lines"))
    assert [each for each in said(run) if each[0] == "kill"] == [("kill", 16)]


def test_writes_that_are_acknowledged_in_the_same_words_are_work_but_no_news():
    run = trace()
    for n in range(300):
        run.turn(Call("convert", {"file": f"{n}.csv"}, "ok"))
    assert said(run) == []
    run = trace()
    for n in range(20):
        run.turn(Call("search", {"q": "x"}, "a list of hits")).turn(Call("put", {"n": n}, "saved"))
    assert [action for action, _ in said(run)] == ["nudge"]


def test_a_check_after_a_change_is_not_denied():
    run, test = trace().turn(Call("bash", {"command": "cd /"}, "")), Call("bash", {"command": "make test"}, "1 failed")
    for _ in range(4):
        run.turn(replace(test))
    assert said(run) == [("nudge", 5)]
    run.turn(Call("bash", {"command": "touch a"}, "")).turn(replace(test))
    assert said(run) == [("nudge", 5)]
    run.turn(replace(test))
    assert said(run) == [("nudge", 5), ("deny", 8)]


def test_a_poll_that_goes_back_to_what_it_was_is_news():
    run = trace(tools={"status": "poll", "grep": "read"})
    for n in range(60):
        if n % 12 == 0:
            run.turn(Call("status", {}, "up" if n % 24 else "down"))
        run.turn(Call("grep", {"pattern": f"p{n}"}, "no matches"))
    assert said(run) == []


def test_the_same_task_for_the_same_agent_is_seen_although_its_words_differ():
    run = trace(tools={"delegate": "spawn"})
    for _ in range(20):
        run.turn(Call("delegate", {"agent": "writer", "task": "write"}, words(run.rng, 30)))
    assert said(run) == [("nudge", 5), ("kill", 13)]


def test_a_delegate_that_fails_is_an_error():
    run = trace(tools={"delegate": "spawn"})
    for n in range(6):
        run.turn(Call("delegate", {"agent": "writer", "task": f"part {n}"}, problem="it broke"))
    assert said(run) == [("nudge", 5)]


def test_a_delegate_that_ends_without_a_problem_or_a_call_is_told_apart():
    run = trace(tools={"delegate": "spawn"})
    calls = (ToolCall(id="m1.0", name="delegate", arguments={}),)
    run._write(ModelResponded(call="m1", tool_calls=calls))
    run._write(ChildFinished(child="stranger", outcome="completed"), owner="")
    run._write(ChildSpawned(child="c0", call="m0.0", agent="writer"))
    run._write(ChildSpawned(child="c1", call="m1.0", agent="writer"))
    run._write(ChildFinished(child="c1", outcome="killed"), owner="")
    guard = guarded()
    state = guard.start(KEY)
    for each in run.seen:
        state, _ = guard.observe(state, each)
    assert (state.turn, state.children) == (None, {})
    assert state.streak.errors[0].times == 1


def test_agents_that_hand_work_to_each_other_are_told_and_then_stopped():
    run = trace(tools={"delegate": "spawn"}, agent="a", lineage=("b", "a", "b", "a", "b"))
    nudge = verdict(run, "nudge")
    assert nudge.reason.startswith("b and a hand this work to each other: 3 times so far")
    run.turn(Call("delegate", {"agent": "b", "task": "you do it"}, "done"))
    run.turn(Call("delegate", {"agent": "b", "task": "you do it again"}, "done"))
    assert said(run) == [("nudge", 0), ("kill", 1)]
    assert verdict(run, "kill").data == {"signal": "lineage", "agents": ["a", "b"]}


def test_an_agent_in_a_circle_may_still_delegate_to_somebody_else():
    run = trace(tools={"delegate": "spawn"}, agent="b", lineage=("a", "b", "a"))
    run.turn(Call("delegate", {"agent": "c", "task": "part"}, "done"))
    assert said(run) == [("nudge", 0)]


def test_what_comes_after_the_end_and_from_a_fenced_owner_is_not_seen():
    run = repeat(2).end()
    for _ in range(5):
        run.turn(replace(SEARCH))
    assert said(run) == []
    fenced = repeat(2)
    fenced._write(RunClaimed(task=2), owner="w2")
    for _ in range(5):
        fenced.turn(replace(SEARCH))
    assert said(fenced) == []


def test_outcomes_and_intents_of_unknown_calls_are_nothing():
    run = trace()
    run._write(ToolRequested(call="s1", tool="step"), ToolReturned(call="s1"))
    run.turn(replace(SEARCH))
    run._write(ToolRequested(call="m9.0", tool="search"), ToolReturned(call="m1.0"))
    assert said(run) == []


def test_a_call_that_stays_in_doubt_does_not_hide_the_turn():
    run = repeat(2)
    for n in (3, 4):
        calls = tuple(ToolCall(id=f"m{n}.{k}", name="search", arguments={"q": "x"}) for k in range(2))
        run._write(ModelResponded(call=f"m{n}", tool_calls=calls))
        run._write(ToolRequested(call=f"m{n}.0", tool="search"))
        run._write(ToolReturned(call=f"m{n}.0", result=Content(value=SEARCH.result)))
    calls = (ToolCall(id="m5.0", name="search", arguments={"q": "x"}),)
    run._write(ModelResponded(call="m5", tool_calls=calls))
    run._write(ModelResponded(call="m6", text=Content(value={"answer": 1})))
    assert said(run) == [("nudge", 4), ("deny", 4)]  # the third turn ends where the fourth begins


def test_many_calls_are_forgotten_in_favour_of_the_run():
    run = trace()
    for _ in range(2):
        for n in range(600):
            unique = "".join(chr(97 + n // 26**place % 26) for place in range(3))
            run.turn(Call("open", {"page": n}, " ".join(f"{unique}{word}" for word in WORDS)))
    assert said(run) == []


def test_the_settings_are_what_is_judged_by():
    assert said(repeat(6), repeats=5) == [("nudge", 5), ("deny", 6)]
    assert ("kill", 4) in said(repeat(4), patience=1)
    run = trace()
    for n in range(5):
        run.turn(Call("grep", {"pattern": f"p{n}"}, "no matches"))
    assert said(run, turns=2) == [("nudge", 5)]


def test_without_settings_the_defaults_hold():
    assert [each.action for each in judge(repeat(7).seen, guarded()).verdicts].count("kill") == 1


def test_a_poll_that_moves_on_is_news():
    run = trace(tools={"status": "poll"})
    for n in range(20):
        run.turn(Call("status", {}, "queued" if n % 4 else "running", seconds=120))
    assert said(run) == []


def test_an_error_that_only_counts_on_is_the_same_error():
    run = trace()
    for n in range(30):
        run.turn(Call("login", {}, f"wrong code, attempt {n} of 99"))
    assert [each for each in said(run) if each[0] != "deny"] == [("nudge", 5), ("kill", 13)]


def test_new_calls_that_are_answered_by_waiting_wait():
    run = trace()
    for n in range(80):
        run.turn(Call("start", {"n": n}, "queued"))
    assert said(run) == [("nudge", 55)]


def test_the_same_page_for_every_address_is_nothing_new():
    run = trace()
    for n in range(40):
        run.turn(Call("do", {"page": n}, words(random.Random(7), 60)))
    assert said(run)[-1] == ("kill", 13)
    run = trace()
    for n in range(40):
        run.turn(Call("open", {"page": n}, words(random.Random(7), 60)))
    assert said(run) == [("nudge", 4), ("kill", 10)]


def test_different_yes_and_no_are_news_and_a_run_of_noes_is_not():
    run = trace(tools={"exists": "read"})
    for n in range(40):
        run.turn(Call("exists", {"n": n}, n % 3 == 0))
    assert said(run) == []
    for n in range(20):
        run.turn(Call("exists", {"n": 100 + n}, False))
    assert [action for action, _ in said(run)] == ["nudge"]


def test_what_will_pass_may_be_tried_more_often():
    run = repeat(20, Call("fetch", {"url": "x"}, problem="HTTP 503: temporarily unavailable"))
    assert [each for each in said(run) if each[0] != "deny"] == [("nudge", 6), ("kill", 17)]


def test_the_worker_asks_it_once_the_model_was_told_by_it():
    guard = guarded()
    assert guard.wakes(RunSteered(text="note", guard="loop"))
    assert not guard.wakes(RunSteered(text="note", guard="budget"))
    assert not guard.wakes(ToolReturned(call="m1.0"))


def test_a_persons_yes_counts_however_often_it_was_said_while_something_was_new():
    run = trace()
    for n in range(20):
        run.person("yes").turn(Call("open", {"page": n}, words(run.rng, 20)))
    for _ in range(2):
        for _ in range(4):
            run.turn(replace(SEARCH))
        run.person("yes")
    assert [each for each in said(run) if each[0] != "deny"] == [("nudge", 23), ("nudge", 27)]


def test_calls_of_a_batch_may_fail_between_others_that_do_not():
    run = trace()
    for n in range(60):
        run.turn(Call("head", {"url": f"/{n}"}, {"status": 404} if n % 2 else {"status": 200}))
    assert said(run) == []


def test_long_words_that_were_said_before_are_no_news_whatever_stands_before_them():
    run = trace()
    paragraph = " ".join(f"{words(run.rng, 9)}." for _ in range(5))
    for _ in range(12):
        run.says(f"{words(run.rng, 3)}. {paragraph}")
    assert said(run) == [("nudge", 6), ("kill", 10)]


def test_the_same_page_of_arguments_is_no_step_further():
    put = Call("write", {"path": "a.ts", "content": words(random.Random(1), 60)}, "Successfully wrote a.ts")
    assert said(repeat(3, put))[0] == ("nudge", 3)
    assert said(repeat(3, Call("press", {"key": "Down"}, "ok"))) == []


def test_the_same_passages_with_other_scores_are_nothing_new():
    run = trace(tools={"retrieve": "read"})
    texts = [words(random.Random(n), 30) for n in range(5)]
    for n in range(25):
        found = [{"score": run.rng.random(), "text": text, "kind": "faq"} for text in texts]
        run.turn(Call("retrieve", {"query": f"what {n}"}, found))
    assert said(run)[0][0] == "nudge"


def test_an_error_that_quotes_a_part_of_the_call_is_the_same_error():
    run = trace()
    for n in range(8):
        answer = {"summary": words(random.Random(n), 20)}
        cut = f"input_value={str(answer)[:40]}..., input_type=dict]\n{words(random.Random(9), 20)}"
        run.turn(Call("final_answer", answer, problem=f"1 validation error\ncitations\n  Field required [{cut}"))
    assert said(run)[0] == ("nudge", 6)


def test_errors_that_were_all_there_before_are_seen_whichever_comes():
    run = trace()
    for n in range(9):
        kind = ("user", "order")[n % 3 == 0]
        run.turn(Call(f"find_{kind}", {"id": f"q{n}"}, f"Error: {kind} not found"))
    assert said(run)[0] == ("nudge", 7)


def test_an_empty_answer_is_no_news_because_the_last_one_was_another():
    run = trace()
    for n in range(30):
        run.turn(Call("act", {"action": f"go to shelf {n % 2}"}, f"You see {('a mug', 'a lamp')[n % 2]}."))
        run.turn(Call("act", {"action": f"take {words(run.rng, 2)}"}, "Nothing happens."))
    assert said(run)[0][0] == "nudge"


@pytest.mark.parametrize("look", [Call("bash", {"command": "sleep 30; tail -3 train.log"}, "epoch 3"),
    Call("wait", {"seconds": 30}, "epoch 3")])  # fmt: skip
def test_who_waits_before_it_looks_has_twice_the_time(look):
    assert [turn for action, turn in said(repeat(20, look)) if action in {"nudge", "kill"}] == [5, 13]
    awake = repeat(20, Call("bash", {"command": "tail -3 train.log"}, "epoch 3"))
    assert [turn for action, turn in said(awake) if action in {"nudge", "kill"}] == [3, 7]


def test_the_turn_after_one_that_slept_is_a_look_too():
    run = trace()
    for _ in range(20):
        run.turn(Call("sleep", {"seconds": 30}, "slept")).turn(Call("bash", {"command": "tail train.log"}, "epoch 3"))
    assert [turn for action, turn in said(run) if action in {"nudge", "kill"}] == [10, 18]


def test_a_screenshot_that_says_nothing_is_no_check_in_vain():
    run = trace()
    for n in range(30):
        run.turn(Call("click", {"at": [n, 2 * n]}, "Clicked")).turn(Call("look", {}, "Screenshot taken"))
    assert said(run) == []


def test_a_failure_after_a_sleep_is_a_failure():
    run = trace()
    for n in range(12):
        run.turn(Call("sleep", {"seconds": n}, "slept")).turn(Call("curl", {"n": n}, problem=f"no such host: h{n}"))
    assert [turn for action, turn in said(run) if action == "nudge"] == [21]


def test_a_change_that_fails_for_the_same_reason_is_seen_whatever_is_read_in_between():
    run = trace()
    for n in range(20):
        run.turn(Call("patch", {"old": words(run.rng, 9)}, {"success": False, "error": "old_string not found"}))
        run.turn(Call("read", {"path": f"{n}.py"}, words(run.rng, 60)))
    assert [action for action, _ in said(run)] == ["nudge", "kill"]
    assert verdict(run, "nudge").reason.startswith("A change has failed 5 times for the same reason")
    run = trace()
    for _ in range(12):
        run.turn(Call("patch", {"old": words(run.rng, 9)}, {"success": False, "error": "old_string not found"}))
        run.turn(Call("patch", {"old": words(run.rng, 9)}, {"success": True}))
    assert said(run) == []


def test_a_line_in_a_page_that_was_there_makes_it_less_sure_and_a_quarter_of_it_is_news():
    frame = [words(random.Random(n), 6) for n in range(40)]
    same, little, much = (trace(), trace(), trace())
    for n in range(30):
        for run, new in ((same, 0), (little, 2), (much, 12)):
            lines = [*frame[: len(frame) - new], *(f"{words(run.rng, 6)} {n}" for _ in range(new))]
            run.turn(Call("view", {"of": words(run.rng, 3)}, "\n".join(lines)))
    first = [said(run)[0][1] if said(run) else 99 for run in (same, little, much)]
    assert first[0] < first[1] == first[2] == 99


def test_the_same_in_other_words_is_no_other_call():
    run = trace()
    for n in range(30):
        note = (
            f"{('The user', 'They')[n % 2]} {('likes', 'prefers')[n // 2 % 2]} quiet places to work in, and calm ones."
        )
        run.turn(Call("remember", {"note": note, "more": ("Keep it", "Hold it")[n // 4 % 2]}, "kept in mind"))
    assert said(run)[0][0] == "nudge"


def test_a_form_that_is_filled_in_once_more_is_work_and_the_same_button_is_not():
    page = "\n".join(f"- {words(random.Random(n), 3)} [ref=e{n}]" for n in range(12))
    filled, pressed = trace(), trace()
    for n in range(40):
        fields = {"name": words(filled.rng, 3), "ref": f"e{filled.rng.randint(1, 900)}"}
        filled.turn(Call("browser_fill", fields, page)).turn(
            Call("browser_click", {"what": "Save", "ref": f"e{n}"}, page)
        )
        pressed.turn(Call("browser_click", {"what": "Accept", "ref": f"e{n}"}, page))
    assert [action for action, _ in said(filled) if action == "kill"] == []
    assert said(pressed)[0] == ("nudge", 4)


def test_who_labels_is_told_the_same_list_each_time():
    labels = [{"id": n, "name": words(random.Random(n), 3), "color": f"c{n}"} for n in range(6)]
    run = trace()
    for n in range(60):
        run.turn(Call("add_labels", {"number": n, "label": "bug"}, labels))
    assert [action for action, _ in said(run) if action == "kill"] == []


def test_a_tool_that_watches_by_its_name_is_given_more_time():
    watched, other = repeat(20, Call("get_terminal_output", {}, "epoch 3")), repeat(20, Call("get_it", {}, "epoch 3"))
    kills = [next(turn for action, turn in said(run) if action == "kill") for run in (watched, other)]
    assert kills == [13, 7]


def test_the_same_short_answer_to_whatever_is_asked_is_less_and_less_likely_and_no_proof():
    run = trace()
    for n in range(60):
        run.turn(Call("run", {"n": n, "what": words(run.rng, 2)}, "noop"))
    assert [action for action, _ in said(run)] == ["nudge"]


def test_a_long_result_of_scraps_is_new_when_it_was_not_there():
    run = trace()
    for n in range(12):
        run.turn(Call("dump", {"n": n}, f"{chr(97 + n)}\n" * 150))
    assert said(run) == []
