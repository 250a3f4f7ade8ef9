"""Labelled families of runs, the first half: the thresholds of the guard were chosen with these in sight."""

from __future__ import annotations

import random

from tests.guards.loop.trace import Call, Trace, choose, words

NOTHING = ("[]", [], {"results": [], "total": 0}, "No matches found.", "no results", "Not found")


# ---- degenerate ---------------------------------------------------------------------------------------------------
def same_question(rng: random.Random) -> Trace:
    """It asks the same thing again and again; keys change their order, requests have ids, replies have the time."""
    trace = Trace(rng, choose(rng, ({}, {"ask": "read"})))
    question = {"question": words(rng, 6), "limit": 10, "strict": True}
    reply = choose(rng, (words(rng, 30), "I do not know.", {"answer": words(rng, 4), "score": 1}))
    for _ in range(choose(rng, (12, 20, 60, 220))):
        result = reply if isinstance(reply, dict) else f"[{trace.stamp()}] {reply}"
        trace.turn(Call("ask", trace.shuffled({**question, "request_id": trace.uid()}), result), text=words(rng, 5))
    return trace


def guessing(rng: random.Random) -> Trace:
    """Other arguments every time, and always the same refusal, which repeats what was guessed."""
    trace = Trace(rng, choose(rng, ({}, {"login": "read"}, {"login": "write"})))
    refusal = choose(
        rng, ("Incorrect password.", "'{}' is not valid", '{{"ok": false, "tried": "{}"}}', "wrong code {}")
    )
    for n in range(rng.randint(60, 309)):
        guess = choose(rng, (f"{words(rng, 1)}{n}", str(1000 + n)))
        trace.turn(
            Call("login", {"user": "admin", "password": guess}, refusal.format(guess)), text="Let me try another."
        )
    return trace


def ping_pong(rng: random.Random) -> Trace:
    """Two to four steps in a circle."""
    trace = Trace(rng)
    steps = [Call("open", {"page": words(rng, 2)}, words(rng, 40)) for _ in range(rng.randint(2, 4))]
    for n in range(rng.randint(10, 40) * len(steps)):
        step = steps[n % len(steps)]
        trace.turn(Call(step.tool, dict(step.arguments), f"{step.result}\n(rendered in {rng.randint(3, 90)} ms)"))
    return trace


def repeated_errors(rng: random.Random) -> Trace:
    """The same call fails in the same way."""
    trace = Trace(rng)
    message = choose(rng, ("FileNotFoundError: no such file: /data/in.csv", "permission denied", "connection refused"))
    for _ in range(rng.randint(16, 80)):
        trace.turn(Call("load", {"path": "/data/in.csv"}, problem=f"{message} (at 0x7f{rng.getrandbits(40):010x})"))
    return trace


def error_streak(rng: random.Random) -> Trace:
    """Other arguments, the same error."""
    trace = Trace(rng)
    for n in range(rng.randint(30, 100)):
        column = f"{words(rng, 1)}_{n}"
        trace.turn(Call("sql", {"query": f"select {column} from t"}, problem=f"no such column: {column}"))
    return trace


def monologue(rng: random.Random) -> Trace:
    """It says what it will do, and does not do it."""
    trace = Trace(rng, {"search": "read"}).turn(Call("search", {"q": words(rng, 2)}, words(rng, 30)))
    for _ in range(rng.randint(18, 60)):
        trace.says(f"I will now {words(rng, rng.randint(5, 30))}.")
    return trace


def repeated_text(rng: random.Random) -> Trace:
    """Answers that are stuck in one sentence."""
    trace = Trace(rng)
    for n in range(rng.randint(5, 12)):
        sentence = f"I will {words(rng, rng.randint(4, 9))} now. "
        call = Call("note", {"n": n}, f"saved {words(rng, 8)}")
        trace.turn(
            *([call] if rng.random() < 0.5 else []),
            text=f"Sure. {sentence * rng.randint(20, 90)}"[: -rng.randint(1, 9)],
        )
    return trace


def empty_search(rng: random.Random) -> Trace:
    """Searches in ever other words, and never a hit."""
    trace = Trace(rng, choose(rng, ({}, {"search": "read"})))
    nothing = choose(rng, NOTHING)
    for _ in range(rng.randint(40, 120)):
        trace.turn(Call("search", {"query": words(rng, rng.randint(2, 7))}, nothing), text=words(rng, 12))
    return trace


def same_delegation(rng: random.Random) -> Trace:
    """The same task to the same agent; a model answers it in other words each time."""
    trace = Trace(rng, {"delegate": "spawn"})
    task = words(rng, 12)
    for _ in range(rng.randint(16, 40)):
        trace.turn(Call("delegate", {"agent": "writer", "task": task}, words(rng, 40)))
    return trace


def dead_poll(rng: random.Random) -> Trace:
    """It waits for something that will not happen."""
    trace = Trace(rng, {"status": "poll"})
    for _ in range(rng.randint(80, 200)):
        trace.turn(Call("status", {"job": "j1"}, {"state": "running", "at": trace.stamp()}, seconds=20))
    return trace


# ---- healthy ------------------------------------------------------------------------------------------------------
def pagination(rng: random.Random) -> Trace:
    trace = Trace(rng, choose(rng, ({}, {"list": "read"})))
    by_cursor, cursor = rng.random() < 0.5, ""
    for page in range(rng.randint(5, 60)):
        items = [{"id": page * 20 + n, "name": words(rng, 2)} for n in range(20)]
        following = trace.uid()
        trace.turn(
            Call("list", {"cursor": cursor} if by_cursor else {"page": page}, {"items": items, "next": following})
        )
        cursor = following
    return trace.end()


def polling_with_growth(rng: random.Random) -> Trace:
    trace = Trace(rng, choose(rng, ({"job": "poll"}, {})))
    trace.turn(Call("start", {"name": "build"}, {"job": 7}))
    done = 0
    while done < 100:
        trace.turn(Call("job", {"id": 7}, {"state": "running", "done": done, "at": trace.stamp()}, seconds=10))
        done += choose(rng, (0, 1, 3, 10, 25))
    return trace.turn(Call("job", {"id": 7}, {"state": "finished", "done": 100})).end()


def patient_poll(rng: random.Random) -> Trace:
    """A declared poll, a sleep beside it, and nothing for a while."""
    trace = Trace(rng, {"status": "poll", "sleep": "write"})
    for _ in range(rng.randint(5, 25)):
        trace.turn(Call("sleep", {"seconds": 5}, "ok", seconds=5), think=0.5)
        trace.turn(Call("status", {"job": "j1"}, "queued"), think=0.5)
    return trace.turn(Call("status", {"job": "j1"}, "done: 3 artefacts")).end()


def edit_and_test(rng: random.Random) -> Trace:
    trace = Trace(rng, choose(rng, ({}, {"read": "read"})))
    failing = rng.randint(3, 12)
    for n in range(rng.randint(6, 30)):
        if rng.random() < 0.4:
            trace.turn(Call("read", {"path": f"src/{words(rng, 1)}.py"}, words(rng, 80)))
        trace.turn(Call("edit", {"path": "src/a.py", "old": words(rng, 6), "new": f"{words(rng, 6)} {n}"}, "edited"))
        failing = max(0, failing - choose(rng, (0, 0, 1)))
        report = (
            f"FAILED tests/test_a.py::{words(rng, 1)}\n{failing} failed, {20 - failing} passed in {rng.random():.2f}s"
        )
        trace.turn(Call("bash", {"command": "pytest -q"}, report))
    return trace.end()


def batch_edits(rng: random.Random) -> Trace:
    trace = Trace(rng)
    for n in range(rng.randint(10, 80)):
        trace.turn(
            Call("replace", {"path": f"src/{words(rng, 1)}_{n}.py", "old": "foo(", "new": "bar("}, "1 replacement")
        )
    return trace.end()


def retry_then_success(rng: random.Random) -> Trace:
    trace = Trace(rng)
    for _ in range(rng.randint(1, 4)):
        for _ in range(rng.randint(1, 5)):
            trace.turn(Call("fetch", {"url": "https://x.test/a"}, problem="HTTP 503: temporarily unavailable"))
        trace.turn(Call("fetch", {"url": "https://x.test/a"}, words(rng, 60)))
    return trace.end()


def parallel_greps(rng: random.Random) -> Trace:
    trace = Trace(rng, choose(rng, ({}, {"grep": "read"})))
    for _ in range(rng.randint(1, 5)):
        misses = [Call("grep", {"pattern": words(rng, 1) + str(n)}, "no matches") for n in range(rng.randint(2, 12))]
        if rng.random() < 0.5:
            trace.turn(*misses)
        else:
            for miss in misses:
                trace.turn(miss)
        trace.turn(Call("grep", {"pattern": words(rng, 1)}, f"src/{words(rng, 1)}.py:12: {words(rng, 8)}"))
    return trace.end()


def research(rng: random.Random) -> Trace:
    trace = Trace(rng, {"search": "read", "open": "read"})
    for _ in range(rng.randint(10, 60)):
        trace.turn(Call("search", {"q": words(rng, 3)}, [{"title": words(rng, 5)} for _ in range(5)]))
        for _ in range(rng.randint(0, 3)):
            trace.turn(Call("open", {"url": f"https://x.test/{words(rng, 1)}/{rng.randrange(10**6)}"}, words(rng, 300)))
    return trace.end(words(rng, 400))


def form_filling(rng: random.Random) -> Trace:
    """Validation errors that get fewer."""
    trace = Trace(rng)
    missing = [f"field_{word}" for word in dict.fromkeys(words(rng, 14).split())]
    form: dict[str, str] = {}
    while missing:
        trace.turn(
            Call("submit", dict(form), problem=f"invalid: {', '.join(f'{each} is required' for each in missing)}")
        )
        for each in missing[: rng.randint(1, 3)]:
            form[each] = words(rng, 1)
        missing = [each for each in missing if each not in form]
    return trace.turn(Call("submit", dict(form), {"ok": True})).end()


def flaky_tests(rng: random.Random) -> Trace:
    trace = Trace(rng)
    for _ in range(rng.randint(3, 8)):
        failed = sorted({f"test_{words(rng, 1)}" for _ in range(rng.randint(1, 4))})
        trace.turn(
            Call(
                "bash",
                {"command": "make test"},
                f"{len(failed)} failed: {', '.join(failed)}, {rng.randint(90, 99)} passed",
            )
        )
        if rng.random() < 0.5:
            trace.turn(Call("bash", {"command": f"make test ONLY={failed[0]}"}, "1 passed"))
    return trace.turn(Call("bash", {"command": "make test"}, "100 passed")).end()


def chat_with_a_repeater(rng: random.Random) -> Trace:
    """A person who says the same again, and an agent that answers him."""
    trace = Trace(rng, {"orders": "read"})
    for _ in range(rng.randint(5, 20)):
        trace.person(choose(rng, ("Where is my order?", "Where is my order?", "Hello?", words(rng, 6))))
        if rng.random() < 0.4:
            trace.turn(Call("orders", {"customer": 7}, {"order": 12, "state": "shipped"}))
        trace.says(choose(rng, ("Your order 12 has been shipped.", f"It is on its way: {words(rng, 5)}.")))
    return trace.end()


def csv_rows(rng: random.Random) -> Trace:
    """Row by row, and nearly the same result for each."""
    trace = Trace(rng, choose(rng, ({}, {"insert": "write"})))
    numbered = rng.random() < 0.5
    for row in range(rng.randint(20, 200)):
        result = {"status": "ok", "row": row} if numbered else choose(rng, ("inserted", "ok", "1 row affected"))
        trace.turn(Call("insert", {"row": row, "name": words(rng, 2), "amount": rng.random()}, result))
    return trace.end()


DEGENERATE = (
    same_question, guessing, ping_pong, repeated_errors, error_streak, monologue, repeated_text, empty_search,
    same_delegation, dead_poll,
)  # fmt: skip
HEALTHY = (
    pagination, polling_with_growth, patient_poll, edit_and_test, batch_edits, retry_then_success, parallel_greps,
    research, form_filling, flaky_tests, chat_with_a_repeater, csv_rows,
)  # fmt: skip
