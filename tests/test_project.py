"""The project around the code: its checks find what they look for, and what its files name is there."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import MappingProxyType

import pytest

from scripts import check, coverage_gate, pure, sizes

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = MappingProxyType(tomllib.loads((ROOT / "pyproject.toml").read_text()))
TARGETS = ("demo", "runaway", "test", "proofs", "check", "bench", "fmt", "docs", "chaos", "cluster", "clean")
SOURCES = tuple(
    path
    for folder in ("callboard", "scripts", "bench", "examples", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path != Path(__file__)
)


def impurities(source: str) -> list[str]:
    return [what for _, what in pure.impurities(ast.parse(source))]


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import time", "imports time"),
        ("from os import environ", "imports os.environ"),
        ("import nats.aio.client", "imports nats.aio.client"),
        ("def f():\n    import random", "imports random"),
        ("async def f(x):\n    await x", "awaits"),
        ("async def f(x):\n    async with x: ...", "awaits"),
        ("from datetime import datetime\ndatetime.now()", "calls datetime.now"),
        ("open('x')", "calls open"),
        ("from pathlib import Path\nPath('x').read_text()", "calls Path('x').read_text"),
    ],
)
def test_a_pure_module_that_touches_the_world_is_found(source: str, what: str) -> None:
    assert impurities(source) == [what]


@pytest.mark.parametrize(
    "source",
    [
        "import json, re, hashlib",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import asyncio",
        "from pathlib import Path\ndef f(p: Path) -> Path:\n    return p / 'x'",
        "class P:\n    async def port(self) -> None: ...",
        "def f(state):\n    return state.resolve()",
    ],
)
def test_values_and_ports_are_pure(source: str) -> None:
    assert impurities(source) == []


def test_a_pure_module_that_reaches_a_shell_through_others_is_found() -> None:
    kinds = {"callboard.bus.messages": "Pure", "callboard.errors": "Shell"}
    found = list(pure.reached_shells(kinds))
    assert len(found) == 1
    assert "callboard.bus.messages -> " in found[0]
    assert found[0].endswith("-> callboard.errors")


@pytest.mark.parametrize(
    ("source", "kind"),
    [('"""Pure: x."""', "Pure"), ('"""Shell: x."""', "Shell"), ("", "empty"), ('"""Purely."""', ""), ("x = 1", "")],
)
def test_a_module_says_what_it_is_in_its_first_line(source: str, kind: str) -> None:
    assert pure.kind_of(ast.parse(source)) == kind


@pytest.mark.parametrize(("lines", "found"), [(40, 0), (41, 1)])
def test_a_function_of_more_than_forty_lines_is_found(lines: int, found: int, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("async def f():\n" + "    x = 1\n" * (lines - 1))
    assert len(list(sizes.findings(path, tmp_path))) == found


@pytest.mark.parametrize(("lines", "found"), [(300, 0), (301, 1)])
def test_a_file_of_more_than_three_hundred_lines_is_found(lines: int, found: int, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("x = 1\n" * lines)
    assert len(list(sizes.findings(path, tmp_path))) == found


@pytest.mark.parametrize(
    ("pure_percent", "total", "verdict"),
    [(100.0, 90.0, 0), (99.9, 95.0, 1), (100.0, 89.9, 1)],
)
def test_coverage_below_a_threshold_is_found(pure_percent: float, total: float, verdict: int) -> None:
    def entry(percent: float) -> dict:
        return {"summary": {"percent_covered": percent}, "missing_lines": [1], "missing_branches": [[2, -1]]}

    files = {"callboard/errors.py": entry(pure_percent), "callboard/clock.py": entry(50.0)}
    assert coverage_gate.judge({"files": files, "totals": {"percent_covered": total}}) == verdict


def test_what_is_not_covered_is_shown_as_ranges_and_branches() -> None:
    entry = {"missing_lines": [3, 4, 5, 9], "missing_branches": [[2, 3], [7, -1], [8, 11]]}
    assert coverage_gate.missing(entry) == "3-5, 9, 7->exit, 8->11"


@pytest.mark.parametrize(
    "line", ["12 passed in 3.45s", "1 failed, 2 passed, 3 warnings in 75.10s (0:01:15)", "= 5 passed in 0.1s ="]
)
def test_the_last_line_of_the_check_is_the_closing_line_of_pytest(line: str) -> None:
    step = next(step for step in check.STEPS if step.name == "tests")
    shown = ["collected 12 items", "2 runs in 7 s", line, "make: *** [Makefile:15: test] Error 1"]
    assert check.closing_line([check.Result(step, 1.0, 0, shown)]) == line


def test_the_check_fails_and_shows_the_output_when_a_step_fails(capsys: pytest.CaptureFixture[str]) -> None:
    good = check.Step("good", (sys.executable, "-c", "print('silent')"))
    bad = check.Step("bad", (sys.executable, "-c", "import sys; print('why'); sys.exit(3)"))
    assert check.report([check.told(check.run(each)) for each in (good, bad)], 1.0) == 1
    assert check.report([check.told(check.run(good))], 1.0) == 0
    shown = capsys.readouterr().out
    assert "    why" in shown
    assert "silent" not in shown
    assert re.search(r"^bad +\d+\.\d s  FAILED$", shown, re.MULTILINE)


@pytest.mark.parametrize("code", [0, 1])
def test_a_long_step_runs_beside_the_live_ones_gives_way_to_them_and_counts(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = tmp_path / "begun"
    priority = "import os; print('priority', os.getpriority(os.PRIO_PROCESS, 0)); "
    waits = f"import pathlib, time\nwhile not pathlib.Path({str(begun)!r}).exists(): time.sleep(0.01)"
    goes = f"{priority}import pathlib, sys; pathlib.Path({str(begun)!r}).touch(); sys.exit({code})"
    long = check.Step("long", check.behind(sys.executable, "-c", goes), long=True)
    monkeypatch.setattr(check, "STEPS", (long, check.Step("live", (sys.executable, "-c", waits), live=True)))
    assert check.main([]) == code
    shown = capsys.readouterr().out
    assert ("priority 19" in shown) == bool(code)
    table = shown.partition("\n\n")[2]
    assert re.match(r"long .*\nlive .* ok\nall ", table)


def test_every_command_of_the_readme_is_a_target() -> None:
    for target in TARGETS:
        shown = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert shown.returncode == 0, shown.stderr
        assert shown.stdout.strip(), target


def test_processes_that_make_starts_keep_what_they_compiled() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "--eval=env: ; @env", "env"],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "KEPT": "PLACEHOLDER"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "KEPT=PLACEHOLDER" in shown.stdout
    assert "PYTHONDONTWRITEBYTECODE" not in shown.stdout


def test_ci_runs_what_everybody_runs() -> None:
    assert "make --no-print-directory check" in (ROOT / ".ci/run").read_text()
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_the_check_runs_the_test_command_of_the_readme() -> None:
    step = next(step for step in check.STEPS if step.name == "tests")
    assert step.command[0] == "make"
    assert "test" in step.command


def test_every_page_of_the_documentation_is_in_its_navigation_and_exists() -> None:
    named = re.findall(r"^ +- .*: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    there = {
        str(path.relative_to(ROOT / "docs"))
        for path in (ROOT / "docs").rglob("*.md")
        if path.parent.name not in {"decisions", "schemas"}
    }
    assert set(named) == there


def test_every_ignored_rule_says_why() -> None:
    lint = (ROOT / "pyproject.toml").read_text().partition("[tool.ruff.lint]")[2].partition("[tool.ruff.lint.pyd")[0]
    rules = [line for line in lint.splitlines() if re.match(r'\s*"[A-Za-z/*]', line)]
    assert len(rules) > len(SETTINGS["tool"]["ruff"]["lint"]["ignore"])
    assert [line for line in rules if " # " not in line] == []


def test_every_exception_to_a_rule_names_the_rule_and_says_why() -> None:
    mark = re.compile(r"# (noqa|type: ignore|pyright: ignore|pragma: no)")
    good = re.compile(
        r"# ((noqa: [A-Z0-9, ]+|pragma: no (cover|branch)) *(- |# )\S|(type|pyright): ignore\[[\w, -]+\])"
    )
    lines = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if mark.search(line) and not good.search(line)
    ]
    assert lines == []


def test_what_users_install_is_typed_and_licensed() -> None:
    assert (ROOT / "callboard/py.typed").is_file()
    assert SETTINGS["project"]["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_the_changelog_has_a_place_for_what_is_not_released_yet() -> None:
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text()
