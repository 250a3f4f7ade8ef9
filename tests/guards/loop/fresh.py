"""Labelled families of runs, written after the corrections that the held-out half led to."""

from __future__ import annotations

import random

from tests.guards.loop.held_out import page, shell
from tests.guards.loop.trace import Call, Trace, choose, words


# ---- degenerate ---------------------------------------------------------------------------------------------------
def missing_file(rng: random.Random) -> Trace:
    """It looks for one file in every directory."""
    trace = Trace(rng)
    for _ in range(rng.randint(30, 70)):
        path = "/".join(["", *words(rng, rng.randint(1, 4)).split(), "config.yaml"])
        trace.turn(shell(f"cat {path}", f"cat: {path}: No such file or directory"), text=words(rng, 10))
    return trace


def cookie_banner(rng: random.Random) -> Trace:
    """It tries two buttons and a key, and the page stays as it is but for an advertisement's id."""
    trace = Trace(rng)
    tree = page(rng, "Shop")
    for _ in range(rng.randint(15, 30)):
        call = choose(rng, (Call("click", {"id": "7"}), Call("click", {"id": "8"}), Call("press", {"key": "Escape"})))
        call.result = f"{tree}\nframe 'ad {trace.uid()}'"
        trace.turn(call)
    return trace


def strict_schema(rng: random.Random) -> Trace:
    """Its final answer never fits the schema."""
    trace = Trace(rng)
    for n in range(rng.randint(15, 40)):
        trace.turn(Call("submit_answer", {"answer": words(rng, 10), "try": n},
            problem="bad_arguments: 1 error for Answer\ntotal\n  Field required [type=missing]"))  # fmt: skip
    return trace


def dead_api(rng: random.Random) -> Trace:
    """Every endpoint says the same."""
    trace = Trace(rng)
    for _ in range(rng.randint(40, 90)):
        trace.turn(Call("http", {"method": "GET", "path": f"/v1/{words(rng, 1)}/{rng.randrange(999)}"},
            {"status": 401, "body": {"error": "unauthorized", "request_id": trace.uid()}}))  # fmt: skip
    return trace


def empty_answers(rng: random.Random) -> Trace:
    """It says nothing and does nothing."""
    trace = Trace(rng).turn(Call("read", {"path": "a"}, words(rng, 20)))
    for _ in range(rng.randint(10, 40)):
        trace.says("")
    return trace


def plan_again(rng: random.Random) -> Trace:
    """The same plan, worded anew, into the same tool."""
    trace = Trace(rng, {"update_plan": "write", "list_files": "read"})
    listing = [f"src/{words(rng, 1)}.py" for _ in range(20)]
    plan = [{"step": words(rng, 4), "status": "pending"} for _ in range(4)]
    for _ in range(rng.randint(14, 40)):
        trace.turn(Call("update_plan", {"plan": plan}, "Plan updated")).turn(
            Call("list_files", {"path": "src"}, listing)
        )
    return trace


def supervisor_insists(rng: random.Random) -> Trace:
    """A delegate that fails, asked in the same words."""
    trace = Trace(rng, {"delegate": "spawn"})
    task = words(rng, 9)
    for _ in range(rng.randint(14, 30)):
        trace.turn(Call("delegate", {"agent": "coder", "task": task}, problem=f"the run failed: {words(rng, 3)}"))
    return trace


# ---- healthy ------------------------------------------------------------------------------------------------------
def debugging(rng: random.Random) -> Trace:
    """One script, run again after each edit; the error moves on, and often does not."""
    trace = Trace(rng)
    for n in range(rng.randint(8, 25)):
        trace.turn(shell(f"sed -i '{n}s/x/{words(rng, 1)}/' run.py", ""))
        line = rng.randint(1, 4)
        trace.turn(
            shell("python run.py", f"Traceback (most recent call last):\n  File 'run.py', line {line}\nTypeError: x")
        )
    return trace.turn(shell("python run.py", words(rng, 20))).end()


def flights(rng: random.Random) -> Trace:
    """Day by day, mostly nothing."""
    trace = Trace(rng, choose(rng, ({}, {"flights": "read"})))
    for day in range(1, rng.randint(8, 28)):
        found = [] if rng.random() < 0.7 else [{"flight": words(rng, 1), "price": rng.randint(90, 900)}]
        trace.turn(Call("flights", {"from": "HAM", "to": "LIS", "date": f"2026-12-{day:02d}"}, {"flights": found}))
    return trace.end()


def migrations(rng: random.Random) -> Trace:
    """Statements that say OK, and a look now and then."""
    trace = Trace(rng)
    for n in range(rng.randint(10, 50)):
        trace.turn(
            Call(
                "sql",
                {"query": f"alter table {words(rng, 1)}_{n} add column c{n} int"},
                choose(rng, ("OK", "ALTER TABLE")),
            )
        )
        if n % 7 == 0:
            trace.turn(Call("sql", {"query": "select count(*) from log"}, [[n]]))
    return trace.end()


def counter_press(rng: random.Random) -> Trace:
    """The same button several times, on purpose: three guests, then five nights."""
    trace = Trace(rng)
    for _ in range(rng.randint(1, 5)):
        tree = page(rng, "Booking", 12)
        button = str(rng.randint(1, 99))
        for n in range(rng.randint(1, 9)):
            trace.turn(Call("click", {"id": button}, f"{tree}\nspinbutton 'Guests' value: {n + 1}"))
    return trace.end()


def monitoring(rng: random.Random) -> Trace:
    """Quiet metrics, declared as a poll, then an alarm and work."""
    trace = Trace(rng, {"metrics": "poll"})
    for _ in range(rng.randint(1, 4)):
        for _ in range(rng.randint(2, 9)):
            trace.turn(Call("metrics", {"service": "api"}, {"errors": 0, "at": trace.stamp()}, seconds=20))
        trace.turn(Call("metrics", {"service": "api"}, {"errors": rng.randint(3, 99)}))
        trace.turn(Call("logs", {"since": trace.stamp()}, words(rng, 90))).turn(
            Call("restart", {"pod": trace.uid()}, "ok")
        )
    return trace.end()


def translations(rng: random.Random) -> Trace:
    """Many strings, in batches, each with an answer of its own."""
    trace = Trace(rng, {"translate": "read", "save": "write"})
    for n in range(rng.randint(5, 30)):
        texts = [words(rng, 3) for _ in range(rng.randint(1, 8))]
        trace.turn(*(Call("translate", {"text": text}, text[::-1]) for text in texts))
        trace.turn(*(Call("save", {"key": f"{n}.{k}", "text": text[::-1]}, "saved") for k, text in enumerate(texts)))
    return trace.end()


def tickets(rng: random.Random) -> Trace:
    """A queue of tickets: read, look up, answer, close, all with the same acknowledgements."""
    trace = Trace(rng)
    for n in range(rng.randint(5, 30)):
        trace.turn(Call("next_ticket", {}, {"id": n, "text": words(rng, 20)}))
        if rng.random() < 0.6:
            trace.turn(Call("kb_search", {"q": words(rng, 2)}, choose(rng, ([], [], [words(rng, 12)]))))
        trace.turn(
            Call("reply", {"id": n, "text": words(rng, 20)}, {"ok": True}), Call("close", {"id": n}, {"ok": True})
        )
    return trace.turn(Call("next_ticket", {}, None)).end()


DEGENERATE = (missing_file, cookie_banner, strict_schema, dead_api, empty_answers, plan_again, supervisor_insists)
HEALTHY = (debugging, flights, migrations, counter_press, monitoring, translations, tickets)
