"""Labelled families after recorded runs of real agents: the fourth set, second half, kept away from the tuning.

Written together with ``recorded``, before the detector was run on either.
"""

from __future__ import annotations

import random

from tests.guards.loop.scenes import code, explore, hits, report, shell, thought, tools, trace_back, window
from tests.guards.loop.trace import Call, Trace, choose, words


# ---- degenerate ---------------------------------------------------------------------------------------------------
def str_replace_not_found(rng: random.Random) -> Trace:
    """It replaces what is not there: another string each time, now and then a look at the same lines."""
    trace, lines = explore(Trace(rng, tools(rng, str_replace="write", view="read")), rng.randint(2, 8)), code(rng, 200)
    for _ in range(rng.randint(20, 50)):
        old = words(rng, rng.randint(4, 14))
        missing = f"No replacement was performed, old_str `{old}` did not appear verbatim in /w/src/core.py."
        change = Call("str_replace", {"path": "/w/src/core.py", "old_str": old, "new_str": words(rng, 10)}, missing)
        if rng.random() < 0.4:
            change = Call(change.tool, change.arguments, problem=f"ERROR: {missing}")
        trace.turn(change, text=thought(rng))
        if rng.random() < 0.25:
            trace.turn(
                Call("view", {"path": "/w/src/core.py", "view_range": [40, 80]}, window("core.py", lines, 40, 40))
            )
    return trace


def windows_endlessly(rng: random.Random) -> Trace:
    """One file, in windows that overlap, up and down; it has long seen every line."""
    trace, lines = explore(Trace(rng, tools(rng, view="read")), rng.randint(1, 5)), code(rng, rng.randint(150, 300))
    for _ in range(rng.randint(50, 120)):
        first, size = rng.randint(1, len(lines) - 30), rng.randint(20, 90)
        span = {"path": "/w/src/core.py", "view_range": [first, first + size]}
        trace.turn(Call("view", span, window("/w/src/core.py", lines, first, size)), text=thought(rng))
    return trace


def git_carousel(rng: random.Random) -> Trace:
    """Two fixes in turn, each taken back with git; the same two failures."""
    trace = explore(Trace(rng), rng.randint(2, 10))
    fixes = [(f"sed -i 's/{words(rng, 1)}/{words(rng, 1)}/' src/a.py", words(rng, 3)) for _ in range(2)]
    for n in range(rng.randint(12, 30)):
        fix, failure = fixes[n % 2]
        trace.turn(shell(fix, ""), text=thought(rng))
        trace.turn(shell("pytest -q", report(rng, ["test_a"], 7, f"AssertionError: {failure}")), text=thought(rng))
        trace.turn(shell("git checkout -- src/a.py", "Updated 1 path from the index"), text=thought(rng))
    return trace


def apologies(rng: random.Random) -> Trace:
    """It apologises and runs the same in other quotes, with another sleep, from another directory."""
    trace = explore(Trace(rng), rng.randint(0, 5))
    error = choose(rng, ("ModuleNotFoundError: No module named 'yaml'", "OSError: [Errno 98] Address already in use",
        "sqlite3.OperationalError: database is locked"))  # fmt: skip
    for n in range(rng.randint(20, 45)):
        forms = (
            f"sleep {n}; python run.py", "python ./run.py", "python3 run.py", 'python "run.py"', "cd /w; python run.py",
            f"timeout {n + 10} python run.py", "python run.py 2>&1", f"PYTHONPATH=. python run.py #{n}",
        )  # fmt: skip
        command = choose(rng, forms)
        shown = f'Traceback (most recent call last):\n  File "/w/run.py", line 3, in <module>\n{error}'
        trace.turn(shell(command, shown), text=f"I apologize for the confusion. {words(rng, 9)}.")
    return trace


def retry_429_forever(rng: random.Random) -> Trace:
    """The quota of the day is used up; it waits a little longer each time."""
    trace = Trace(rng, tools(rng, http="read"))
    trace.turn(Call("http", {"url": "/api/items?page=0"}, {"status": 200, "body": words(rng, 40)}))
    for n in range(rng.randint(50, 120)):
        result = {
            "status": 429,
            "body": {"error": "quota exceeded", "retry_after": rng.randint(1, 60), "request_id": trace.uid()},
        }
        trace.turn(
            Call("http", {"url": "/api/items?page=1"}, result, seconds=n), text="Rate limited again; I will retry."
        )
    return trace


def ring(rng: random.Random) -> Trace:
    """A supervisor sends the same task around three agents; their answers are worded anew and decide nothing."""
    trace = Trace(rng, {"delegate": "spawn"})
    tasks = [(agent, words(rng, 10)) for agent in ("researcher", "writer", "reviewer")]
    for n in range(rng.randint(24, 60)):
        agent, task = tasks[n % 3]
        trace.turn(
            Call(
                "delegate",
                {"agent": agent, "task": task},
                f"I think the {tasks[(n + 1) % 3][0]} should look. {words(rng, 30)}",
            )
        )
    return trace


def last_paragraph(rng: random.Random) -> Trace:
    """Every answer ends with the paragraph of the one before; sometimes a tool that says nothing stands beside it."""
    trace = explore(Trace(rng), rng.randint(1, 6))
    paragraph = f"In summary, {words(rng, 60)}. Let me know how I should go on."
    for _ in range(rng.randint(25, 50)):
        text = f"{words(rng, rng.randint(0, 6))} {paragraph}".strip()
        if rng.random() < 0.3:
            trace.turn(shell("echo done", "done"), text=text)
        else:
            trace.says(text)
    return trace


def continue_read(rng: random.Random) -> Trace:
    """After a compaction: the person says continue, and it reads the same place of the same file."""
    trace, lines = explore(Trace(rng, tools(rng, read="read")), rng.randint(5, 20)), code(rng, 200)
    for _ in range(rng.randint(24, 40)):
        trace.person(choose(rng, ("continue", "continue", "go on")))
        trace.turn(
            Call("read", {"path": "upload.go", "offset": 95}, window("upload.go", lines, 95, 40)), text=thought(rng)
        )
    return trace


def warned_returns(rng: random.Random) -> Trace:
    """Three times the same, a few other looks out of the same handful, and back to the same."""
    trace = explore(Trace(rng), rng.randint(1, 5))
    pool = [shell(f"od -c INPUT.DAT | tail -{n}", words(rng, 20)) for n in range(9)]
    for _ in range(rng.randint(8, 16)):
        for _ in range(3):
            trace.turn(
                shell("python -c 'print(open(\"INPUT.DAT\").read())'", "0001JOHN      0000100"), text=thought(rng)
            )
        for look in rng.sample(pool, rng.randint(2, 5)):
            trace.turn(shell(look.arguments["command"], look.result), text=thought(rng))
    return trace


def unknown_command(rng: random.Random) -> Trace:
    """AutoGPT: commands that do not exist, empty ones, and the same refusal."""
    trace = Trace(rng)
    for _ in range(rng.randint(15, 50)):
        name = choose(rng, ("google_search", "google_search", "search_google", "browse", ""))
        refusal = f"Unknown command '{name}'. Please refer to the 'COMMANDS' list for available commands."
        trace.turn(Call(name or "none", {"input": words(rng, rng.randint(3, 7))}, problem=refusal), text=thought(rng))
    return trace


# ---- healthy ------------------------------------------------------------------------------------------------------
def str_replace_eventually(rng: random.Random) -> Trace:
    """Two or three misses, a look, and the edit goes through; file by file."""
    trace = explore(Trace(rng, tools(rng, str_replace="write", view="read")), rng.randint(2, 8))
    for n in range(rng.randint(2, 8)):
        path, lines = f"/w/src/{words(rng, 1)}_{n}.py", code(rng, 80)
        for _ in range(rng.randint(0, 4)):
            old = words(rng, rng.randint(4, 14))
            missing = f"No replacement was performed, old_str `{old}` did not appear verbatim in {path}."
            trace.turn(
                Call("str_replace", {"path": path, "old_str": old, "new_str": words(rng, 9)}, missing),
                text=thought(rng),
            )
        trace.turn(Call("view", {"path": path}, window(path, lines, 1)), text=thought(rng))
        done = f"The file {path} has been edited. Here's the result:\n{window(path, lines, 9, 8)}"
        trace.turn(Call("str_replace", {"path": path, "old_str": lines[10], "new_str": words(rng, 9)}, done))
    return trace.turn(shell("pytest -q", report(rng, [], 20, ""))).end()


def long_file(rng: random.Random) -> Trace:
    """Two thousand lines, window after window with some overlap, and greps between."""
    trace, lines = Trace(rng, tools(rng, view="read")), code(rng, rng.randint(600, 2500))
    first = 1
    while first < len(lines):
        span = {"path": "/w/src/core.py", "view_range": [first, first + 100]}
        trace.turn(Call("view", span, window("/w/src/core.py", lines, first, 100)), text=thought(rng))
        first += rng.randint(40, 100)
        if rng.random() < 0.2:
            at = rng.randrange(len(lines))
            trace.turn(shell(f"grep -n {words(rng, 1)}_{at} src/core.py", f"{at}:{lines[at]}"))
    return trace.end(words(rng, 200))


def web_research(rng: random.Random) -> Trace:
    """Searches whose hits overlap, pages that are opened and scrolled, some that do not load; up to 220 turns."""
    trace, pool = Trace(rng, tools(rng, search="read", open="read", scroll="read")), hits(rng, 12)
    for _ in range(rng.randint(10, 45)):
        pool += hits(rng, rng.randint(1, 6))
        trace.turn(Call("search", {"q": words(rng, 4)}, {"results": rng.sample(pool[-18:], 8)}), text=thought(rng))
        for hit in rng.sample(pool, rng.randint(0, 2)):
            if rng.random() < 0.15:
                trace.turn(Call("open", {"url": hit["url"]}, problem="Timeout 30000ms exceeded."))
                continue
            trace.turn(Call("open", {"url": hit["url"]}, f"{hit['title']}\n{words(rng, 150)}"))
            for n in range(rng.randint(0, 2)):
                trace.turn(Call("scroll", {"page": n + 2}, words(rng, 150)))
    return trace.end(words(rng, 300))


def env_setup(rng: random.Random) -> Trace:
    """An installation: packages that are missing, one after the other, a mirror that is down, then it runs."""
    trace = Trace(rng)
    for name in dict.fromkeys(words(rng, rng.randint(3, 9)).split()):
        trace.turn(
            shell("python run.py", trace_back(rng, f"ModuleNotFoundError: No module named '{name}'")), text=thought(rng)
        )
        for command in (f"pip install {name}", f"pip install {name} --no-cache-dir", f"pip install py{name}")[
            : rng.randint(0, 3)
        ]:
            failure = f"ERROR: Could not find a version that satisfies the requirement {name} (from versions: none)"
            trace.turn(shell(command, failure, seconds=6), text=thought(rng))
        trace.turn(
            shell(
                f"conda install -y {name}",
                f"done\n{name}-{rng.randint(1, 9)}.{rng.randint(0, 20)} installed",
                seconds=20,
            )
        )
    return trace.turn(shell("python run.py", words(rng, 30))).end()


def idempotent_writes(rng: random.Random) -> Trace:
    """It brings hosts to a state that they mostly have: unchanged, unchanged, and one look at the end of each group."""
    trace = Trace(rng, tools(rng, apply="write", status="read"))
    for group in range(rng.randint(2, 6)):
        for n in range(rng.randint(5, 20)):
            result = choose(rng, ("unchanged", "unchanged", "configured"))
            trace.turn(Call("apply", {"host": f"web-{group}-{n}", "manifest": "base.yaml"}, result))
        trace.turn(Call("status", {"group": group}, {"ready": n + 1, "version": words(rng, 2)}))
        trace.turn(Call("apply", {"host": "all", "manifest": "lock.yaml"}, "unchanged"))
    return trace.end()


def wait_for_human(rng: random.Random) -> Trace:
    """An approval that takes its time: it asks, looks, waits, and goes on with something else."""
    trace = explore(Trace(rng, tools(rng, approval="poll")), rng.randint(2, 5))
    for n in range(rng.randint(1, 4)):
        trace.turn(Call("request_approval", {"change": words(rng, 6)}, {"approval": n, "state": "pending"}))
        for _ in range(rng.randint(1, 8)):
            state = {"state": "pending", "waiting_since": f"{trace.at:%H:%M:%S}"}
            trace.turn(Call("approval", {"id": n}, state, seconds=25), text="Not approved yet.", think=1)
        trace.turn(Call("approval", {"id": n}, {"state": "approved", "by": words(rng, 1)}))
        trace.turn(shell(f"kubectl apply -f {n}.yaml", f"deployment {words(rng, 1)} configured"))
    return trace.end()


def todo_progress(rng: random.Random) -> Trace:
    """Claude Code: the whole list is written at each step with one state changed, and the answer never changes."""
    trace, steps = (
        Trace(rng, tools(rng, todo_write="write", read="read")),
        [words(rng, 5) for _ in range(rng.randint(4, 12))],
    )
    for done in range(len(steps)):
        todos = [{"content": step, "status": "completed" if n < done else "in_progress" if n == done else "pending"}
            for n, step in enumerate(steps)]  # fmt: skip
        trace.turn(
            Call("todo_write", {"todos": todos}, "Todos have been modified successfully. Please proceed."),
            text=thought(rng),
        )
        for _ in range(rng.randint(1, 6)):
            path = f"src/{words(rng, 1)}.py"
            kinds = (
                Call("read", {"path": path, "offset": rng.randint(0, 900)}, window(path, code(rng, 30), 1)),
                Call("edit", {"path": path, "old": words(rng, 5), "new": words(rng, 5)}, "The file has been updated."),
                shell("npm test", report(rng, [], 31, "")),
                shell("git diff --stat", f"{path} | {rng.randint(1, 40)} ++--"),
            )
            trace.turn(choose(rng, kinds))
    return trace.end()


def supervisor_rounds(rng: random.Random) -> Trace:
    """A plan in parts: each part to the coder, then to the reviewer, back with remarks, and on."""
    trace = Trace(rng, {"delegate": "spawn"})
    for part in range(rng.randint(3, 8)):
        for _ in range(rng.randint(1, 3)):
            trace.turn(
                Call(
                    "delegate", {"agent": "coder", "task": f"Part {part}: {words(rng, 12)}"}, f"Done: {words(rng, 25)}"
                )
            )
            review = choose(rng, ("LGTM", f"Please change: {words(rng, 12)}"))
            trace.turn(Call("delegate", {"agent": "reviewer", "task": f"Review part {part}: {words(rng, 6)}"}, review))
    return trace.end()


def link_checker(rng: random.Random) -> Trace:
    """Eighty addresses, one by one: found, found, moved, not found."""
    trace = Trace(rng, tools(rng, head="read"))
    for n in range(rng.randint(30, 80)):
        status = choose(rng, (200, 200, 200, 301, 404))
        url = f"https://{words(rng, 1)}.test/{n}"
        trace.turn(
            Call("head", {"url": url}, {"status": status})
            if rng.random() < 0.9
            else Call("head", {"url": url}, problem="timed out")
        )
    return trace.end()


def flake_hunt(rng: random.Random) -> Trace:
    """One test with many seeds until it fails, then a fix, then many seeds again."""
    trace = explore(Trace(rng), rng.randint(2, 6))
    for seed in range(rng.randint(6, 14)):
        trace.turn(shell(f"pytest tests/test_race.py -p seed={seed}", report(rng, [], 1, "")))
    trace.turn(
        shell("pytest tests/test_race.py -p seed=99", report(rng, ["test_race"], 0, "assert 1 == 2")), text=thought(rng)
    )
    trace.turn(Call("edit", {"path": "src/race.py", "old": words(rng, 6), "new": words(rng, 6)}, "edited"))
    for seed in range(rng.randint(4, 10)):
        trace.turn(shell(f"pytest tests/test_race.py -p seed={100 + seed}", report(rng, [], 1, "")))
    return trace.end()


def sql_analyst(rng: random.Random) -> Trace:
    """Schemas, queries with errors of names, empty answers, numbers, the same count after each load."""
    trace = Trace(rng, tools(rng, sql="read"))
    for _ in range(rng.randint(5, 20)):
        table = words(rng, 1)
        for _ in range(rng.randint(0, 3)):
            column = words(rng, 1)
            trace.turn(
                Call(
                    "sql",
                    {"query": f"select {column} from {table} limit {rng.randint(1, 99)}"},
                    problem=f"no such column: {column}",
                )
            )
        trace.turn(
            Call(
                "sql",
                {"query": f"pragma table_info({table}_{rng.randrange(99)})"},
                [[n, words(rng, 1), "TEXT"] for n in range(6)],
            )
        )
        for _ in range(rng.randint(1, 4)):
            rows = choose(rng, ([], [[rng.randint(0, 9999)]], [[words(rng, 1), rng.random()] for _ in range(5)]))
            trace.turn(
                Call("sql", {"query": f"select {words(rng, 2)} from {table} where {words(rng, 3)}"}, rows),
                text=thought(rng),
            )
    return trace.end()


DEGENERATE = (
    str_replace_not_found, windows_endlessly, git_carousel, apologies, retry_429_forever, ring, last_paragraph,
    continue_read, warned_returns, unknown_command,
)  # fmt: skip
HEALTHY = (
    str_replace_eventually, long_file, web_research, env_setup, idempotent_writes, wait_for_human, todo_progress,
    supervisor_rounds, link_checker, flake_hunt, sql_analyst,
)  # fmt: skip
