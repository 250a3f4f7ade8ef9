"""Labelled families after recorded runs of real agents: the fourth set, first half.

Written before the detector was run on them. The patterns are those of public recordings and bug reports: SWE-agent
and OpenHands trajectories, tau-bench, AutoGPT, Claude Code, openclaw. The texts are made up.
"""

from __future__ import annotations

import random

from tests.guards.loop.held_out import page
from tests.guards.loop.scenes import (
    code,
    explore,
    hits,
    lint_refusal,
    report,
    shell,
    thought,
    tools,
    trace_back,
    window,
)
from tests.guards.loop.trace import Call, Trace, choose, words


# ---- degenerate ---------------------------------------------------------------------------------------------------
def lint_refusals(rng: random.Random) -> Trace:
    """SWE-agent: edits at other lines with other text, all refused; the excerpt differs each time."""
    trace = explore(Trace(rng, tools(rng, edit="write", open="read")), rng.randint(2, 8))
    lines = code(rng, 300)
    errors = (
        "E999 IndentationError: unexpected indent",
        "E999 SyntaxError: unmatched ')'",
        "F821 undefined name 'self'",
    )
    for _ in range(rng.randint(18, 40)):
        first = 120 + rng.randint(0, 6)
        if rng.random() < 0.15:
            trace.turn(
                Call("open", {"path": "src/a.py", "line": 120}, window("src/a.py", lines, 100)), text=thought(rng)
            )
        refusal = lint_refusal(rng, choose(rng, errors), [*lines[:first], words(rng, 4), *lines[first:]], first)
        trace.turn(Call("edit", {"range": f"{first}:{first + 2}", "text": words(rng, 12)}, refusal), text=thought(rng))
    return trace


def same_diagnostic(rng: random.Random) -> Trace:
    """A coding agent that says each time that it will try another way, and runs the same command; it prints nothing."""
    trace = explore(Trace(rng), rng.randint(3, 15))
    command = f'python -c \'import json; print(json.load(open("{words(rng, 1)}.json")).get("{words(rng, 1)}"))\''
    result = choose(rng, ("", "None", '{"type": "object", "properties": {}}', "Tool ran without output or errors"))
    for _ in range(rng.randint(14, 23)):
        trace.turn(shell(command, result), text=f"Let me try a different approach. {words(rng, 20)}.")
    return trace


def search_same_hits(rng: random.Random) -> Trace:
    """Reworded queries that bring the same ten hits, in another order or some of them."""
    trace = Trace(rng, tools(rng, web_search="read"))
    pool = hits(rng, 10)
    for _ in range(rng.randint(30, 80)):
        shown = rng.sample(pool, rng.randint(6, 10))
        trace.turn(Call("web_search", {"query": words(rng, rng.randint(4, 8))}, {"results": shown}), text=thought(rng))
    return trace


def edits_forever(rng: random.Random) -> Trace:
    """One number is turned up and down, and the test fails with the same words, for an hour."""
    trace = explore(Trace(rng), rng.randint(3, 8))
    for n in range(rng.randint(35, 60)):
        trace.turn(shell(f"sed -i 's/timeout=[0-9]*/timeout={30 + n}/' src/client.py", ""), text=thought(rng))
        trace.turn(
            shell("pytest -q tests/test_core.py", report(rng, ["test_connect"], 11, "AssertionError: assert None"))
        )
    return trace


def no_new_output(rng: random.Random) -> Trace:
    """It looks into the log of a process that has long gone; 1,535 times in the original."""
    trace = explore(Trace(rng, tools(rng, process="read")), rng.randint(0, 6))
    session = trace.uid()
    trace.turn(shell("npm run build &", f"started in background, session {session}"))
    result = choose(rng, ("(no new output)", "(No content)", "", {"status": "running", "output": ""}))
    for _ in range(rng.randint(70, 200)):
        trace.turn(Call("process", {"action": "log", "sessionId": session}, result, seconds=2))
    return trace


def todo_rewriter(rng: random.Random) -> Trace:
    """It writes its five todos anew, ticks them off, looks at the same two reports, and writes them anew."""
    trace = Trace(rng, tools(rng, todo="write", navigation="read", power="read"))
    goals = [
        "Review the projections",
        "Analyse power and fuel",
        "Find what can be reduced",
        "Plan for shortage",
        "Update",
    ]
    reports = {name: f"=== {name.upper()} ===\n{words(rng, 60)}\nStatus: nominal" for name in ("navigation", "power")}
    for _ in range(rng.randint(9, 20)):
        text = f"Given the situation, my next steps should focus on the following. {words(rng, 60)}"
        said = [f"{choose(rng, ('', 'Carefully: ', 'First '))}{goal}" for goal in goals]
        trace.turn(Call("todo", {"action": "create", "items": said}, "Plan created."), text=text)
        looks = [Call(name, {}, result) for name, result in reports.items()]
        trace.turn(*looks[: rng.randint(1, 2)], text=text)
        trace.turn(*(Call("todo", {"action": "complete", "item": n + 1}, "") for n in range(5)), text=text)
    return trace


def url_guessing(rng: random.Random) -> Trace:
    """It makes up addresses; each page says that there is nothing, and names the address and a request."""
    trace = Trace(rng, tools(rng, fetch="read"))
    for _ in range(rng.randint(30, 120)):
        path = f"/{'/'.join(words(rng, rng.randint(1, 4)).split())}-{rng.randint(1, 99)}"
        body = f"<html><title>404</title><p>The page {path} does not exist.</p><small>Ray {trace.uid()}</small></html>"
        call = Call("fetch", {"url": f"https://docs.test{path}"}, body)
        if rng.random() < 0.3:
            call = Call(
                "fetch", {"url": f"https://docs.test{path}"}, problem=f"404 Not Found for url https://docs.test{path}"
            )
        trace.turn(call, text=thought(rng))
    return trace


def asks_again(rng: random.Random) -> Trace:
    """Support: it needs the id of the booking, the simulated customer does not have it, and so on."""
    trace = Trace(rng, {"get_booking": "read"})
    asks = [
        f"Unfortunately, I need the booking id to proceed. {words(rng, 12)}. Could you please look for it?"
        for _ in range(4)
    ]
    answers = [f"I do not have the booking id with me. {words(rng, 5)}?" for _ in range(5)]
    for _ in range(rng.randint(110, 160)):
        trace.person(choose(rng, answers)).says(choose(rng, asks))
    return trace


def replayed_prompt(rng: random.Random) -> Trace:
    """A harness that gives the model the task again before every turn: 110 turns of one command."""
    trace = Trace(rng)
    count = f"{rng.randint(10, 99)} notes.txt"
    for _ in range(rng.randint(60, 110)):
        trace.person("Use the bash tool to count the lines in notes.txt, then tell me the number.")
        trace.turn(shell("wc -l notes.txt", count))
    return trace


def scrolls_at_bottom(rng: random.Random) -> Trace:
    """A browser at the end of a page: scroll, wait, click at nothing; only the clock and the focus change."""
    trace = Trace(rng, tools(rng, browser="read"))
    tree = page(rng, "Results", 40)
    for _ in range(rng.randint(20, 50)):
        action = choose(rng, ({"action": "scroll", "down": 500}, {"action": "noop"}, {"action": "click", "bid": "12"},
            {"action": "scroll", "down": rng.randint(100, 2000)}))  # fmt: skip
        shown = f"{tree}\nfocused: {rng.randint(1, 30)}\nclock {trace.at:%H:%M:%S}"
        trace.turn(Call("browser", action, shown), text=thought(rng))
    return trace


# ---- healthy ------------------------------------------------------------------------------------------------------
def lint_then_fixed(rng: random.Random) -> Trace:
    """SWE-agent: some refusals before each edit that goes through."""
    trace = explore(Trace(rng, tools(rng, edit="write", open="read")), rng.randint(2, 8))
    lines = code(rng, 300)
    for _ in range(rng.randint(1, 5)):
        first = rng.randint(1, 200)
        trace.turn(
            Call("open", {"path": "src/a.py", "line": first}, window("src/a.py", lines, first)), text=thought(rng)
        )
        for _ in range(rng.randint(0, 4)):
            error = choose(rng, ("E999 IndentationError: unexpected indent", f"F821 undefined name '{words(rng, 1)}'"))
            refusal = lint_refusal(rng, error, [*lines[:first], words(rng, 4), *lines[first:]], first)
            trace.turn(
                Call("edit", {"range": f"{first}:{first + 2}", "text": words(rng, 12)}, refusal), text=thought(rng)
            )
        lines[first : first + 2] = [words(rng, 6)]
        shown = f"{window('src/a.py', lines, first)}\nFile updated. Please review the changes."
        trace.turn(Call("edit", {"range": f"{first}:{first + 2}", "text": lines[first]}, shown), text=thought(rng))
        trace.turn(shell("python reproduce.py", choose(rng, ("", "ok", trace_back(rng, "AttributeError: x")))))
    return trace.turn(shell("rm reproduce.py", "")).end()


def long_healthy(rng: random.Random) -> Trace:
    """More than 200 turns of a coding agent: it looks, edits, tests, asks git for the state, over and over."""
    trace, lines = Trace(rng), {f"src/{word}.py": code(rng, 150) for word in set(words(rng, 12).split())}
    failing = [f"test_{n}" for n in range(rng.randint(5, 15))]
    while trace.turns < rng.randint(200, 260):
        path = choose(rng, sorted(lines))
        first = rng.randint(1, 100)
        trace.turn(
            shell(f"sed -n '{first},{first + 40}p' {path}", "\n".join(lines[path][first : first + 40])),
            text=thought(rng),
        )
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(150)
            lines[path][at] = f"{words(rng, 4)} {rng.random()}"
            old = {"path": path, "old": words(rng, 8), "new": lines[path][at]}
            trace.turn(Call("str_replace", old, f"The file {path} has been edited."), text=thought(rng))
            trace.turn(shell("pytest -q", report(rng, failing, 60 - len(failing), "AssertionError")))
        failing = failing[: len(failing) - choose(rng, (0, 0, 1))]
        if rng.random() < 0.4:
            trace.turn(
                shell("git status --short", "\n".join(f" M {each}" for each in sorted(lines)[: rng.randint(1, 4)]))
            )
        if rng.random() < 0.3:
            trace.turn(shell("ls", "README.md\nsrc\ntests")).turn(shell("git add -A", ""))
    return trace.end()


def same_failing_test(rng: random.Random) -> Trace:
    """Edits that differ, and the same test fails in the same words, up to eight times; then it passes."""
    trace = explore(Trace(rng, tools(rng, edit="write")), rng.randint(2, 10))
    for _ in range(rng.randint(1, 3)):
        for _ in range(rng.randint(3, 8)):
            change = {"path": "src/a.py", "old": words(rng, 9), "new": words(rng, 9)}
            trace.turn(Call("edit", change, "The file src/a.py has been edited."), text=thought(rng))
            trace.turn(
                shell("python -m pytest tests/test_core.py -x -q", report(rng, ["test_roundtrip"], 4, "assert 3 == 4"))
            )
        trace.turn(
            Call(
                "edit",
                {"path": "src/a.py", "old": words(rng, 9), "new": words(rng, 9)},
                "The file src/a.py has been edited.",
            )
        )
        trace.turn(shell("python -m pytest tests/test_core.py -x -q", report(rng, [], 5, "")))
    return trace.end()


def wait_ci(rng: random.Random) -> Trace:
    """It waits for the checks of a pull request, with a sleep in the command or beside it; jobs finish one by one."""
    trace = explore(Trace(rng, tools(rng, checks="poll")), rng.randint(2, 6))
    jobs = dict.fromkeys(("lint", "unit", "docs", "build", "e2e"), "in_progress")
    begun = trace.at
    while "in_progress" in jobs.values():
        for _ in range(rng.randint(1, 7)):
            rows = "\n".join(f"{job}\t{state}\t{(trace.at - begun).seconds // 60}m{trace.at.second}s\thttps://ci.test/{n}"
                for n, (job, state) in enumerate(jobs.items()))  # fmt: skip
            if trace.tools:
                trace.turn(Call("checks", {"pr": 12}, rows, seconds=30), think=1)
            else:
                trace.turn(
                    shell("sleep 30 && gh pr checks 12", rows, seconds=30), text="Still running. I will wait.", think=1
                )
        jobs[choose(rng, [job for job, state in jobs.items() if state == "in_progress"])] = choose(
            rng, ("pass", "pass", "fail")
        )
    return trace.turn(shell("gh pr view 12 --json state", '{"state": "OPEN"}')).end()


def batch_ok(rng: random.Random) -> Trace:
    """A data pipeline: one tool, eighty items, and nothing but ok."""
    trace = Trace(rng, tools(rng, convert="write", post="write"))
    kind = rng.randrange(3)
    for n in range(rng.randint(30, 120)):
        if kind == 0:
            trace.turn(
                shell(f"python convert.py data/{words(rng, 1)}_{n}.csv --out parquet/", choose(rng, ("", "", "done")))
            )
        elif kind == 1:
            trace.turn(Call("convert", {"file": f"part-{n:05}.csv"}, {"status": "ok"}))
        else:
            trace.turn(
                Call(
                    "post", {"url": f"/items/{n}", "body": {"name": words(rng, 2)}}, {"status": 201, "id": trace.uid()}
                )
            )
    return trace.end()


def log_tail(rng: random.Random) -> Trace:
    """The end of a log, again and again: mostly a few new lines, sometimes none."""
    trace = Trace(rng, tools(rng, tail="poll"))
    lines = [f"{trace.stamp()} INFO {words(rng, 5)}" for _ in range(40)]
    for _ in range(rng.randint(10, 40)):
        lines.extend(
            f"{trace.stamp()} {choose(rng, ('INFO', 'WARN'))} {words(rng, rng.randint(4, 9))}"
            for _ in range(choose(rng, (0, 0, 1, 3, 8)))
        )
        shown = "\n".join(lines[-30:])
        trace.turn(
            Call("tail", {"path": "app.log"}, shown, seconds=5)
            if trace.tools
            else shell("tail -n 30 app.log", shown, 5)
        )
    return trace.turn(shell("grep -c ERROR app.log", "0")).end()


def tau_retail(rng: random.Random) -> Trace:
    """A shop's desk: it looks up user, orders and products, asks for a yes, changes, and looks again."""
    trace = Trace(rng, tools(rng, get_order="read", get_user="read", get_product="read", modify="write"))
    orders = {f"#W{rng.randint(10**6, 10**7)}": words(rng, 25) for _ in range(rng.randint(1, 4))}
    trace.person(f"Hi, I want to change {words(rng, 5)}.").says("Please give me your email or your name and zip code.")
    trace.person(words(rng, 4)).turn(
        Call("get_user", {"zip": "19122"}, {"orders": list(orders), "name": words(rng, 2)})
    )
    for order, text in orders.items():
        trace.turn(Call("get_order", {"id": order}, text)).turn(
            Call("get_product", {"id": words(rng, 1)}, words(rng, 50))
        )
        for _ in range(rng.randint(1, 3)):
            trace.says(f"This will change {order}: {words(rng, 8)}. Do you confirm (yes or no)?")
            trace.person(choose(rng, ("yes", "Yes.", f"Hmm, {words(rng, 4)}?")))
            trace.turn(Call("get_order", {"id": order}, text))
        orders[order] = words(rng, 25)
        trace.turn(Call("modify", {"id": order, "to": words(rng, 3)}, orders[order]))
    return trace.person("Thanks!").end("You are welcome.")


def retry_429(rng: random.Random) -> Trace:
    """A paginated API that throttles: up to six refusals with growing waits before a page comes."""
    trace = Trace(rng, tools(rng, http="read"))
    for number in range(rng.randint(4, 15)):
        call = {"url": f"/api/issues?page={number}"}
        for attempt in range(choose(rng, (0, 0, 1, 2, 4, 6))):
            wait = 2**attempt
            result = {"status": 429, "headers": {"retry-after": str(wait)}, "body": "Too many requests"}
            trace.turn(
                Call("http", call, result, seconds=wait), text=choose(rng, ("", f"Rate limited; I wait {wait} s."))
            )
        trace.turn(Call("http", call, {"status": 200, "body": [words(rng, 6) for _ in range(10)]}))
    return trace.end()


def reread_after_compaction(rng: random.Random) -> Trace:
    """Its context is emptied now and then: it reads its notes and the same files again, and goes on working."""
    trace = Trace(rng, tools(rng, read="read", edit="write"))
    files = {f"src/{words(rng, 1)}_{n}.py": code(rng, 60) for n in range(rng.randint(3, 6))}
    for _ in range(rng.randint(2, 5)):
        for path, lines in files.items():
            trace.turn(Call("read", {"path": path}, window(path, lines, 1)), text=thought(rng))
        for n in range(rng.randint(3, 9)):
            path = choose(rng, sorted(files))
            files[path][n] = words(rng, 5)
            trace.turn(
                Call("edit", {"path": path, "line": n, "new": files[path][n]}, f"The file {path} has been updated.")
            )
            trace.turn(
                shell("pytest -q", choose(rng, (report(rng, [], 9, ""), report(rng, ["test_a"], 8, "KeyError"))))
            )
    return trace.end()


def mail_triage(rng: random.Random) -> Trace:
    """A hundred mails: read, label, archive; the acknowledgements are all the same."""
    trace = Trace(rng, tools(rng, read_mail="read", label="write", archive="write"))
    for n in range(rng.randint(30, 100)):
        trace.turn(Call("read_mail", {"id": n}, {"from": words(rng, 1), "text": words(rng, rng.randint(8, 60))}))
        done = [
            Call("label", {"id": n, "label": choose(rng, ("news", "bills", "friends"))}, "ok"),
            Call("archive", {"id": n}, "ok"),
        ]
        trace.turn(*done[: rng.randint(1, 2)])
    return trace.end()


DEGENERATE = (
    lint_refusals, same_diagnostic, search_same_hits, edits_forever, no_new_output, todo_rewriter, url_guessing,
    asks_again, replayed_prompt, scrolls_at_bottom,
)  # fmt: skip
HEALTHY = (
    lint_then_fixed, long_healthy, same_failing_test, wait_ci, batch_ok, log_tail, tau_retail, retry_429,
    reread_after_compaction, mail_triage,
)  # fmt: skip
