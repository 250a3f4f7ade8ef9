"""Labelled families of runs, the second half: written after the thresholds were fixed, from what agents really do.

Coding agents with one shell, agents that browse by accessibility trees or by bare acknowledgements, support agents with
a simulated customer, agents that work through tables; and the ways in which each of them gets stuck.
"""

from __future__ import annotations

import random

from tests.guards.loop.trace import Call, Trace, choose, words

SILENT = "Your command ran successfully and did not produce any output."
EXPLANATION = (
    "Your proposed edit has introduced new syntax error(s). Please read this error message carefully and then retry "
    "editing the file.\n\nERRORS:\n- E999 IndentationError: unexpected indent\n\n"
    "This is how your edit would have looked if applied\n-------------------------------------------------\n"
)


def page(rng: random.Random, title: str, count: int = 30) -> str:
    """An accessibility tree."""
    lines = [f"[{n}] link '{words(rng, 2)}'" for n in range(count)]
    return f"RootWebArea '{title}' focused: True\n" + "\n".join(lines)


def shell(command: str, result: str, seconds: float = 0.5) -> Call:
    """A call of the one tool of a coding agent, which nobody declared."""
    return Call("bash", {"command": command}, result, seconds=seconds)


# ---- degenerate ---------------------------------------------------------------------------------------------------
def edit_rejected(rng: random.Random) -> Trace:
    """Every edit is refused with the same long explanation and another excerpt."""
    trace = Trace(rng)
    for n in range(rng.randint(20, 50)):
        line = rng.randint(1, 200)
        excerpt = "\n".join(f"{line + k}: {words(rng, 3)}" for k in range(4)) if n % 3 == 0 else "  12:     return x"
        trace.turn(Call("edit", {"start": line, "end": line + 2, "text": words(rng, 8)}, EXPLANATION + excerpt))
    return trace


def dead_button(rng: random.Random) -> Trace:
    """It clicks what does nothing; the page shows the time."""
    trace = Trace(rng)
    tree = page(rng, "Checkout")
    for _ in range(rng.randint(10, 30)):
        trace.turn(Call("click", {"id": "1482"}, f"{tree}\nStaticText '{trace.at:%H:%M:%S}'"), text="I click Submit.")
    return trace


def up_and_down(rng: random.Random) -> Trace:
    """It scrolls down and up again."""
    trace = Trace(rng)
    upper, lower = page(rng, "List"), page(rng, "List")
    for n in range(rng.randint(16, 40)):
        trace.turn(Call("scroll", {"direction": "down" if n % 2 == 0 else "up"}, lower if n % 2 == 0 else upper))
    return trace


def counting_guesses(rng: random.Random) -> Trace:
    """The refusal counts the guesses."""
    trace = Trace(rng, choose(rng, ({}, {"unlock": "read"})))
    for n in range(rng.randint(60, 309)):
        trace.turn(Call("unlock", {"pin": f"{n:04d}"}, {"unlocked": False, "attempts": n + 1, "time": trace.stamp()}))
    return trace


def polite_forever(rng: random.Random) -> Trace:
    """A simulated customer and an agent that thank each other, in a few phrases each."""
    trace = Trace(rng)
    for _ in range(rng.randint(60, 110)):
        trace.person(choose(rng, ("Thank you!", "Thank you!", "Thanks")))
        trace.says("You are welcome! Is there anything else that I can help you with today?")
    return trace


def reworded_search(rng: random.Random) -> Trace:
    """The same list of hits for every wording."""
    trace = Trace(rng, choose(rng, ({}, {"search": "read"})))
    hits = [{"title": words(rng, 6), "url": f"https://x.test/{n}", "snippet": words(rng, 20)} for n in range(8)]
    for _ in range(rng.randint(40, 100)):
        trace.turn(Call("search", {"query": words(rng, rng.randint(3, 8))}, hits), text=words(rng, 20))
    return trace


def same_file_written(rng: random.Random) -> Trace:
    """It writes the same file with the same content."""
    trace = Trace(rng, {"write_file": "write"})
    content = words(rng, 50)
    for _ in range(rng.randint(20, 50)):
        trace.turn(Call("write_file", {"path": "out.md", "content": content}, "File written successfully."))
    return trace


def tests_without_edits(rng: random.Random) -> Trace:
    """It runs the failing tests again, in one of three ways."""
    trace = Trace(rng)
    commands = ("pytest -q", "pytest -q tests/test_a.py", "python -m pytest -q")
    for _ in range(rng.randint(20, 50)):
        trace.turn(shell(choose(rng, commands), f"E   assert 3 == 4\n1 failed, 41 passed in {rng.random() * 9:.2f}s"))
    return trace


def reading_around(rng: random.Random) -> Trace:
    """The same few files in no order, nothing else."""
    trace = Trace(rng, choose(rng, ({}, {"read_file": "read"})))
    files = {f"src/{n}.py": words(rng, 100) for n in range(rng.randint(2, 6))}
    for _ in range(rng.randint(30, 60)):
        path = choose(rng, tuple(files))
        trace.turn(Call("read_file", {"path": path}, files[path]), text=words(rng, 10))
    return trace


def thinking_only(rng: random.Random) -> Trace:
    """It thinks with a tool that only acknowledges; the words change little."""
    trace = Trace(rng, {"think": "read"})
    thoughts = [f"I need to {words(rng, 6)}" for _ in range(4)]
    for _ in range(rng.randint(40, 80)):
        trace.turn(Call("think", {"thought": choose(rng, thoughts)}, "Your thought has been logged."))
    return trace


def unknown_tool(rng: random.Random) -> Trace:
    """It calls a tool that it does not have, with arguments that vary."""
    trace = Trace(rng, {"search": "read"})
    for _ in range(rng.randint(20, 60)):
        trace.turn(Call("browse", {"url": f"https://x.test/{words(rng, 1)}"}, problem="there is no tool 'browse'"))
    return trace


def flip_flop(rng: random.Random) -> Trace:
    """One edit and its reverse, and the two failures that they cause."""
    trace = Trace(rng)
    for n in range(rng.randint(14, 40)):
        old, new = ("a + b", "a - b") if n % 2 == 0 else ("a - b", "a + b")
        trace.turn(Call("edit", {"path": "calc.py", "old": old, "new": new}, "The file has been updated."))
        trace.turn(shell("pytest -q", f"E assert {3 if n % 2 else 7} == 5\n1 failed in {rng.random():.2f}s"))
    return trace


def wide_guesses(rng: random.Random) -> Trace:
    """Guesses in batches."""
    trace = Trace(rng)
    for n in range(rng.randint(12, 30)):
        trace.turn(
            *(
                Call("get", {"path": f"/api/v{n}/{words(rng, 1)}{k}"}, "404 page not found")
                for k in range(rng.randint(5, 12))
            )
        )
    return trace


def same_mail(rng: random.Random) -> Trace:
    """The same mail to the same person, under another id each time."""
    trace = Trace(rng, {"send_mail": "write"})
    body = words(rng, 30)
    for _ in range(rng.randint(20, 50)):
        mail = {"to": "ann@x.test", "subject": "Report", "body": body, "message_id": trace.uid()}
        trace.turn(Call("send_mail", trace.shuffled(mail), {"status": "sent", "id": trace.uid()}))
    return trace


def nothing_to_do(rng: random.Random) -> Trace:
    """Shell commands that say nothing, the same three over and over, and a thought beside each."""
    trace = Trace(rng)
    for n in range(rng.randint(30, 80)):
        trace.turn(
            shell(("cd /repo", "git add -A", "git status --short")[n % 3], ""),
            Call("think", {"thought": words(rng, 12)}, "ok"),
        )
    return trace


# ---- healthy ------------------------------------------------------------------------------------------------------
def issue_fixed(rng: random.Random) -> Trace:
    """A coding agent with one shell: look, reproduce, edit, test, clean up; some commands again and again."""
    trace = Trace(rng)
    bug = f"Traceback (most recent call last):\n  File 'repro.py', line 3\nValueError: {words(rng, 4)}"
    for _ in range(rng.randint(3, 10)):
        pattern = words(rng, 1)
        hits = (
            "" if rng.random() < 0.3 else "\n".join(f"src/{words(rng, 1)}.py:{rng.randint(1, 900)}" for _ in range(5))
        )
        trace.turn(shell(f"grep -rn {pattern} src", hits))
        trace.turn(shell(f"sed -n {rng.randint(1, 500)},+40p src/{words(rng, 1)}.py", words(rng, 120)))
    trace.turn(shell(f"cat > repro.py <<'E'\n{words(rng, 20)}\nE", SILENT))
    for _ in range(rng.randint(2, 9)):
        trace.turn(shell("python repro.py", bug))
        for _ in range(rng.randint(1, 3)):
            failed = rng.random() < 0.4
            edit = {"start": rng.randint(1, 300), "text": words(rng, 10)}
            trace.turn(
                Call("edit", edit, EXPLANATION + words(rng, 12) if failed else f"[File: src/a.py]\n{words(rng, 90)}")
            )
        trace.turn(shell("git diff --stat", choose(rng, (" src/a.py | 4 ++--", " src/a.py | 6 +++---"))))
    trace.turn(shell("python repro.py", "ok")).turn(shell("rm repro.py", SILENT)).turn(
        shell("git status --short", " M src/a.py")
    )
    return trace.end()


def todo_lists(rng: random.Random) -> Trace:
    """A constant acknowledgement and a thought between the real steps."""
    trace = Trace(rng, choose(rng, ({}, {"think": "read", "todo": "write", "read": "read"})))
    for n in range(rng.randint(8, 40)):
        trace.turn(Call("todo", {"items": [{"n": n, "text": words(rng, 4)}]}, "Todos have been modified successfully."))
        if rng.random() < 0.5:
            trace.turn(Call("think", {"thought": words(rng, 30)}, "Your thought has been logged."))
        trace.turn(Call("read", {"path": f"src/{words(rng, 1)}{n}.py"}, words(rng, 80)))
    return trace.end()


def list_and_back(rng: random.Random) -> Trace:
    """Items of a list, one by one, and back to the list after each."""
    trace = Trace(rng)
    listing = page(rng, "Orders")
    trace.turn(Call("goto", {"url": "https://shop.test/orders"}, listing))
    for n in range(rng.randint(5, 30)):
        trace.turn(Call("click", {"id": str(100 + n)}, page(rng, f"Order {n}")))
        if rng.random() < 0.4:
            trace.turn(Call("scroll", {"direction": "down"}, page(rng, f"Order {n}")))
        trace.turn(Call("go_back", {}, listing))
    return trace.end()


def bare_acknowledgements(rng: random.Random) -> Trace:
    """A browser that only says ok; a look at the page now and then."""
    trace = Trace(rng, choose(rng, ({}, {"look": "read"})))
    for _ in range(rng.randint(4, 15)):
        for _ in range(rng.randint(1, 5)):
            tab, scroll = Call("press", {"key": "Tab"}, "ok"), Call("scroll", {"by": 500}, "ok")
            keys, click = Call("type", {"text": words(rng, 2)}, "ok"), Call("click", {"x": rng.randint(0, 900)}, "ok")
            trace.turn(choose(rng, (tab, scroll, keys, click)))
        trace.turn(Call("look", {}, page(rng, words(rng, 2))))
    return trace.end()


def customer_service(rng: random.Random) -> Trace:
    """A customer with several orders; the agent looks up again what it knew, and asks before it acts."""
    trace = Trace(rng, choose(rng, ({}, {"get_order": "read", "get_user": "read"})))
    user = {"id": "mia_li_3668", "orders": [f"#W{rng.randrange(10**7)}" for _ in range(rng.randint(2, 8))]}
    trace.person(words(rng, 12)).says("Please give me your user id.").person("mia_li_3668")
    trace.turn(Call("get_user", {"user": "mia_li_3668"}, user))
    orders = {
        each: {"order": each, "items": [words(rng, 3) for _ in range(4)], "status": "pending"}
        for each in user["orders"]
    }
    for each in user["orders"]:
        trace.turn(Call("get_order", {"order": each}, orders[each]))
    for _ in range(rng.randint(1, 6)):
        each = choose(rng, user["orders"])
        trace.says(f"I can change {each}: {words(rng, 8)}. Do you want that (yes or no)?").person("yes")
        trace.turn(Call("get_order", {"order": each}, orders[each]))
        if rng.random() < 0.3:
            trace.turn(Call("modify", {"order": each, "item": words(rng, 1)}, "Error: payment method not found"))
        trace.turn(
            Call("modify", {"order": each, "item": words(rng, 2)}, {"order": each, "status": "pending (modified)"})
        )
    return trace.end("Is there anything else?")


def notebook(rng: random.Random) -> Trace:
    """A data agent: cells that fail a few times, cells that print nothing, cells that print."""
    trace = Trace(rng)
    for n in range(rng.randint(10, 40)):
        column = words(rng, 1)
        for _ in range(choose(rng, (0, 0, 0, 1, 2, 3))):
            trace.turn(Call("python", {"code": f"df['{words(rng, 1)}_{n}'].mean()"}, f"KeyError: '{words(rng, 1)}'"))
        trace.turn(Call("python", {"code": f"df['{column}{n}'] = {words(rng, 3)}"}, ""))
        if rng.random() < 0.7:
            trace.turn(
                Call(
                    "python",
                    {"code": f"print(df['{column}{n}'].describe())"},
                    f"mean {rng.random()}\nstd {rng.random()}",
                )
            )
    return trace.end()


def labelling(rng: random.Random) -> Trace:
    """Row by row, one of a few labels comes back."""
    trace = Trace(rng, choose(rng, ({}, {"classify": "read"}, {"classify": "write"})))
    for n in range(rng.randint(20, 100)):
        label = choose(rng, ("positive", "neutral", "neutral", "spam"))
        trace.turn(Call("classify", {"row": n, "text": words(rng, 12)}, label))
    return trace.end()


def existence_checks(rng: random.Random) -> Trace:
    """Which of these are there? Some are."""
    trace = Trace(rng, choose(rng, ({}, {"exists": "read"})))
    for n in range(rng.randint(10, 60)):
        trace.turn(Call("exists", {"path": f"/srv/{words(rng, 1)}/{n}.csv"}, rng.random() < 0.4))
    return trace.end()


def pipeline_wait(rng: random.Random) -> Trace:
    """It waits for a build with a tool that nobody declared."""
    trace = Trace(rng)
    trace.turn(shell("git push", "To origin\n   main -> main"))
    begun = trace.at
    for _ in range(rng.randint(3, 20)):
        trace.turn(
            shell("sleep 30; gh run view 7", f"build: in progress ({(trace.at - begun).total_seconds():.0f}s)", 30)
        )
    return trace.turn(shell("sleep 30; gh run view 7", "build: completed success", 30)).end()


def binary_search(rng: random.Random) -> Trace:
    """The answers are two words, and enough."""
    trace = Trace(rng, choose(rng, ({}, {"guess": "read"})))
    low, high, secret = 0, 10**9, rng.randrange(10**9)
    while low < high:
        middle = (low + high) // 2
        trace.turn(Call("guess", {"n": middle}, "too low" if middle < secret else "too high or equal"))
        low, high = (middle + 1, high) if middle < secret else (low, middle)
    return trace.end(str(low))


def canned_replies(rng: random.Random) -> Trace:
    """The same text to many people."""
    trace = Trace(rng, choose(rng, ({}, {"send": "write"})))
    text = words(rng, 40)
    for n in range(rng.randint(10, 80)):
        trace.turn(
            Call(
                "send", {"to": f"{words(rng, 1)}{n}@x.test", "text": text}, choose(rng, ("sent", {"status": "queued"}))
            )
        )
    return trace.end()


def writer_and_reviewer(rng: random.Random) -> Trace:
    """Rounds of a draft, with tasks that say what to change."""
    trace = Trace(rng, {"delegate": "spawn"})
    for n in range(rng.randint(2, 12)):
        trace.turn(Call("delegate", {"agent": "writer", "task": f"Draft {n}: {words(rng, 20)}"}, words(rng, 200)))
        trace.turn(Call("delegate", {"agent": "reviewer", "task": "Review the draft"}, words(rng, 60)))
    return trace.end()


def go_on_please(rng: random.Random) -> Trace:
    """A person who only says that it should go on, and an agent with much to say."""
    trace = Trace(rng).says(words(rng, 200))
    for _ in range(rng.randint(5, 40)):
        trace.person("continue").says(words(rng, 200))
    return trace.end()


def maze(rng: random.Random) -> Trace:
    """Rooms that it comes back to, on the way to others."""
    trace = Trace(rng)
    rooms = [words(rng, 30) for _ in range(rng.randint(10, 25))]
    at = 0
    for room in range(1, len(rooms)):
        for back in range(rng.randint(0, min(5, at))):
            trace.turn(Call("go", {"direction": "back"}, rooms[at - back]))
        trace.turn(Call("go", {"direction": choose(rng, ("north", "south"))}, rooms[room]))
        at = room
    return trace.end()


def lint_after_each(rng: random.Random) -> Trace:
    """A check that is always fine, after every edit."""
    trace = Trace(rng)
    for n in range(rng.randint(10, 60)):
        trace.turn(
            Call("edit", {"path": f"src/{words(rng, 1)}.py", "old": words(rng, 4), "new": f"{n}"}, "Applied 1 hunk")
        )
        trace.turn(shell("ruff check .", "All checks passed!"))
        if rng.random() < 0.3:
            trace.turn(shell("git add -A && git commit -qm wip", ""))
    return trace.end()


def guests(rng: random.Random) -> Trace:
    """Records that come back with nothing but a new id."""
    trace = Trace(rng, choose(rng, ({}, {"create": "write"})))
    for n in range(rng.randint(20, 120)):
        trace.turn(Call("create", {"name": words(rng, 2), "n": n}, {"id": trace.uid()}))
    return trace.end()


DEGENERATE = (
    edit_rejected, dead_button, up_and_down, counting_guesses, polite_forever, reworded_search, same_file_written,
    tests_without_edits, reading_around, thinking_only, unknown_tool, flip_flop, wide_guesses, same_mail, nothing_to_do,
)  # fmt: skip
HEALTHY = (
    issue_fixed, todo_lists, list_and_back, bare_acknowledgements, customer_service, notebook, labelling,
    existence_checks, pipeline_wait, binary_search, canned_replies, writer_and_reviewer, go_on_please, maze,
    lint_after_each, guests,
)  # fmt: skip
