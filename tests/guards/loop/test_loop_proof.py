"""What is a proof, and what is only a reason for a note: dull work is not stopped for being dull."""

from __future__ import annotations

import random

import pytest

from callboard.bus.messages import Content
from callboard.guards.loop.envelope import opened
from callboard.guards.loop.fingerprint import outcome_of
from callboard.guards.loop.mood import mood_of
from tests.guards.loop.evaluation import judge
from tests.guards.loop.trace import Call, Trace, words

NOTHING = ("", None, [], {}, "ok", True, {"ok": True}, {"status": "fine"}, 204)


def trace(**kinds):
    return Trace(random.Random(7), kinds)


def actions(run):
    return [verdict.action for verdict in judge(run.seen).verdicts]


@pytest.mark.parametrize("kind", ["write", "read", "undeclared"])
@pytest.mark.parametrize("answer", NOTHING[4:])
def test_no_run_ends_for_items_that_all_get_the_same_good_answer(answer, kind):
    run = trace(**({} if kind == "undeclared" else {"check": kind}))
    for n in range(90):
        run.turn(Call("check", {"path": f"src/{words(run.rng, 1)}_{n}.py"}, answer))
    assert "kill" not in actions(run)


@pytest.mark.parametrize("answer", NOTHING[:5])
def test_no_run_ends_for_rows_that_are_written_whatever_acknowledges_them(answer):
    run = trace(put="write")
    for n in range(40):
        run.turn(Call("put", {"name": f"{words(run.rng, 2)} {n}", "text": words(run.rng, 6)}, answer))
    assert "kill" not in actions(run)


def test_no_run_ends_for_delegates_who_all_say_that_it_is_done():
    run = trace(ask="spawn")
    for n in range(60):
        run.turn(Call("ask", {"agent": "worker", "task": f"Translate src/{words(run.rng, 1)}_{n}.md."}, "Done."))
    assert "kill" not in actions(run)


def test_a_page_of_another_item_may_differ_in_its_numbers_only_and_a_click_is_no_item():
    frame = "\n".join(words(random.Random(n), 9) for n in range(9))
    read, clicked = trace(fetch="read"), trace()
    for n in range(40):
        page = f"{frame}\nPrice: {read.rng.randint(1, 10**6)}, in stock: {read.rng.randint(1, 10**6)}\n{frame}"
        read.turn(Call("fetch", {"url": f"https://shop.example/p/{n}"}, page))
        clicked.turn(Call("click", {"index": n}, page))
    assert actions(read) == ["nudge"]
    assert "kill" in actions(clicked)


def test_an_answer_that_changes_and_comes_back_is_no_proof_and_a_button_that_toggles_is():
    drawn, toggled = trace(draw="read"), trace(click="write")
    pages = [words(random.Random(n), 60) for n in range(2)]
    for n in range(60):
        drawn.turn(Call("draw", {}, f"card {drawn.rng.choice(('ace', 'king', 'queen'))}"))
        toggled.turn(Call("click", {"index": 4}, pages[n % 2]))
    assert "kill" not in actions(drawn)
    assert "kill" in actions(toggled)


def test_what_is_pressed_for_each_row_is_routine():
    run = trace(goto="write", fill="write", submit="write")
    for n in range(40):
        run.turn(Call("goto", {"url": "https://erp.example/new"}, "Navigated to https://erp.example/new"))
        run.turn(Call("fill", {"field": "name", "value": f"{words(run.rng, 2)} {n}"}, "Filled name"))
        run.turn(Call("submit", {}, "Submitted"))
    assert "kill" not in actions(run)


def test_one_turn_that_opens_fills_and_submits_is_no_circle():
    run = trace()
    for _ in range(20):
        fill = Call("fill", {"field": "name", "value": words(run.rng, 3)}, "ok")
        run.turn(Call("goto", {"url": "https://erp.example/new"}, "ok"), fill, Call("submit", {}, "ok"))
    assert actions(run) == []


def test_who_types_another_number_into_a_form_fills_it_in():
    frame = "\n".join(words(random.Random(n), 9) for n in range(12))
    run = trace()
    for n in range(60):
        run.turn(Call("type", {"field": "amount", "text": f"{n}"}, f"{frame}\namount: {n}"))
    assert "kill" not in actions(run)


def test_a_page_whose_counters_move_when_the_same_is_pressed_is_the_same_page():
    frame = "\n".join(words(random.Random(n), 9) for n in range(5))
    run = trace()
    for _ in range(40):
        counters = "\n".join(f"visits of the last hour: {run.rng.randint(1, 10**6)}" for _ in range(4))
        run.turn(Call("click", {"text": "Accept all"}, f"{frame}\n{counters}"))
    assert "kill" in actions(run)


def looked_at(results):
    run = trace(copied="poll")
    for result in results:
        run.turn(Call("copied", {"id": 3}, result), think=600)
    return run


def test_a_copy_that_pauses_for_some_looks_goes_on_however_long_each_look_waits():
    growing = looked_at([{"tb": n // 3, "state": "COPYING"} for n in range(60)])
    assert actions(growing) == []
    assert "kill" in actions(looked_at([{"tb": 1, "state": "COPYING"}] * 12))


def test_what_has_moved_may_stand_still_for_longer_and_not_for_ever():
    run = looked_at([{"tb": min(n, 5), "state": "COPYING"} for n in range(40)])
    assert [verdict.action for verdict in judge(run.seen).verdicts] == ["nudge", "kill"]
    assert judge(run.seen).first("kill") > 15


@pytest.mark.parametrize(
    "picture", [[{"type": "image", "source": {"sha256": "f00d" * 16}}], "Screenshot taken", "[image]"]
)
def test_a_picture_shows_what_the_model_says_that_it_sees(picture):
    told, silent = trace(), trace()
    for _ in range(30):
        told.turn(Call("screenshot", {}, picture), text=words(told.rng, 20))
        silent.turn(Call("screenshot", {}, picture), text="I look at the screen again to see what it shows.")
    assert "kill" not in actions(told)
    assert "kill" in actions(silent)


@pytest.mark.parametrize("footer", [
    "\n(Open file: n/a)\n(Current directory: /testbed)\nbash-$",
    "\n[Current working directory: /w]\n[Python interpreter: /usr/bin/python]\n[Command finished with exit code 0]",
    "\n[exit code 0, took 0.2s]", "\nProcess exited with code 0", "\nroot@4f3a:/w# ",
])  # fmt: skip
def test_what_a_harness_writes_below_each_result_is_no_part_of_it(footer):
    assert opened(f"3 files changed{footer}")[0] == "3 files changed"
    assert outcome_of(Content(value=footer), None, tool="bash", arguments={}).mood == "void"


@pytest.mark.parametrize("text", ["3 files (new)", "[exit code 1]", "a list: [1, 0]", "</user>", "cost: $"])
def test_a_footer_that_is_none_stays(text):
    assert opened(text)[0] == text


@pytest.mark.parametrize(("text", "mood"), [
    ('{"active":true,"id":7,"name":"Ann","owner":null,"tags":[]}', "good"),
    ('{"archived":false,"id":7,"name":"Ann"}', "plain"),
    ('{"id":7,"items":[],"name":"Ann"}', "empty"), ('{"found":false,"id":7,"name":"Ann"}', "empty"),
    ('{"owner":null,"total":0}', "empty"), ('{"tags":[]}', "empty"), ("DELETE 10000", "good"),
])  # fmt: skip
def test_a_field_without_a_value_is_no_record_that_is_missing(text, mood):
    assert mood_of(text, failed=False) == mood


def test_who_reads_what_it_wrote_reads_nothing_new():
    run = trace(write_file="write", read_file="read")
    body = [words(random.Random(n), 9) for n in range(12)]
    for n in range(40):
        body[n % 12] = f"{words(run.rng, 1)}: {body[n % 12].split(': ')[-1]}"
        run.turn(Call("write_file", {"path": "report.md", "content": "\n".join(body)}, "Wrote it"))
        run.turn(Call("read_file", {"path": "report.md"}, "\n".join(body)))
    nudged, killed = (judge(run.seen).first(action) for action in ("nudge", "kill"))
    assert 0 < nudged < killed < 40


def test_the_numbers_of_elements_are_no_part_of_a_page():
    def page(first):
        return "\n".join(f"\t*[{first + n}]<a {words(random.Random(n), 4)} />" for n in range(9))

    one, other = (outcome_of(Content(value=page(first)), None, tool="look", arguments={}) for first in (3, 40))
    assert one.same == other.same


def test_words_after_a_sleep_count_as_words():
    run = trace()
    for n in range(20):
        run.turn(Call("bash", {"command": f"sleep {n + 100}; echo ok"}, f"Command running with ID: bash_{n}"))
        run.says("Only a timer. Nothing is new: what I have said above stands as it is.")
    assert judge(run.seen).first("nudge") < 18


def test_a_note_about_a_poll_is_read_before_the_run_ends():
    run = looked_at([{"tb": 1, "state": "COPYING"}] * 12)
    assert judge(run.seen).first("kill") - judge(run.seen).first("nudge") >= 3
