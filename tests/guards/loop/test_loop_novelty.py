"""How much of a turn is new: rules of the loop guard that each have a run of their own."""

from __future__ import annotations

import random

import pytest

from callboard.guards.loop.guard import LoopGuard
from callboard.guards.loop.mood import mood_of
from tests.guards.loop.evaluation import evaluate, judge
from tests.guards.loop.on_track import help_desk
from tests.guards.loop.trace import Call, Trace, words


def said(run: Trace) -> list[str]:
    return [verdict.action for verdict in judge(run.seen, LoopGuard()).verdicts if verdict.action != "deny"]


def thoughts(turns: int) -> Trace:
    """The same idea, nearly in the same words, beside a number that counts on."""
    run, about = Trace(random.Random(1)), words(random.Random(2), 30)
    for n in range(turns):
        thought = f"{('So,', 'Wait,', 'Well,')[n % 3]} {about} {words(run.rng, 4)}"
        run.turn(Call("muse", {"text": thought, "number": n}, {"number": n, "more": True}))
    return run


def test_a_page_of_words_that_were_all_said_is_no_step_further_whatever_number_stands_beside_it():
    assert said(thoughts(30)) == ["nudge", "kill"]


def test_a_short_command_in_known_words_with_a_new_number_is_work():
    run = Trace(random.Random(1))
    for n in range(60):
        name = ("order", "client", "total")[n % 3]
        run.turn(Call("bash", {"command": f"convert data {name} {n} csv --out parquet --keep header"}, "done"))
    assert said(run) == []


def test_a_hook_that_is_told_the_same_in_a_few_other_words_is_told_nothing():
    run = Trace(random.Random(1))
    for n in range(40):
        run.person(f"[SYSTEM] Incomplete tasks remain, go on with the next pending task. {n % 2} of 3 are done.")
        run.says(f"Done already. {words(run.rng, 4)}.")
    assert said(run) == ["nudge", "kill"]


def test_the_same_error_15_times_in_a_row_is_not_excused_by_what_stands_beside_it():
    run = Trace(random.Random(1))
    for _ in range(24):
        excerpt = "\n".join(words(run.rng, 7) for _ in range(9))
        run.turn(Call("alter", {"text": words(run.rng, 8)}, f"Error: the text was not found in the file\n{excerpt}"))
    assert said(run) == ["nudge", "kill"]


def test_one_new_word_of_a_failure_is_what_it_tells():
    run = Trace(random.Random(1))
    for n in range(12):
        name = "".join(chr(97 + n) for _ in range(5))
        run.turn(Call("bash", {"command": "python run.py"}, f"ModuleNotFoundError: there is no module named {name}"))
        run.turn(Call("bash", {"command": f"pip install {name}"}, f"ERROR: no matching distribution for {name}"))
    assert said(run) == []


def test_one_more_line_of_a_log_is_news():
    run = Trace(random.Random(1))
    log = [words(run.rng, 8) for _ in range(20)]
    for _ in range(6):
        for _ in range(2):
            run.turn(Call("look", {}, "\n".join(log[-20:])))
        log.append(words(run.rng, 8))
    assert said(run) == []


@pytest.mark.parametrize("text", ['{"isError": false, "text": "updated"}', '{"lastError":null,"state":"saved"}'])
def test_the_absence_of_an_error_is_none(text):
    assert mood_of(text.replace(": ", ":"), failed=False) == "good"


def test_many_people_who_ask_much_the_same_are_no_script():
    assert evaluate(help_desk, "healthy", runs=12).killed == 0
