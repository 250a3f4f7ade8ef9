"""Recorded runs of real agents, turn by turn, as far as public trajectories and bug reports tell them.

What was called and in which order, what failed and what came back again is theirs; long texts are replaced by others of
their kind. Each says where it was found.
"""

from __future__ import annotations

import random

from tests.guards.loop.scenes import code, lint_refusal, shell, thought, trace_back, window
from tests.guards.loop.trace import Call, Trace, words


# ---- degenerate ---------------------------------------------------------------------------------------------------
def ship_mission(rng: random.Random) -> Trace:
    """A planner in a simulated ship, 100 steps until the limit: two wordings of five todos, the same two reports, and
    the same six paragraphs before each call."""
    trace = Trace(rng)
    paragraphs = [f"{start} {words(rng, 30)}." for start in ("Given the situation,", "First,", "Next,", "Finally,")]
    plans = [[f"{verb} {words(rng, 4)}" for verb in ("Review", "Analyze", "Identify", "Develop")] for _ in range(2)]
    looks = [Call(name, {}, f"=== {name} ===\n{words(rng, 60)}") for name in ("navigation", "power")]
    for n in range(25):
        plan = plans[n % 2]
        text = " ".join([f"My next steps should focus on {', '.join(plan)}.", *paragraphs])
        trace.turn(Call("todo_create", {"items": plan}, ""), text=text)
        trace.turn(*[Call(look.tool, {}, look.result) for look in looks][: 1 + n % 2], text=text)
        trace.turn(*(Call("todo_start", {"item": item}, "") for item in range(4)), text=text)
        trace.turn(*(Call("todo_complete", {"item": item}, "") for item in range(4)), text=text)
    return trace


def same_diagnostic_52_times(rng: random.Random) -> Trace:
    """PrimeIntellect-ai/prime-agent#1326: the same command 23 times, a person, 20 times, a person, 9 times."""
    trace = Trace(rng).turn(shell("python -m app check", trace_back(rng, "ValidationError: 1 error for Config")))
    for times in (23, 20, 9):
        for _ in range(times):
            trace.turn(
                shell("grep -n schema src/config.py", ""), text=f"Let me try a different approach: {words(rng, 9)}."
            )
        trace.person(f"You repeat yourself. {words(rng, 5)}")
    return trace


def dead_process(rng: random.Random) -> Trace:
    """openclaw/openclaw#16808: 1,535 looks into the log of one process (here 300), two a minute."""
    trace = Trace(rng).turn(Call("process", {"action": "start", "command": "npm run dev"}, {"sessionId": "keen-fjord"}))
    for _ in range(300):
        trace.turn(Call("process", {"action": "log", "sessionId": "keen-fjord"}, "(no new output)", seconds=4))
    return trace


def listing_again(rng: random.Random) -> Trace:
    """earendil-works/pi#6158: ls six times, ls -la five times, with the same output, instead of the write."""
    trace = Trace(rng).turn(shell("cat custom.css", words(rng, 60)))
    for command, times in (("ls /home/dev/.jupyter/custom/", 6), ("ls -la /home/dev/.jupyter/custom/", 5)):
        shown = words(rng, 12)
        for _ in range(times):
            trace.turn(shell(command, shown), text=thought(rng))
    return trace


def tax_rates(rng: random.Random) -> Trace:
    """Significant-Gravitas/AutoGPT#1994: the same query, although it was answered; a word of the person, and again."""
    trace, found = Trace(rng), [{"title": words(rng, 6), "href": f"https://{words(rng, 1)}.test"} for _ in range(8)]
    for times in (8, 12):
        for _ in range(times):
            trace.turn(Call("google", {"input": "personal income tax rates in countries with low taxes"}, found),
                text=thought(rng))  # fmt: skip
        trace.person(words(rng, 6)).turn(Call("google", {"input": words(rng, 5)}, found[:3]))
    return trace


def task_sent_again(rng: random.Random) -> Trace:
    """datakurre/graph-agent#25: the prompt comes again before each turn; 110 turns."""
    trace = Trace(rng)
    for _ in range(110):
        trace.person("Run: wc -l notes.txt").turn(shell("wc -l notes.txt", "12 notes.txt"))
    return trace


# ---- healthy, or not for us to end --------------------------------------------------------------------------------
def cognitive_complexity(rng: random.Random) -> Trace:
    """SWE-agent on Melevir/cognitive_complexity#15, solved: 21 steps, one edit refused."""
    trace, tests, api = Trace(rng), code(rng, 220), code(rng, 92)
    trace.turn(
        Call("find_file", {"name": "test_real_function("}, 'No matches found for "test_real_function(" in /repo')
    )
    for name, path in (("test_real_function", "tests/test_it.py"), ("def get_code_snippet(", "tests/conftest.py"),
        ("def get_complexity(", "src/api.py"), ("def process_node(", "src/utils/ast.py")):  # fmt: skip
        trace.turn(
            Call("search_dir", {"term": name}, f'Found 1 matches for "{name}" in /repo:\n/repo/{path} (1 matches)')
        )
        trace.turn(Call("open", {"path": path}, window(path, tests if "test_" in path else code(rng, 40), 1)))
    trace.turn(Call("search_file", {"term": "test_real_function("}, "Found 1 matches: line 109"))
    trace.turn(Call("goto", {"line": 109}, window("tests/test_it.py", tests, 59)))
    api[87] = "return 1"
    trace.turn(
        Call("edit", {"range": "88:88", "text": api[87]}, f"{window('src/utils/ast.py', api, 40)}\nFile updated.")
    )
    trace.turn(shell("pytest", f"{words(rng, 40)}\n2 failed, 14 passed in 0.31s"))
    trace.turn(Call("edit", {"range": "125:125", "text": "x"}, lint_refusal(rng, "E999 SyntaxError", tests, 120)))
    trace.turn(Call("open", {"path": "tests/test_it.py"}, window("tests/test_it.py", tests, 1)))
    for line in (125, 147):
        trace.turn(Call("goto", {"line": line}, window("tests/test_it.py", tests, line - 50)))
        tests[line] = f"assert complexity == {line}"
        shown = f"{window('tests/test_it.py', tests, line - 50)}\nFile updated."
        trace.turn(Call("edit", {"range": f"{line}:{line}", "text": tests[line]}, shown))
    return trace.turn(shell("pytest", f"{words(rng, 40)}\n16 passed in 0.29s")).turn(Call("submit", {}, "diff")).end()


def no_booking_id(rng: random.Random) -> Trace:
    """tau-bench, airline, gpt-4o: the customer has no id; the agent asks for it in much the same words five times."""
    trace = Trace(rng)
    ask = "Unfortunately, I need the reservation ID to proceed. If you have access to your email, it might be there."
    for n in range(5):
        trace.person(f"I do not have it. {words(rng, 8)}?").says(
            f"{ask} {words(rng, 6)}." if n else f"I can help. {ask}"
        )
    return trace.person("Thank you!").end("You are welcome! Safe travels.")


def long_build(rng: random.Random) -> Trace:
    """macanderson/stella#359: read_output with the same handle and sleep 5 between, ten minutes of a build."""
    trace = Trace(rng).turn(
        Call("start_process", {"command": "make"}, {"handle": 3, "hint": "poll it with read_output"})
    )
    for n in range(60):
        trace.turn(Call("read_output", {"handle": 3}, f"CC {words(rng, 1)}_{n}.o\nCC {words(rng, 1)}_{n}.o"), think=1)
        trace.turn(shell("sleep 5", "", seconds=5), think=1)
    return trace.turn(Call("read_output", {"handle": 3}, "exited (code 0)")).end()


def quiet_shell(rng: random.Random) -> Trace:
    """weave-os/router#1123: a long command in a shell that is polled with empty input; 5 of 10 polls are alike."""
    trace = Trace(rng).turn(Call("exec", {"command": "cargo test"}, {"session": 7, "output": "Compiling"}))
    for n in range(24):
        output = "" if n % 2 else f"test {words(rng, 2)} ... ok"
        trace.turn(
            Call("exec", {"write_stdin": {"session": 7, "chars": ""}}, {"session": 7, "output": output}, seconds=10)
        )
    return trace.end()


def verification_cycles(rng: random.Random) -> Trace:
    """QwenLM/qwen-code#9733: six stages, each with a script that is written, run, edited and run again, and checked."""
    trace = Trace(rng)
    for stage in range(6):
        for draft in range(3):
            path = f"stage_{stage}.py"
            trace.turn(Call("write_file" if not draft else "edit", {"path": path, "text": words(rng, 30)}, "Success"))
            shown = (
                trace_back(rng, f"KeyError: '{words(rng, 1)}'")
                if draft < 2
                else f"rendered {rng.randint(9, 99)} frames"
            )
            trace.turn(Call("run_shell_command", {"command": f"python {path}"}, shown), text=thought(rng))
        trace.turn(Call("run_shell_command", {"command": f"ls -la out/{stage}"}, f"total {rng.randint(9, 99)}"))
        trace.turn(Call("read_file", {"path": "HANDOFF.md"}, words(random.Random(1), 90)))
    return trace.end()


def six_rounds_and_an_end(rng: random.Random) -> Trace:
    """zysoong/open-codex-gui, session b50375f7: six edits, six times the same failure, and the limit of steps."""
    trace = Trace(rng)
    for n in range(7):
        trace.turn(shell(f"sed -n '{n * 30}p' spline.py", words(rng, 30)))
    for _ in range(6):
        trace.turn(Call("file_edit", {"path": "spline.py", "old": words(rng, 6), "new": words(rng, 6)}, "edited"))
        trace.turn(shell("pytest", trace_back(random.Random(4), "ValueError: Need at least 8 knots for degree 3")))
    return trace


DEGENERATE = (ship_mission, same_diagnostic_52_times, dead_process, listing_again, tax_rates, task_sent_again)
HEALTHY = (
    cognitive_complexity, no_booking_id, long_build, quiet_shell, verification_cycles, six_rounds_and_an_end,
)  # fmt: skip
