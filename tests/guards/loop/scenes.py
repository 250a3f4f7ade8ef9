"""What the tools of real agents print: windows of files, hits, test reports, refusals. Made up, in their format."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.guards.loop.trace import Call, Trace, choose, words


def code(rng: random.Random, count: int) -> list[str]:
    """Lines of a source file."""
    return [
        f"{'    ' * rng.randint(0, 3)}{words(rng, 1)}_{n} = {words(rng, 1)}({words(rng, 2)!r})" for n in range(count)
    ]


def window(path: str, lines: Sequence[str], first: int, size: int = 100) -> str:
    """A view of a file with its numbers, as editors for agents print it."""
    shown = "\n".join(f"{first + n:6}\t{line}" for n, line in enumerate(lines[first - 1 : first - 1 + size]))
    return f"Here's the result of running `cat -n` on {path} ({len(lines)} lines total):\n{shown}"


def report(rng: random.Random, failed: Sequence[str], passed: int, reason: str) -> str:
    """What pytest prints."""
    lines = [f"FAILED tests/test_core.py::{name} - {reason}" for name in failed]
    counts = ", ".join(filter(None, [f"{len(failed)} failed" if failed else "", f"{passed} passed" if passed else ""]))
    head = f"{'=' * 20} test session starts {'=' * 20}\ncollected {len(failed) + passed} items\n"
    return head + "\n".join([*lines, f"{'=' * 10} {counts} in {rng.uniform(0.2, 9):.2f}s {'=' * 10}"])


def trace_back(rng: random.Random, message: str) -> str:
    """A traceback; where it stands moves with the edits."""
    return f'Traceback (most recent call last):\n  File "/w/run.py", line {rng.randint(3, 90)}, in <module>\n{message}'


def hits(rng: random.Random, count: int) -> list[dict[str, str]]:
    """Results of a search."""
    return [
        {
            "title": words(rng, 5),
            "url": f"https://{words(rng, 1)}.test/{rng.getrandbits(24):x}",
            "snippet": words(rng, 15),
        }
        for _ in range(count)
    ]


def lint_refusal(rng: random.Random, error: str, lines: Sequence[str], first: int) -> str:
    """An edit that the linter refuses, with the excerpt as it would have been."""
    excerpt = "\n".join(f"{first + n}:{line}" for n, line in enumerate(lines[first : first + rng.randint(8, 14)]))
    return (
        f"Your proposed edit has introduced new syntax error(s). Please read this error message carefully.\n\n"
        f"ERRORS:\n- {error}\n\nThis is how your edit would have looked if applied\n{'-' * 40}\n{excerpt}\n{'-' * 40}\n"
        f"Your changes have NOT been applied. Please fix your edit command and try again."
    )


def thought(rng: random.Random) -> str:
    """What a model says before it calls a tool."""
    beginning = choose(rng, ("Let me", "Now I will", "I see. Next, I should", "To be sure, I"))
    return f"{beginning} {words(rng, rng.randint(6, 25))}."


def tools(rng: random.Random, **kinds: str) -> dict[str, str]:
    """The same run with its tools declared, or not."""
    return choose(rng, ({}, kinds))


def shell(command: str, result: str, seconds: float = 0.5) -> Call:
    """A call of a coding agent's one tool, which nobody declared."""
    return Call("bash", {"command": command}, result, seconds=seconds)


def explore(trace: Trace, count: int) -> Trace:
    """Some first steps that all bring something."""
    rng = trace.rng
    for _ in range(count):
        found = "\n".join(f"src/{words(rng, 1)}.py:{rng.randint(1, 900)}:{words(rng, 6)}" for _ in range(5))
        trace.turn(shell(f"grep -rn {words(rng, 1)} src | head -{rng.randint(5, 30)}", found), text=thought(rng))
    return trace
