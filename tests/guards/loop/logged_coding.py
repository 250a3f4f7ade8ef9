"""Labelled families of runs that succeed, of coding agents and operators. Written without a look at the guard."""

# What a tool prints stands in one line, as it does there, and a turn too: broken into arguments it could not be read.
# ruff: noqa: E501, I001
# fmt: off

from __future__ import annotations

import random

from tests.guards.loop.logged import Log, STEM, code, coding, edit, fact, file, ident, jest, lined, log_lines, sh, view
from tests.guards.loop.logged_browsing import BROWSING
from tests.guards.loop.logged_office import OFFICE
from tests.guards.loop.trace import Trace, choose


def long_feature(rng: random.Random) -> Trace:
    """A hundred turns and more: one small piece after the other, each looked up, written, tested and committed."""
    log, passed = coding(rng, 6), rng.randint(40, 90)
    for _ in range(rng.randint(12, 20)):
        name = file(rng)
        lines = code(rng, 30)
        log.turn(view(log, name, lines), say=f"Next is {name}.")
        for _ in range(rng.randint(1, 2)):
            log.turn(edit(log, name, choose(rng, lines), "\n".join(code(rng, rng.randint(2, 9)))), say=fact(rng))
        test, why = f"{choose(rng, STEM)} {fact(rng)[:30]}", f"Expected: {rng.randint(1, 99)}\nReceived: {choose(rng, ('undefined', 'null', '0'))}"
        if rng.random() < 0.6:
            log.turn(sh(log, "npx jest", jest(rng, [(test, why)], passed), failed=True, secs=9), say="Run the tests.")
            log.turn(edit(log, name, choose(rng, lines), code(rng, 1)[0]), say="I see: off by one.")
        passed += rng.randint(1, 4)
        log.turn(sh(log, "npx jest", jest(rng, [], passed), secs=9), say="Run the tests.")
        log.turn(sh(log, f"git commit -qam 'Add {ident(rng)}'", ""), say="Commit.")
    return log.done()


def scrolls_down(rng: random.Random) -> Trace:
    """SWE-agent's window: ``scroll_down`` has no arguments, and shows the next hundred lines each time."""
    log, name = Log(rng, {"open": "read", "scroll_down": "read", "edit": "write"}, wraps="bare prompt"), file(rng)
    log.turn(log.ok("open", {"path": name}, f"[File: /testbed/{name} (1900 lines total)]\n{lined(code(rng, 60))}\n(1840 more lines below)"))
    for n in range(1, rng.randint(9, 18)):
        log.turn(log.ok("scroll_down", {}, f"[File: /testbed/{name} (1900 lines total)]\n({n * 60} more lines above)\n{lined(code(rng, 60), n * 60)}\n({1900 - n * 60} more lines below)"), say="Let me scroll down.")
    for _ in range(rng.randint(1, 3)):
        log.turn(log.ok("edit", {"lines": f"{rng.randint(1, 900)}:{rng.randint(900, 999)}", "text": "\n".join(code(rng, 5))}, f"File updated.\n{lined(code(rng, 30), 400)}"))
    return log.done()


def applies_diffs(rng: random.Random) -> Trace:
    """One long diff after another, each in its own file; the tool says only that it was applied."""
    log = Log(rng, {"apply_patch": "write"})
    for _ in range(rng.randint(14, 30)):
        name = file(rng)
        diff = "\n".join(f"{choose(rng, ('+', '-', ' '))}{line}" for line in code(rng, rng.randint(20, 70)))
        log.turn(log.ok("apply_patch", {"patch": f"*** Update File: {name}\n@@\n{diff}"}, choose(rng, ("Done!", "Success. Updated the following files:\nM " + name))), say=fact(rng))
    return log.done()


def coverage_climbs(rng: random.Random) -> Trace:
    """A test file, and the same command: the coverage climbs by a little."""
    log, covered = coding(rng, 3), rng.uniform(50, 60)
    while covered < 80:
        name = file(rng, "test.ts")
        log.turn(log.ok("str_replace_editor", {"command": "create", "path": name, "file_text": "\n".join(code(rng, 30))}, f"File created successfully at: {name}"), say="More tests.")
        covered += rng.uniform(0.3, 2.5)
        log.turn(sh(log, "npx jest --coverage --silent | tail -3", f"All files | {covered:.2f} | {covered - 7:.2f} | {covered + 2:.2f} |\nTests: 0 failed\nRan all test suites.", secs=20))
    return log.done()


def lint_counts_down(rng: random.Random) -> Trace:
    """One finding of one rule is mended at a time; of the check only a count is seen."""
    log, left = coding(rng, 2), rng.randint(14, 30)
    while left:
        name = file(rng)
        log.turn(edit(log, name, f"  const {choose(rng, STEM)} = {choose(rng, STEM)}!;", code(rng, 1)[0]), say="The next one.")
        left -= 1
        log.turn(sh(log, "npx eslint . --rule no-non-null-assertion | tail -1", f"✖ {left} problems ({left} errors, 0 warnings)" if left else "", failed=bool(left)))
    return log.done()


def second_approach_works(rng: random.Random) -> Trace:
    """It tries one way, takes it back, tries another, takes it back, and the third one works."""
    log, name = coding(rng, 5), file(rng)
    for n in range(3):
        for _ in range(rng.randint(2, 4)):
            log.turn(edit(log, name, code(rng, 1)[0], "\n".join(code(rng, 4))), say=fact(rng))
        failing = [(f"{choose(rng, STEM)} under load", f"Timeout - {fact(rng)}")] if n < 2 else []
        log.turn(sh(log, "npx jest", jest(rng, failing, 60), failed=bool(failing)), say="Test it.")
        if failing:
            log.turn(sh(log, f"git checkout -- {name}", "Updated 1 path from the index"), say="That does not work; I go back.").turn(view(log, name, code(rng, 20)))
    return log.done()


def upgrades_packages(rng: random.Random) -> Trace:
    """One dependency at a time, and each time all tests pass, with the same words."""
    log = coding(rng, 1)
    for name in rng.sample(STEM, rng.randint(12, 22)):
        log.turn(sh(log, f"npm install {name}@latest", f"changed {rng.randint(1, 9)} packages in {rng.randint(1, 9)}s"), say=f"Next: {name}.")
        log.turn(sh(log, "npm test --silent", f"Tests:       214 passed, 214 total\nTime:        {rng.uniform(9, 12):.3f} s", secs=11))
        log.turn(sh(log, f"git commit -qam 'Bump {name}'", ""))
    return log.done()


def halves_the_input(rng: random.Random) -> Trace:
    """Delta debugging: half of the lines, crash or no crash, until one is left."""
    log, low, high = coding(rng, 2), 0, rng.randint(5000, 90000)
    while high - low > 1:
        middle = (low + high) // 2
        crash = rng.random() < 0.5
        log.turn(sh(log, f"sed -n '{low + 1},{middle}p' crash.csv > part.csv && ./ingest part.csv", "Segmentation fault (core dumped)" if crash else "ok", failed=crash), say=f"Lines {low + 1} to {middle}.")
        low, high = (low, middle) if crash else (middle, high)
    return log.turn(sh(log, f"sed -n '{high}p' crash.csv | xxd | head", " ".join(f"{rng.getrandbits(8):02x}" for _ in range(32)))).done()


def fuzzes_seeds(rng: random.Random) -> Trace:
    """Seed after seed finds nothing, as it should; one of them does."""
    log, first = coding(rng, 2), rng.randint(1, 500)
    for n in range(rng.randint(10, 18)):
        log.turn(sh(log, f"./fuzz --seed {first + n} --time 60", f"Done {rng.randint(90000, 120000)} runs in 61 second(s): no crash", secs=61), say=f"Seed {first + n}.")
    log.turn(sh(log, f"./fuzz --seed {first + 30} --time 60", f"==1==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x{rng.getrandbits(44):x}\n{lined(code(rng, 5))}", failed=True))
    return log.turn(edit(log, file(rng), code(rng, 1)[0], code(rng, 1)[0])).turn(sh(log, f"./fuzz --seed {first + 30} --time 60", "no crash")).done()


def verbose_incident(rng: random.Random) -> Trace:
    """Logs of 10 kB with times and ids, one service after another, until the culprit is found."""
    log = Log(rng, {"fetch_logs": "read", "run": "write", "error_rate": "poll"})
    for _ in range(rng.randint(7, 12)):
        service = ident(rng)
        log.turn(log.ok("fetch_logs", {"service": service, "last": "15m"}, log_lines(rng, log.trace, rng.randint(40, 80), ("handled {n} in {n} ms", "retry {n} of {i}", f"{fact(rng)}", "pool {s} at {n}", "evicted {n} of {s}"))), say=f"Now the logs of {service}.")
    rate = rng.uniform(12, 30)
    log.turn(log.ok("run", {"cmd": f"kubectl rollout undo deploy/{choose(rng, STEM)}"}, "rolled back"))
    while rate > 0.5:
        log.turn(log.ok("error_rate", {"window": "1m"}, {"percent": round(rate, 2), "at": log.trace.stamp()}), say="It is going down.", think=60)
        rate *= rng.uniform(0.6, 0.97)
    return log.done()


def dns_spreads(rng: random.Random) -> Trace:
    """For half an hour the old address, as the record's lifetime says; then the new one."""
    log = Log(rng, {"dig": "poll", "set_record": "write"})
    name, old, new = f"api.{choose(rng, STEM)}.example", "198.51.100.7", "203.0.113.9"
    log.turn(log.ok("set_record", {"name": name, "type": "A", "value": new, "ttl": 60}, {"changed": True}))
    ttl = rng.randint(1500, 1800)
    while ttl > 0:
        log.turn(log.ok("dig", {"name": name}, f"{name}. {ttl} IN A {old}\n;; Query time: {rng.randint(1, 40)} msec"), say="Still the old address; the lifetime has not run out.", think=180)
        ttl -= rng.randint(170, 200)
    return log.turn(log.ok("dig", {"name": name}, f"{name}. 60 IN A {new}")).done()


def uploads_parts(rng: random.Random) -> Trace:
    """Part after part of an upload; now and then one fails and goes through at the second try."""
    log = Log(rng, {"upload_part": "write"})
    for part in range(1, rng.randint(30, 60)):
        while rng.random() < 0.15:
            log.turn(log.bad("upload_part", {"part": part}, f"500 InternalError: We encountered an internal error. Please try again. RequestId {rng.getrandbits(64):X}"), say="Once more.")
        log.turn(log.ok("upload_part", {"part": part}, {"etag": f"{rng.getrandbits(128):032x}"}))
    return log.done()


def restarts_hosts(rng: random.Random) -> Trace:
    """Host after host: drained, restarted, healthy, with the same words each time."""
    log = Log(rng, {"drain": "write", "restart": "write", "health": "poll"})
    for n in range(1, rng.randint(14, 30)):
        host = f"edge-{n:02}"
        log.turn(log.ok("drain", {"host": host}, "ok")).turn(log.ok("restart", {"host": host}, "ok"))
        for _ in range(rng.randint(0, 2)):
            log.turn(log.ok("health", {"host": host}, "starting"), think=15)
        log.turn(log.ok("health", {"host": host}, "healthy"))
    return log.done()


def still_creating(rng: random.Random) -> Trace:
    """Terraform: the same line with a growing time, a minute after a minute, and then it is there."""
    log = Log(rng, {"bash": "write"}, wraps="bare observed")
    log.turn(log.ok("bash", {"command": "terraform apply -auto-approve > tf.log 2>&1 &"}, "[1] 4711"))
    for n in range(1, rng.randint(10, 16)):
        log.turn(log.ok("bash", {"command": "sleep 60; tail -1 tf.log"}, f"aws_db_instance.main: Still creating... [{n}m{rng.choice((0, 10))}0s elapsed]", secs=60), say="The database takes its time.")
    return log.turn(log.ok("bash", {"command": "tail -1 tf.log"}, "Apply complete! Resources: 4 added, 0 changed, 0 destroyed.")).done()


def copies_slowly(rng: random.Random) -> Trace:
    """Terabytes: it grows by a little at each look, and sometimes not at all."""
    log, done, total = Log(rng, {"copy_status": "poll"}), rng.uniform(0.1, 1), rng.uniform(4, 6)
    while done < total:
        log.turn(log.ok("copy_status", {"id": "mig-3"}, {"copied_tb": round(min(done, total), 2), "total_tb": round(total, 2), "state": "COPYING"}), say="It goes on.", think=600)
        done += choose(rng, (0, 0.03, 0.11, 0.2))
    return log.turn(log.ok("copy_status", {"id": "mig-3"}, {"copied_tb": round(total, 2), "state": "DONE"})).done()


CODING = (
    long_feature, scrolls_down, applies_diffs, coverage_climbs, lint_counts_down, second_approach_works, upgrades_packages, halves_the_input,
    fuzzes_seeds, verbose_incident, dns_spreads, uploads_parts, restarts_hosts, still_creating, copies_slowly,
)
HEALTHY = (*CODING, *BROWSING, *OFFICE)
