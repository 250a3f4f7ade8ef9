"""A harness and its habits, and what its tools print: the ninth set is made of this. All texts are made up."""

# ruff: noqa: E501 - what a tool prints stands in one line, as it does there

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

from tests.guards.loop.trace import Call, Trace, choose

WHO = (
    "The billing worker", "Our gateway", "The new importer", "A stale cache entry", "The mobile client", "The nightly job",
    "The tax table", "Support", "The vendor's API", "The staging cluster", "The audit trail", "The checkout page",
    "The search service", "A second replica", "The migration", "The old report", "The session store", "Finance",
    "The rate card", "The label printer", "The warehouse feed", "The pricing team", "The login flow", "An early retry",
)  # fmt: skip
DOES = (
    "rounds twice when it reads", "silently drops", "writes too late to", "holds a lock on", "still depends on", "was never told of",
    "falls back to", "cannot see", "doubles the size of", "is compared against", "gets its limits from", "blocks the release of",
    "has replaced", "expects in UTC", "was measured with", "validates before it stores", "was moved away from", "needs a test for",
    "reports the wrong owner of", "pays for", "skips empty lines in", "overrides", "keeps a copy of", "should stop reading",
)  # fmt: skip
WHAT = (
    "the export bucket", "partial refunds", "the currency field", "customers without a region", "the second page of orders",
    "the retry header", "archived invoices", "the weekly digest", "the feature flag", "postal codes", "the connection pool",
    "gift cards", "the consent banner", "the shipping estimate", "duplicated events", "the signing secret", "time zones",
    "the stock level", "credit notes", "the thumbnail queue", "the daily quota", "unpaid trials", "the locale files", "the ledger",
)  # fmt: skip
WHY = (
    "because nobody set a default", "since the upgrade in March", "whenever two of them arrive at once", "for about one customer in forty",
    "as the contract of 2024 demands", "although the page says otherwise", "until somebody restarts it", "and that is by design",
    "which the incident review had asked for", "at a third of the former cost", "with no warning in the log", "unless the flag is off",
    "according to the runbook", "in every region but one", "so the totals differ", "before the first byte is sent",
)  # fmt: skip
VERB = (
    "load",
    "merge",
    "parse",
    "render",
    "notify",
    "settle",
    "split",
    "index",
    "quote",
    "fetch",
    "apply",
    "reserve",
    "close",
    "trim",
)
NOUN = (
    "invoice", "order", "cart", "session", "label", "voucher", "ledger", "tenant", "address", "shipment", "receipt", "quota", "digest",
    "payment", "catalog", "webhook", "profile", "coupon", "batch", "report", "refund", "parcel", "price", "region",
)  # fmt: skip
CODING = {"bash": "write", "read_file": "read", "edit_file": "write", "grep": "read"}
BROWSER = {"navigate": "write", "click": "write", "type": "write", "scroll": "write", "snapshot": "read"}


def prose(rng: random.Random, count: int = 1) -> str:
    """So many sentences that each say something."""
    return " ".join(
        f"{choose(rng, WHO)} {choose(rng, DOES)} {choose(rng, WHAT)} {choose(rng, WHY)}." for _ in range(count)
    )


def named(rng: random.Random) -> str:
    """The name of a function."""
    return f"{choose(rng, VERB)}_{choose(rng, NOUN)}"


def path(rng: random.Random) -> str:
    """A source file."""
    return f"src/{choose(rng, NOUN)}s/{named(rng)}.py"


def source(rng: random.Random, count: int) -> list[str]:
    """Lines of a program."""
    forms = (
        "def {a}(self, {n}, limit={k}):", "    {n} = self.{a}({m}, retries={k})", "    if not {n}.{m}_id:", "        raise ValueError(f'no {m} for {{{n}!r}}')",
        "    for {n} in self.{m}s[:{k}]:", "        yield {a}({n})", "    return [{a}(each) for each in {n}s]", "from app.{n}s import {a}",
        "    log.info('{a} took %s', {n}.seconds)", "class {N}{M}(Base):", "    {n}: {M} | None = None", "    # {w}",
    )  # fmt: skip
    return [
        choose(rng, forms).format(a=named(rng), n=(n := choose(rng, NOUN)), m=(m := choose(rng, NOUN)), N=n.title(), M=m.title(), k=rng.randint(2, 900), w=prose(rng))
        for _ in range(count)
    ]  # fmt: skip


def numbered(lines: Sequence[str], first: int = 1) -> str:
    """As ``cat -n`` shows them."""
    return "\n".join(f"{first + n:>6}\t{line}" for n, line in enumerate(lines))


def pytest_says(rng: random.Random, failures: Sequence[tuple[str, str]], passed: int) -> str:
    """A report with durations, a temporary path and an address."""
    lines = [
        f"============================= test session starts ==============================\nplatform linux -- Python 3.11.{rng.randint(2, 9)}, pytest-8.3.4\nrootdir: /tmp/pytest-of-root/pytest-{rng.randint(3, 90)}\ncollected {len(failures) + passed} items\n"
    ]
    for name, why in failures:
        lines.append(
            f"____ {name} ____\n\nself = <tests.Case object at 0x{rng.getrandbits(44):x}>\n\n>       {why}\n\ntests/test_api.py:{rng.randint(20, 300)}: AssertionError"
        )
    lines += [f"FAILED tests/test_api.py::{name} - {why}" for name, why in failures]
    counts = ", ".join(
        part for part in (f"{len(failures)} failed" if failures else "", f"{passed} passed" if passed else "") if part
    )
    return "\n".join([*lines, f"============ {counts} in {rng.uniform(0.4, 30):.2f}s ============"])


def found(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Hits of a web search."""
    return [
        {"title": prose(rng)[:60], "url": f"https://{choose(rng, NOUN)}-{choose(rng, NOUN)}.example/{rng.getrandbits(28):x}", "snippet": prose(rng, 2), "score": round(rng.random(), 4)}
        for _ in range(count)
    ]  # fmt: skip


def screen(rng: random.Random, url: str, title: str, items: Sequence[str]) -> str:
    """A page as an agent's browser shows it: the numbers of its elements are new each time."""
    first = rng.randint(1, 400)
    body = "\n".join(f"[{first + n}] {item}" for n, item in enumerate(items))
    return f"Current url: {url}?sid={rng.getrandbits(40):x}\nTitle: {title}\nInteractive elements:\n{body}\n(scroll: {rng.randint(0, 3)} pages below)"


class Desk:
    """One run under a harness: how results are wrapped and how much the model says is the same all the way."""

    def __init__(self, rng: random.Random, **kinds: str) -> None:
        self.rng = rng
        self.trace = Trace(rng, choose(rng, ({}, kinds, kinds)))
        self.style = rng.randrange(5)
        self.in_band = rng.random() < 0.5
        self.chatty = choose(rng, (0.0, 0.4, 1.0))

    def ok(self, tool: str, arguments: Any, result: Any = "", *, seconds: float = 0.4) -> Call:
        """A call that works."""
        return Call(tool, arguments, self._wrapped(result, 0), seconds=seconds * self.rng.uniform(0.5, 2))

    def fails(self, tool: str, arguments: Any, message: str, *, seconds: float = 0.4) -> Call:
        """A call that does not: some harnesses say it in the result."""
        seconds *= self.rng.uniform(0.5, 2)
        if self.in_band:
            return Call(tool, arguments, self._wrapped(message, 1), seconds=seconds)
        return Call(tool, arguments, problem=message, seconds=seconds)

    def step(self, *calls: Call, say: str | None = None, think: float = 4.0) -> Desk:
        """A turn. What it says beside its calls is up to the model, unless given."""
        if say is None:
            say = f"{choose(self.rng, ('Next:', 'I see.', 'So', 'Good.', 'Noted.', 'Hm,'))} {prose(self.rng)}"
        self.trace.turn(*calls, text=say if self.rng.random() < self.chatty or not calls else "", think=think)
        return self

    def bash(self, command: str, result: str = "", *, code: int = 0, seconds: float = 0.6) -> Call:
        """The shell."""
        return (
            self.fails("bash", {"command": command}, result, seconds=seconds)
            if code
            else self.ok("bash", {"command": command}, result, seconds=seconds)
        )

    def read(self, name: str, lines: Sequence[str], first: int = 1) -> Call:
        """A window of a file."""
        return self.ok("read_file", {"path": name, "offset": first}, numbered(lines, first))

    def edit(self, name: str, old: str, new: str) -> Call:
        """A change of a file that works."""
        return self.ok(
            "edit_file", {"path": name, "old_string": old, "new_string": new}, f"The file {name} has been updated."
        )

    def explore(self, count: int) -> Desk:
        """First steps of a coding agent, that all bring something."""
        for _ in range(count):
            name = path(self.rng)
            if self.rng.random() < 0.5:
                self.step(self.read(name, source(self.rng, self.rng.randint(15, 50))))
            else:
                hits = "\n".join(
                    f"{path(self.rng)}:{self.rng.randint(1, 700)}:{line}"
                    for line in source(self.rng, self.rng.randint(2, 8))
                )
                self.step(self.ok("grep", {"pattern": named(self.rng), "path": "src"}, hits))
        return self

    def asks(self, count: int) -> Desk:
        """First steps of an agent that looks things up."""
        for _ in range(count):
            self.step(self.ok("search", {"query": prose(self.rng)[4:40]}, {"results": found(self.rng, 4)}))
        return self

    def done(self, text: str = "") -> Trace:
        """It has succeeded."""
        return self.trace.end(text or f"All of it is done. {prose(self.rng, 2)}")

    def _wrapped(self, value: Any, code: int) -> Any:
        rng, trace = self.rng, self.trace
        if isinstance(value, dict):
            value = trace.shuffled(value)
        if self.style == 2:
            text = value if isinstance(value, str) else json.dumps(value, indent=2)
            return {
                "content": [{"type": "text", "text": text}],
                "isError": bool(code),
                "_meta": {"requestId": trace.uid()},
            }
        if self.style == 4:
            return trace.shuffled({"ok": not code, "data": value, "ts": trace.stamp(), "trace_id": trace.uid()})
        if not isinstance(value, str):
            return value
        if self.style == 1:
            return trace.shuffled(
                {"stdout": value, "stderr": "", "exit_code": code, "duration_ms": rng.randint(20, 4000)}
            )
        if self.style == 3:
            return (
                f"{value}\n[exit code {code}, took {rng.uniform(0.02, 9):.2f}s, cwd /tmp/run-{rng.getrandbits(32):08x}]"
            )
        return value


def coder(rng: random.Random) -> Desk:
    """A coding agent that has worked well for a while."""
    return Desk(rng, **CODING).explore(rng.randint(2, 10))


def long(rng: random.Random) -> range:
    """So long it goes on after it went astray."""
    return range(rng.randint(20, 45))
