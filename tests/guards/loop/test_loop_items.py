"""What is one item more, and what is the same once more: rules of the loop guard that each have a run of their own."""

from __future__ import annotations

import random

import pytest

from callboard.guards.loop.envelope import opened
from callboard.guards.loop.guard import LoopGuard
from callboard.guards.loop.repetition import repeated
from callboard.guards.loop.verbs import handles, reads, thinks, types, watches, writes
from tests.guards.loop.evaluation import judge
from tests.guards.loop.trace import Call, Trace, words

PAGE = "\n".join(f"- {words(random.Random(n), 3)} [ref=e{n}]" for n in range(12))


def said(run: Trace) -> list[tuple[str, int]]:
    judged = judge(run.seen, LoopGuard())
    found = zip(judged.verdicts, judged.turns, strict=True)
    return [(verdict.action, turn) for verdict, turn in found if verdict.action != "deny"]


def actions(run: Trace) -> list[str]:
    return [action for action, _ in said(run)]


def run_of(tools: dict[str, str] | None = None) -> Trace:
    return Trace(random.Random(1), tools or {})


def test_the_same_change_in_one_file_after_the_other_is_work():
    run = run_of()
    names = [
        f"src/{one}/{other}.py" for one in ("order", "client", "total") for other in ("read", "save", "close", "open")
    ]
    for name in [*names, *(each.replace("src", "lib") for each in names)]:
        change = {"path": name, "old": "from app import price as the old name", "new": "from app import price_v2"}
        run.turn(Call("edit_file", change, f"The file {name} has been updated."))
    assert said(run) == []


@pytest.mark.parametrize("answer", ["1 row affected", "updatedRows: 1", "Zeile gespeichert"])
def test_row_after_row_is_work_whatever_the_tool_says_about_it(answer):
    run = run_of()
    for row in range(40):
        values = [f"{words(run.rng, 1)}_{words(run.rng, 1)}", "the vendor calls back later", row % 7]
        run.turn(Call("update_row", {"sheet": "Leads", "row": row, "values": values}, answer))
    assert said(run) == []


def test_the_same_key_between_the_fields_of_a_form_is_work():
    run = run_of()
    for n in range(25):
        run.turn(Call("browser_type", {"text": f"{words(run.rng, 2)}son"}, "Typed."))
        run.turn(Call("browser_press", {"key": "Tab"}, "Pressed the key"))
        run.turn(Call("browser_type", {"text": f"{n}@acme.test"}, "Typed."))
        run.turn(Call("browser_press", {"key": "Enter"}, PAGE))
    assert "kill" not in actions(run)


def test_a_page_that_is_read_at_another_address_is_new_if_its_lines_are():
    run = run_of({"read_file": "read"})
    lines = [
        f"{one} = {other}({n})"
        for n, one in enumerate(words(run.rng, 30).split())
        for other in words(run.rng, 9).split()
    ]
    for n in range(40):
        text = "\n".join(f"{run.rng.choice(lines)} {run.rng.choice(lines)}" for _ in range(9))
        run.turn(Call("read_file", {"path": f"src/{words(run.rng, 1)}/{words(run.rng, 1)}_{n}.py"}, text))
    assert said(run) == []


def test_one_file_written_anew_again_and_again_is_a_loop_and_edits_of_it_are_none():
    whole, parts = run_of(), run_of()
    for n in range(30):
        whole.turn(Call("write", {"path": "plan.md", "content": words(whole.rng, 60)}, f"wrote {400 + n} bytes"))
        parts.turn(
            Call("edit", {"path": "plan.md", "old": words(parts.rng, 30), "new": words(parts.rng, 40)}, "edited")
        )
    assert actions(whole) == ["nudge", "kill"]
    assert said(parts) == []


def test_drafts_of_one_file_with_something_new_between_them_are_work():
    run = run_of()
    for _ in range(20):
        run.turn(Call("write", {"path": "plan.md", "content": words(run.rng, 60)}, "written"))
        run.turn(Call("review", {"path": "plan.md"}, words(run.rng, 60)))
    assert said(run) == []


def test_a_check_that_fails_alike_but_for_its_numbers_is_in_vain():
    run = run_of()
    for n in range(30):
        run.turn(Call("edit", {"path": "a.py", "old": words(run.rng, 7), "new": words(run.rng, 9)}, "edited"))
        run.turn(Call("bash", {"command": "make test"}, f"FAILED a.py:{n}: AssertionError: 3 != 4"))
    assert actions(run) == ["nudge", "kill"]


def test_another_number_in_the_same_place_is_tried_less_long():
    other, number = run_of(), run_of()
    for n in range(30):
        change = {"path": "a.py", "old": words(other.rng, 7), "new": words(other.rng, 9)}
        for run, each in (
            (other, change),
            (number, {"path": "a.py", "old": f"TIMEOUT = {n}", "new": f"TIMEOUT = {n + 1}"}),
        ):
            run.turn(Call("edit", each, "edited")).turn(Call("bash", {"command": "make test"}, "1 failed"))
    kills = [dict(said(run))["kill"] for run in (other, number)]
    assert kills[1] < kills[0]


def test_what_is_read_between_the_numbers_makes_them_worth_while():
    run = run_of()
    for n in range(40):
        run.turn(Call("edit", {"path": "a.py", "new": f"TIMEOUT = {n + 1}"}, "edited"))
        run.turn(Call("bash", {"command": "make test"}, "1 failed"))
        if n % 8 == 7:
            run.turn(Call("read", {"path": f"{n}.log"}, words(run.rng, 60)))
    assert said(run) == []


@pytest.mark.parametrize(
    "shut", ["You need to enable JavaScript to run this app.", "Verify you are human to go on.", "Solve the captcha."]
)
def test_pages_that_stand_before_another_one_are_failures(shut):
    run = run_of({"fetch": "read"})
    frame = "\n".join(words(run.rng, 4) for _ in range(20))
    for n in range(16):
        run.turn(Call("fetch", {"url": f"https://a.test/{words(run.rng, 1)}/{n}"}, f"{frame}\n{shut}"))
    assert actions(run) == ["nudge", "kill"]


def test_reading_on_behind_the_end_fails():
    run = run_of({"read": "read"})
    for n in range(12):
        said_so = f"Warning: the file is shorter than the provided offset ({900 + n}). It has 120 lines."
        run.turn(Call("read", {"path": "a.log", "offset": 900 + n}, said_so))
    assert actions(run) == ["nudge", "kill"]


def test_numbered_thoughts_are_thoughts_and_the_same_ones_are_stale():
    run = run_of()
    for n in range(12):
        thought = {"thought": f"{('Well', 'So')[n % 2]}, how the parser reads its header once more", "number": n}
        run.turn(Call("mcp__thoughts__sequentialthinking", thought, {"number": n, "history": n}))
    assert actions(run) == ["nudge", "kill"]


def test_new_thoughts_have_more_time_than_the_same_ones():
    run = run_of()
    for _ in range(14):
        run.turn(Call("think", {"thought": words(run.rng, 20)}, "noted"))
    assert actions(run) == ["nudge"]


def test_who_waits_between_looks_is_not_denied_the_waiting():
    run = run_of()
    for n in range(60):
        run.turn(Call("read_output", {"id": 3}, f"CC {words(run.rng, 1)}_{n}.o"))
        run.turn(Call("bash", {"command": "sleep 5"}, "", seconds=5))
    assert judge(run.seen).verdicts == ()


def test_a_log_that_speaks_of_failures_is_no_failure():
    run, log = run_of(), [f"raise ValueError({n})  # {words(random.Random(n), 7)}" for n in range(8)]
    for n in range(6):
        log = [*log[1:], f"raise KeyError({n})  # {words(run.rng, 7)}"]
        run.turn(Call("get_output", {"id": 1}, "\n".join(log))).turn(Call("get_output", {"id": 1}, "\n".join(log)))
    assert "kill" not in actions(run)


def test_who_falls_back_again_and_again_keeps_half_the_patience():
    run = run_of()
    for _ in range(5):
        for _ in range(4):
            run.turn(Call("look", {}, words(random.Random(3), 60)))
        run.turn(Call("find", {"n": run.turns}, words(run.rng, 60)))
    assert "kill" not in actions(run)


def test_restarts_with_the_same_log_behind_another_name_are_a_loop():
    run = run_of()
    for n in range(12):
        pod = f"web-{run.rng.getrandbits(36):09x}-{run.rng.getrandbits(20):05x}"
        run.turn(Call("bash", {"command": "kubectl rollout restart deploy/web"}, "deployment.apps/web restarted"))
        run.turn(
            Call(
                "bash",
                {"command": "kubectl get pods"},
                f"NAME STATUS RESTARTS AGE\n{pod} CrashLoopBackOff {n} {40 + n}s",
            )
        )
        run.turn(
            Call("bash", {"command": f"kubectl logs {pod}"}, "panic: missing environment variable WEB_DSN\ngoroutine 1")
        )
    assert actions(run) == ["nudge", "kill"]


def test_answers_that_differ_from_one_new_question_to_the_next_tell_something():
    run = run_of()
    for n in range(90):
        run.turn(
            Call("exists", {"path": f"/srv/{words(run.rng, 1)}/{n}.csv"}, ("true", "false", "false", "false")[n % 4])
        )
    assert "kill" not in actions(run)


def test_another_number_for_each_question_is_an_answer():
    run = run_of({"count": "read"})
    for n in range(40):
        run.turn(Call("count", {"of": f"{words(run.rng, 3)} {n}"}, f"{n * 7} of them are in store"))
    assert said(run) == []


@pytest.mark.parametrize("unit", ["court ", "\u52a0\u6cb9\uff01"])
def test_one_word_over_and_over_is_a_repetition_and_a_column_of_it_is_none(unit):
    assert repeated(unit * 300) >= 64
    assert not repeated(unit * 20)
    assert not repeated("| - " * 300)


@pytest.mark.parametrize(
    ("value", "content", "failed"),
    [
        ("ok", "ok", False), (None, None, False), ("{no json", "{no json", False), ({"rows": 1}, {"rows": 1}, False),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb", False),
        ({"content": [{"type": "text", "text": '{"b": 1}'}], "isError": True}, {"b": 1}, True),
        ('{"output": "x", "exit_code": 0}', "x", False), ({"stdout": "a", "stderr": "b"}, "a\nb", False),
        ({"result": [1], "output": "x"}, [[1], "x"], False), ({"stdout": "", "exit_code": 1}, "", False),
        ({"text": "a", "name": "b"}, {"text": "a", "name": "b"}, False),
        ([{"type": "image", "text": "x"}], [{"type": "image", "text": "x"}], False),
        ("[" * 70_000, "[" * 70_000, False),
    ],
)  # fmt: skip
def test_a_result_is_what_it_says_whatever_it_is_wrapped_in(value, content, failed):
    assert opened(value) == (content, failed)


def test_deep_envelopes_are_opened_so_far():
    value = "x"
    for _ in range(9):
        value = {"result": value}
    assert opened(value)[0] != "x"


def test_a_tool_is_what_its_first_verb_says_however_its_name_is_written():
    assert all(map(reads, ("read_file", "readFile", "mcp__fs__file.read", "HTTPGet", "stripe.listCustomers")))
    assert all(map(writes, ("updateRow", "add_labels", "github.addComment", "browser_click")))
    assert not any(map(reads, ("widget", "bash", "update_list", "")))
    assert handles("mcp__browser_click")
    assert not types("mcp__browser_click")
    assert types("fillForm")
    assert watches("get_status")
    assert all(map(thinks, ("think", "sequentialthinking", "mcp__x__sequential-thinking")))
    assert not any(map(thinks, ("rethink_plan", "123")))
