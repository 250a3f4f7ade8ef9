"""Shell: what starting costs: the import, the command line, and a first run with everything embedded."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.stats import Row, Target, median, with_unit

_ROOT = Path(__file__).resolve().parent.parent
_HELLO = ("-m", "callboard", "run", str(_ROOT / "examples/hello/agents.yaml"), "hello", "Ada")
_HEAD = "run "
"""How the one line begins that ``callboard run`` prints before the first event."""


def startup(data: Path, *, times: int) -> list[Row]:
    """Medians of ``times`` fresh processes each. Modules are compiled already, as from anybody's second start on."""
    with TemporaryDirectory(prefix=".bench-", dir=data) as compiled:
        environment = {**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONPYCACHEPREFIX": compiled}
        for unwanted in ("PYTHONDONTWRITEBYTECODE", "CALLBOARD_URL"):
            environment.pop(unwanted, None)
        _first_run(data, environment)
        rows = [
            _cpu("import callboard", times, 0.25, environment, "-c", "import callboard"),
            _cpu("callboard --help", times, 0.5, environment, "-m", "callboard", "--help"),
        ]
        first, whole = zip(*(_first_run(data, environment) for _ in range(times)), strict=True)
    return [
        *rows,
        _row("callboard run: to the first event shown", first, Target("at most", 1.5, "s")),
        _row("callboard run: to its end", whole, None),
    ]


def _cpu(name: str, times: int, limit: float, environment: Mapping[str, str], *arguments: str) -> Row:
    def run() -> object:
        return subprocess.run(_command(arguments), check=True, cwd=_ROOT, env=environment, stdout=subprocess.DEVNULL)

    values = [_cpu_of(run) for _ in range(times)]
    return _row(f"{name}: CPU", values, Target("at most", limit, "s"))


def _cpu_of(run: Callable[[], object]) -> float:
    """CPU seconds of the child processes that ``run`` starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _first_run(data: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds from the start of the process to its first event on the screen, and to its end; on empty data."""
    with TemporaryDirectory(prefix=".bench-", dir=data) as directory:
        started = time.perf_counter()
        with subprocess.Popen(
            _command(_HELLO),
            cwd=directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            lines = (line for line in process.stdout if line.strip() and not line.startswith(_HEAD))
            shown = next(lines, "")
            first = time.perf_counter() - started
            rest = "".join(lines)
        whole = time.perf_counter() - started
        if process.returncode:
            raise RuntimeError(f"callboard run ended with {process.returncode}:\n{shown}{rest}")
        return first, whole


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, *arguments]


def _row(case: str, values: tuple[float, ...] | list[float], target: Target | None) -> Row:
    middle = median(values)
    return Row(case, "", with_unit(middle, "s"), target=target, judged=middle, raw={"seconds": list(values)})
