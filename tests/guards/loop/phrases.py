"""Sentences in the words of real agents, in several languages, and what their tools wrap around an answer."""

# ruff: noqa: E501 - what a tool prints stands in one line, as it does there

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

from tests.guards.loop.trace import Trace, choose

SUBJECTS = (
    "invoice export", "login form", "shipping rates", "user sessions", "database migration", "image upload",
    "search index", "payment webhook", "translation files", "release notes", "retry queue", "mobile layout",
    "access tokens", "weekly report", "inventory sync", "price rules", "cookie banner", "build pipeline",
)  # fmt: skip
FACTS = (
    "the {a} depends on the {b}", "the {a} was rewritten after the {b} failed in {n}", "{n} percent of the {a} use it",
    "a change of the {b} in {n} broke the {a}", "the {a} is documented beside the {b}", "nobody owns the {a} since {n}",
    "the {b} reads the {a} every {n} minutes", "the {a} costs {n} euros more than the {b}",
    "tests of the {a} need the {b} to be up", "the team of the {b} reviewed the {a} {n} times",
)  # fmt: skip
CODE = (
    "const {x} = await load{y}({n});", "if (!{x}) return {y}[{n}];", "export function {x}({y}: string) {{",
    "  return {x}.map(({y}) => {y}.id + {n});", "def {x}(self, {y}=None):", "    self.{x} = {y} or {n}",
    "    for {x} in self.{y}[:{n}]:", "        raise ValueError(f'bad {x} {{{y}}}')", "import {{ {x} }} from './{y}{n}';",
    "  {x}: {{ type: '{y}', max: {n} }},", "@app.route('/{x}/{y}')", "SELECT {x}, {y} FROM t{n};",
)  # fmt: skip
NAMES = (
    "order",
    "client",
    "total",
    "rate",
    "token",
    "page",
    "row",
    "batch",
    "price",
    "stock",
    "label",
    "route",
    "view",
)


def say(rng: random.Random, *parts: str | Sequence[str]) -> str:
    """One of each part."""
    return " ".join(part if isinstance(part, str) else choose(rng, part) for part in parts)


def facts(rng: random.Random, count: int) -> list[str]:
    """Sentences that say something each."""
    return [
        choose(rng, FACTS).format(a=choose(rng, SUBJECTS), b=choose(rng, SUBJECTS), n=rng.randint(3, 2026)).capitalize()
        + "."
        for _ in range(count)
    ]


def source(rng: random.Random, count: int) -> list[str]:
    """Lines of code."""
    return [
        choose(rng, CODE).format(x=choose(rng, NAMES), y=choose(rng, NAMES) + choose(rng, NAMES).title(),
            n=rng.randint(1, 900))
        for _ in range(count)
    ]  # fmt: skip


def mcp(trace: Trace, value: Any, *, error: bool = False) -> dict[str, Any]:
    """What a server of the Model Context Protocol answers."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return {"content": [{"type": "text", "text": text}], "isError": error, "_meta": {"requestId": trace.uid()}}


def snapshot(rng: random.Random, url: str, title: str, items: Sequence[str]) -> str:
    """A page as Playwright's server shows it; references are new at each look."""
    first = rng.randint(2, 900)
    tree = "\n".join(f"  - {item} [ref=e{first + 3 * n}] [cursor=pointer]" for n, item in enumerate(items))
    return (
        f"### Ran Playwright code\n```js\nawait page.getByRole('button').click();\n```\n### Page state\n"
        f"- Page URL: {url}\n- Page Title: {title}\n- Page Snapshot:\n```yaml\n- generic [ref=e1]:\n{tree}\n```"
    )


def jest(rng: random.Random, failing: Sequence[str], passing: int, why: str) -> str:
    """A report of Jest, with its times and where it stands."""
    heads = [
        f"  \u25cf cart \u203a {name}\n\n    {why}\n\n      at Object.<anonymous> (src/cart.test.ts:{rng.randint(9, 99)}:{rng.randint(3, 40)})"
        for name in failing
    ]
    counts = f"Tests:       {len(failing)} failed, {passing} passed, {len(failing) + passing} total"
    return "\n\n".join([
        f"{'FAIL' if failing else 'PASS'} src/cart.test.ts ({rng.uniform(1, 9):.3f} s)", *heads,
        f"Test Suites: {1 if failing else 0} failed, 1 total\n{counts}\nTime:        {rng.uniform(1, 9):.3f} s, estimated {rng.randint(2, 9)} s",
    ])  # fmt: skip
