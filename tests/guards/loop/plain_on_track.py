"""Labelled families of runs that succeed, as an outsider would record them. Written without a look at the guard."""

# What a tool prints stands in one line, as it does there, and a turn too: broken into arguments it could not be read.
# ruff: noqa: E501, I001
# fmt: off

from __future__ import annotations

import random

from tests.guards.loop.plain_scenes import CODING, NOUN, Desk, coder, named, path, prose, pytest_says, source
from tests.guards.loop.plain_at_work import AT_WORK
from tests.guards.loop.trace import Trace, choose


def fixes_an_issue(rng: random.Random) -> Trace:
    """Look, reproduce, correct, test, test all, commit."""
    desk, name, test = coder(rng), path(rng), f"test_{named(rng)}"
    lines = source(rng, 40)
    desk.step(desk.read(name, lines)).step(desk.bash("python reproduce.py", f"ValueError: {prose(rng)}", code=1))
    for n in range(rng.randint(2, 5)):
        desk.step(desk.edit(name, lines[n], source(rng, 1)[0]))
        desk.step(desk.bash(f"pytest -q tests/test_api.py::{test}", pytest_says(rng, [(test, f"assert {named(rng)}() == {rng.randint(2, 99)}")], 0), code=1))
        desk.step(desk.read(name, source(rng, 20), rng.randint(1, 90)))
    desk.step(desk.edit(name, lines[9], source(rng, 1)[0])).step(desk.bash("python reproduce.py", "OK"))
    return desk.step(desk.bash("pytest -q", pytest_says(rng, [], 120))).step(desk.bash("git commit -am 'Fix it'", "1 file changed, 3 insertions(+)")).done()


def failing_tests_shrink(rng: random.Random) -> Trace:
    """The same command between edits; each time a test or two less fails, for the same reason."""
    desk, why = coder(rng), choose(rng, ("TypeError: unsupported operand type(s)", "KeyError: 'region'", "assert None is not None"))
    failing = [(f"test_{named(rng)}_{n}", why) for n in range(rng.randint(8, 20))]
    while failing:
        desk.step(desk.edit(path(rng), source(rng, 1)[0], source(rng, 1)[0]))
        failing = failing[rng.randint(1, 2) if rng.random() < 0.8 else 0:]
        desk.step(desk.bash("pytest -q", pytest_says(rng, failing, 60 - len(failing)), code=int(bool(failing)), seconds=12))
    return desk.done()


def one_test_many_reasons(rng: random.Random) -> Trace:
    """One test stays red, but each correction takes it a line further."""
    desk, name, test = coder(rng), path(rng), f"test_{named(rng)}"
    for _ in range(rng.randint(7, 14)):
        desk.step(desk.edit(name, source(rng, 1)[0], "\n".join(source(rng, 3))))
        desk.step(desk.bash(f"pytest -q -k {test}", pytest_says(rng, [(test, choose(rng, (f"NameError: name '{named(rng)}' is not defined", f"AttributeError: '{choose(rng, NOUN).title()}' object has no attribute '{named(rng)}'", f"assert {rng.randint(1, 99)} == {rng.randint(100, 999)}")))], 3), code=1))
    return desk.step(desk.bash(f"pytest -q -k {test}", pytest_says(rng, [], 4))).done()


def flaky_test_counted(rng: random.Random) -> Trace:
    """It was asked how often a test fails: the same command some times, most of them the same answer."""
    desk, test = coder(rng), f"test_{named(rng)}"
    for n in range(rng.randint(6, 9)):
        red = n in (3, 5) or rng.random() < 0.2
        desk.step(desk.bash(f"pytest -q tests/test_api.py::{test}", pytest_says(rng, [(test, "assert 'late' == 'on time'")] if red else [], 0 if red else 1), code=int(red)), say=f"Run {n + 1} of the series.")
    return desk.explore(2).step(desk.edit(path(rng), source(rng, 1)[0], source(rng, 1)[0])).step(desk.bash(f"pytest --count 50 -k {test}", pytest_says(rng, [], 50))).done()


def renames_everywhere(rng: random.Random) -> Trace:
    """The same change in one file after another; the tool says the same but for the file."""
    desk, old, new = coder(rng), named(rng), f"{named(rng)}_v2"
    for name in sorted({path(rng) for _ in range(rng.randint(15, 40))}):
        desk.step(desk.edit(name, f"from app import {old}", f"from app import {new}"), say=f"Next file: {name}.")
    return desk.step(desk.bash(f"grep -rn {old} src | wc -l", "0")).step(desk.bash("pytest -q", pytest_says(rng, [], 90))).done()


def moves_components(rng: random.Random) -> Trace:
    """Search, move, correct the imports, search again: for each of the components."""
    desk = coder(rng)
    for name in sorted({f"{choose(rng, NOUN).title()}{choose(rng, NOUN).title()}" for _ in range(rng.randint(6, 12))}):
        users = sorted({path(rng) for _ in range(rng.randint(1, 3))})
        desk.step(desk.ok("grep", {"pattern": name, "path": "src"}, "\n".join(f"{user}:{rng.randint(1, 9)}:import {{ {name} }} from '../{name}'" for user in users)))
        desk.step(desk.bash(f"git mv src/{name}.tsx src/components/{name}.tsx"))
        for user in users:
            desk.step(desk.edit(user, f"from '../{name}'", f"from '../components/{name}'"))
        desk.step(desk.ok("grep", {"pattern": f"'../{name}'", "path": "src"}, "No files found"))
    return desk.step(desk.bash("npm run build", f"built in {rng.uniform(2, 9):.2f}s")).done()


def type_errors_shrink(rng: random.Random) -> Trace:
    """Hundreds of the same error; the list gets shorter."""
    desk, left = coder(rng), rng.randint(12, 22)
    places = [f"{path(rng)}({rng.randint(2, 400)},{rng.randint(1, 60)}): error TS2339: Property 'id' does not exist on type 'Base'." for _ in range(left)]
    while places:
        desk.step(desk.edit(places[0].split("(")[0], source(rng, 1)[0], source(rng, 1)[0]))
        places = places[1:]
        desk.step(desk.bash("npx tsc --noEmit | head -20", "\n".join([*places[:20], f"Found {len(places)} errors."]), code=int(bool(places))))
    return desk.done()


def reads_a_large_file(rng: random.Random) -> Trace:
    """Window after window of one file."""
    desk, name, size = Desk(rng, **CODING), path(rng), choose(rng, (50, 100))
    for first in range(1, size * rng.randint(14, 30), size):
        desk.step(desk.read(name, source(rng, size), first), say="I read on.")
    return desk.step(desk.edit(name, source(rng, 1)[0], source(rng, 1)[0])).done()


def notebook_cells(rng: random.Random) -> Trace:
    """Most cells assign, and print nothing."""
    desk = Desk(rng, run_cell="write")
    for n in range(rng.randint(14, 26)):
        desk.step(desk.ok("run_cell", {"code": "\n".join(source(rng, rng.randint(1, 4)))}, prose(rng) if n % 6 == 5 else ""))
    return desk.step(desk.ok("run_cell", {"code": "model.summary()"}, prose(rng, 3))).done()


def picks_commits(rng: random.Random) -> Trace:
    """Commit after commit onto the release branch."""
    desk = Desk(rng, bash="write")
    for _ in range(rng.randint(12, 25)):
        commit = f"{rng.getrandbits(40):010x}"
        desk.step(desk.bash(f"git cherry-pick -x {commit}", f"[release-3.{rng.randint(1, 9)} {rng.getrandbits(40):010x}] {prose(rng)[:50]}\n 1 file changed, {rng.randint(1, 9)} insertions(+), {rng.randint(1, 9)} deletions(-)"))
        if rng.random() < 0.3:
            desk.step(desk.bash("make check", f"ok  {rng.randint(200, 210)} tests  {rng.uniform(3, 9):.1f}s"))
    return desk.done()


def bisects(rng: random.Random) -> Trace:
    """It halves the history: a build, a verdict, the next commit."""
    desk, left = coder(rng), rng.randint(700, 3000)
    desk.step(desk.bash("git bisect start HEAD v2.1.0", f"Bisecting: {left} revisions left to test after this"))
    while left > 0:
        good = rng.random() < 0.5
        desk.step(desk.bash("make -s test-upload", "PASS" if good else "FAIL: upload returned 500", code=int(not good), seconds=30))
        left //= 2
        desk.step(desk.bash(f"git bisect {'good' if good else 'bad'}", f"Bisecting: {left} revisions left to test after this (roughly {left.bit_length()} steps)\n[{rng.getrandbits(160):040x}] {prose(rng)[:40]}"))
    return desk.step(desk.bash("git bisect reset", "Previous HEAD position was restored")).done()


def tunes_a_benchmark(rng: random.Random) -> Trace:
    """A change, the same benchmark, another number."""
    desk, name, rate = coder(rng), path(rng), rng.uniform(900, 1500)
    for _ in range(rng.randint(8, 16)):
        desk.step(desk.edit(name, source(rng, 1)[0], source(rng, 1)[0]), say=prose(rng))
        rate *= rng.uniform(0.97, 1.15)
        desk.step(desk.bash("python bench.py --seconds 10", f"requests/s: {rate:.1f}\np50: {9000 / rate:.2f} ms\np99: {40000 / rate:.2f} ms", seconds=11))
    return desk.done(f"It does {rate:.0f} requests a second now.")


def missing_headers(rng: random.Random) -> Trace:
    """Each build stops at the next missing package."""
    desk = coder(rng)
    for header in sorted({choose(rng, NOUN) for _ in range(rng.randint(5, 11))}):
        desk.step(desk.bash("make -j8", f"src/main.c:{rng.randint(1, 40)}:10: fatal error: {header}/{header}.h: No such file or directory\ncompilation terminated.\nmake: *** [Makefile:{rng.randint(10, 90)}: build/main.o] Error 1", code=1))
        desk.step(desk.bash(f"apt-get install -y lib{header}-dev", f"Setting up lib{header}-dev ({rng.randint(1, 9)}.{rng.randint(0, 9)}) ..."))
    return desk.step(desk.bash("make -j8", "ld: build/app\nok")).done()


def parallel_greps(rng: random.Random) -> Trace:
    """Several searches in each turn; some find nothing."""
    desk = Desk(rng, **CODING)
    for _ in range(rng.randint(4, 10)):
        desk.step(*(desk.ok("grep", {"pattern": named(rng), "path": choose(rng, ("src", "lib", "tests"))}, "No matches found" if rng.random() < 0.4 else "\n".join(f"{path(rng)}:{rng.randint(1, 400)}:{line}" for line in source(rng, 3))) for _ in range(rng.randint(3, 6))))
    return desk.step(desk.edit(path(rng), source(rng, 1)[0], source(rng, 1)[0])).done()


def greps_that_miss(rng: random.Random) -> Trace:
    """It does not know the name of what it looks for; in the end it finds it."""
    desk = coder(rng)
    for _ in range(rng.randint(6, 10)):
        desk.step(desk.ok("grep", {"pattern": choose(rng, (named(rng), f"{choose(rng, NOUN)}_id", f"class {choose(rng, NOUN).title()}")), "path": choose(rng, ("src", "lib", "."))}, "No matches found"))
    return desk.explore(3).step(desk.edit(path(rng), source(rng, 1)[0], source(rng, 1)[0])).done()


def compiles_in_a_session(rng: random.Random) -> Trace:
    """A long build in a shell session: polls with empty input, often with empty output."""
    desk, session = Desk(rng, exec_command="write", write_stdin="poll").explore(2), rng.randint(1000, 99999)
    desk.step(desk.ok("exec_command", {"cmd": "cargo build --release"}, {"session_id": session, "output": "   Compiling proc-macro2 v1.0.92", "running": True}))
    for n in range(rng.randint(9, 16)):
        out = f"   Compiling {named(rng)} v0.{rng.randint(1, 9)}.{rng.randint(0, 9)}" if n % 4 == 3 else ""
        desk.step(desk.ok("write_stdin", {"session_id": session, "chars": "", "yield_time_ms": 30000}, {"output": out, "running": True, "wall_time": round(rng.uniform(30, 30.4), 3)}, seconds=30), say="")
    desk.step(desk.ok("write_stdin", {"session_id": session, "chars": "", "yield_time_ms": 30000}, {"output": "    Finished `release` profile in 6m 12s", "running": False, "exit_code": 0}))
    return desk.done()


def pages_of_invoices(rng: random.Random) -> Trace:
    """Page after page of rows that are numbers only."""
    desk, total = Desk(rng, list_invoices="read"), rng.randint(12, 30)
    for page in range(1, total + 1):
        rows = [{"id": rng.randint(100000, 999999), "cents": rng.randint(100, 99999), "status": choose(rng, ("paid", "paid", "open"))} for _ in range(10)]
        desk.step(desk.ok("list_invoices", {"page": page, "per_page": 10}, {"data": rows, "page": page, "total_pages": total}), say="Next page.")
    return desk.done(f"{total * 10} invoices; the open ones sum up to {rng.randint(1000, 99999)}.")


def follows_a_cursor(rng: random.Random) -> Trace:
    """Pages of records with texts, behind opaque cursors."""
    desk, cursor = Desk(rng, list_tickets="read"), ""
    for _ in range(rng.randint(8, 25)):
        after, cursor = cursor, f"{rng.getrandbits(64):016x}"
        desk.step(desk.ok("list_tickets", {"cursor": after, "limit": 5}, {"tickets": [{"id": desk.trace.uid(), "subject": prose(rng)} for _ in range(5)], "next_cursor": cursor}))
    return desk.done()


def counts_the_tables(rng: random.Random) -> Trace:
    """One number for each table."""
    desk = Desk(rng, run_sql="read")
    for table in sorted({f"{named(rng)}s" for _ in range(rng.randint(15, 30))}):
        desk.step(desk.ok("run_sql", {"sql": f"SELECT count(*) FROM {table}"}, {"columns": ["count"], "rows": [[rng.randint(0, 10**6)]], "ms": rng.randint(2, 900)}))
    return desk.done()


def deletes_in_batches(rng: random.Random) -> Trace:
    """A thousand rows at a time, as the runbook says, and a look at how many are left."""
    desk, left, table = Desk(rng, run_sql="write"), rng.randint(9, 22) * 1000 + rng.randint(1, 999), f"{choose(rng, NOUN)}s"
    while left:
        now = min(left, 1000)
        left -= now
        desk.step(desk.ok("run_sql", {"sql": f"DELETE FROM {table} WHERE created_at < '2024-01-01' LIMIT 1000"}, f"Query OK, {now} rows affected ({rng.uniform(0.1, 0.9):.2f} sec)"))
        desk.step(desk.ok("run_sql", {"sql": f"SELECT count(*) FROM {table} WHERE created_at < '2024-01-01'"}, f"count(*)\n{left}"))
    return desk.done()


def sql_wrong_then_right(rng: random.Random) -> Trace:
    """It learns the schema from different refusals, then asks what it was asked for."""
    desk = Desk(rng, run_sql="read")
    for _ in range(rng.randint(4, 7)):
        wrong = choose(rng, (f'ERROR: column "{named(rng)}" does not exist', f'ERROR: relation "{choose(rng, NOUN)}" does not exist', f'ERROR: syntax error at or near "{choose(rng, NOUN)}"'))
        desk.step(desk.fails("run_sql", {"sql": f"select {named(rng)} from {choose(rng, NOUN)}s group by {rng.randint(1, 3)}"}, wrong))
    for _ in range(rng.randint(4, 10)):
        desk.step(desk.ok("run_sql", {"sql": f"select {choose(rng, NOUN)}, sum(cents) from {choose(rng, NOUN)}s where year = {rng.randint(2015, 2026)} group by 1"}, {"rows": [[named(rng), rng.randint(1, 10**6)] for _ in range(4)]}))
    return desk.done()


def fills_a_sheet(rng: random.Random) -> Trace:
    """Row after row; the tool says ok."""
    desk = Desk(rng, update_row="write", search="read").asks(2)
    for row in range(2, rng.randint(20, 50)):
        desk.step(desk.ok("update_row", {"sheet": "Leads", "row": row, "values": [named(rng), prose(rng)[:30], rng.randint(1, 99)]}, {"updatedRows": 1}))
    return desk.done()


def sweeps_parameters(rng: random.Random) -> Trace:
    """The same program with other numbers, and other numbers come out."""
    desk = Desk(rng, bash="write")
    for rate in (0.1, 0.03, 0.01, 0.003, 0.001):
        for seed in range(rng.randint(2, 4)):
            desk.step(desk.bash(f"python train.py --lr {rate} --seed {seed} --epochs 3", f"epoch 3/3 loss={rng.uniform(0.2, 2):.4f} val_acc={rng.uniform(0.5, 0.95):.4f}", seconds=90))
    return desk.done("The best rate is 0.003.")


def watches_a_training(rng: random.Random) -> Trace:
    """It sleeps, reads the last line, sleeps; only numbers move."""
    desk, step, loss = Desk(rng, bash="write"), 0, 2.9
    for _ in range(rng.randint(14, 35)):
        step, loss = step + rng.randint(80, 120), loss * rng.uniform(0.93, 0.995)
        desk.step(desk.bash("sleep 120; tail -n 1 train.log", f"step {step}/3000 loss {loss:.4f} lr 0.0003 {rng.uniform(3, 4):.2f} it/s", seconds=120), say="It is still training.")
    return desk.step(desk.bash("python evaluate.py", f"accuracy {rng.uniform(0.7, 0.9):.4f}")).done()


HEALTHY = (
    *AT_WORK,
    fixes_an_issue, failing_tests_shrink, one_test_many_reasons, flaky_test_counted, renames_everywhere,
    moves_components, type_errors_shrink, reads_a_large_file, notebook_cells, picks_commits, bisects, tunes_a_benchmark,
    missing_headers, parallel_greps, greps_that_miss, compiles_in_a_session, pages_of_invoices, follows_a_cursor,
    counts_the_tables, deletes_in_batches, sql_wrong_then_right, fills_a_sheet, sweeps_parameters, watches_a_training,
)
