"""``callboard guard backtest`` on a real bus."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import anyio
import pytest
from typer.testing import CliRunner, Result

from callboard.bus.bus import open_bus
from callboard.bus.messages import Content, ModelRequested, ModelResponded, Problem, RunCompleted, RunFailed, Usage
from callboard.bus.subjects import Subjects
from callboard.cli.main import app
from tests.guards.sidecar.watchers import Journalist
from tests.support.bus import bus_url, delete_streams

GUARDS = Path(__file__).parents[1] / "guards/backtest/guards.py"
CONFIG = """
agents:
  triage: {model: {provider: scripted, turns: [{text: hello}]}}
guards:
  custom:
    talk: {use: "guards.py:Chatty", settings: {limit: 2}}
"""
FAILED = RunFailed(problem=Problem(kind="turns", message="no"))


@pytest.fixture(scope="module")
def recorded() -> Iterator[str]:
    """Four runs: two with many answers, of which one finished well, a short one, and one of another tenant."""
    prefix = f"t{secrets.token_hex(6)}"

    async def record() -> None:
        async with open_bus(bus_url(), subjects=Subjects(prefix), name="test") as bus:
            here = Journalist(bus)
            for run, tenant, agent, turns, end in (
                ("loops", "acme", "triage", 6, FAILED), ("works", "acme", "triage", 5, RunCompleted()),
                ("short", "acme", "triage", 2, RunCompleted()), ("other", "bolt", "helper", 4, FAILED),
            ):  # fmt: skip
                key = await here.create(run, tenant, agent=agent, spec={"name": agent})
                usage = Usage(input_tokens=1_000, output_tokens=10, cost_usd_micros=20_000)
                for number in range(1, turns + 1):
                    answer = ModelResponded(call=f"m{number}", text=Content(value="…"), usage=usage)
                    await here.append(key, ModelRequested(call=f"m{number}", model="x"))
                    await here.append(key, answer)
                await here.append(key, end)

    anyio.run(record)
    yield prefix
    anyio.run(delete_streams, Subjects(prefix))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "guards.py").write_text(GUARDS.read_text())
    (tmp_path / "agents.yaml").write_text(CONFIG)
    return tmp_path


def do(prefix: str, folder: Path, *arguments: str) -> Result:
    with chdir(folder):
        return CliRunner().invoke(app, ["guard", "backtest", *arguments, "--url", bus_url(), "--prefix", prefix])


def asked(prefix: str, folder: Path, *arguments: str) -> Any:
    done = do(prefix, folder, *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_it_tells_whom_it_would_have_killed_who_finished_well_and_what_it_saves(recorded: str, folder: Path) -> None:
    told = asked(recorded, folder, "guards.py:Chatty")
    assert (told["guard"], told["runs"], told["killed"], told["false_alarms"]) == ("chatty", 4, 3, 1)
    assert told["outcomes"] == {"failed": 2, "completed": 2}
    assert {action: count for action, count in told["verdicts"].items() if count} == {"warn": 3, "nudge": 3, "kill": 3}
    saved = told["saved"]
    assert (saved["model_calls"], saved["tokens"], saved["usd_micros"]) == (2, 2_020, 40_000)
    assert told["lost"]["model_calls"] == 1
    by_run = {trial["run"]: trial for trial in told["trials"]}
    assert by_run.keys() == {"loops", "works", "other"}
    assert (by_run["works"]["false_alarm"], by_run["loops"]["false_alarm"]) == (True, False)
    assert [verdict["action"] for verdict in by_run["loops"]["verdicts"]] == ["warn", "nudge", "kill"]


def test_people_get_tables_with_the_false_alarms_first(recorded: str, folder: Path) -> None:
    shown = do(recorded, folder, "guards.py:Chatty", "--since", "2h").stdout
    rows = [line.split() for line in shown.splitlines()]
    assert shown.startswith("chatty: 4 runs (2 failed, 2 completed)")
    assert ["kill", "3", "1"] in rows
    (works,) = [row for row in rows if row[:1] == ["acme/works"]]
    (loops,) = [row for row in rows if row[:1] == ["acme/loops"]]
    assert rows.index(works) < rows.index(loops)
    assert works[1:9] == ["triage", "completed", "kill,", "false", "alarm", "9", "of", "12"]
    assert "2 model calls · 2,020 tokens · $0.0400" in shown
    assert "by ending 2 runs that did not finish well" in shown
    assert "1 run that finished well, 50.0% of those, would have been killed" in shown


def test_a_threshold_a_tenant_and_an_agent_can_be_chosen(recorded: str, folder: Path) -> None:
    def killed(*options: str) -> int:
        return asked(recorded, folder, "guards.py:Chatty", *options)["killed"]

    assert [killed("--set", f"limit={limit}") for limit in (1, 5)] == [4, 1]
    assert killed("--tenant", "bolt") == 1
    assert killed("--agent", "triage") == 2
    assert killed("--since", "2020-01-01", "--until", "2021-01-01") == 0
    silent = do(recorded, folder, "guards.py:Chatty", "--set", "limit=9")
    assert "it would have said nothing" in silent.stdout
    nobody = do(recorded, folder, "guards.py:Chatty", "--agent", "nobody")
    assert nobody.stdout.startswith("chatty: no runs · left out: 4")


def test_a_guard_of_the_configuration_is_tried_on_its_agents(recorded: str, folder: Path) -> None:
    told = asked(recorded, folder, "talk", "agents.yaml")
    assert (told["runs"], told["skipped"], told["killed"]) == (3, 1, 2)  # nobody of that file is `helper`
    assert asked(recorded, folder, "talk", "agents.yaml", "--set", "limit=5")["killed"] == 1


def test_the_built_in_guards_can_be_tried_without_a_file(recorded: str, folder: Path) -> None:
    for name in ("loop", "stuck"):
        assert asked(recorded, folder, name)["runs"] == 4
    assert asked(recorded, folder, "stuck", "--set", "factor=50")["killed"] == 0
    told = asked(recorded, folder, "budget", "--set", "run.usd=0.05", "--set", "wrap_up=0.01")
    assert (told["verdicts"]["deny"], told["killed"]) == (3, 2)


def test_runs_in_files_are_judged_as_those_on_the_bus_without_a_bus(recorded: str, folder: Path) -> None:
    for tenant, runs in {"acme": ("loops", "works"), "bolt": ("other",)}.items():
        where = ("--url", bus_url(), "--prefix", recorded, "--tenant", tenant, "--json")
        shown = [CliRunner().invoke(app, ["runs", "show", run, *where]).stdout for run in runs]
        (folder / f"{tenant}.json").write_text("".join(shown))
    files = ("--journal", "acme.json", "--journal", "bolt.json")
    with chdir(folder):
        done = CliRunner().invoke(app, ["guard", "backtest", "guards.py:Chatty", *files, "--json"])
        acme = CliRunner().invoke(app, ["guard", "backtest", "guards.py:Chatty", *files, "--tenant", "acme"])
    told = asked(recorded, folder, "guards.py:Chatty")
    by_run = {each["run"]: each for each in told["trials"]}
    assert {each["run"]: each for each in json.loads(done.stdout)["trials"]} == by_run
    assert by_run.keys() == {"loops", "works", "other"}
    assert acme.stdout.startswith("chatty: 2 runs (1 failed, 1 completed)")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("lop",), "there is no guard 'lop' to try: did you mean 'loop'"),
        (("guards.py:Nobody",), "'guards.py:Nobody' is no guard"),
        (("guards.py:Chatty", "--set", "limit=0"), "raises ValueError: limit is 0: give at least 1"),
        (("guards.py:Chatty", "--set", "volume=9"), "unexpected keyword argument 'volume'"),
        (("stuck", "--set", "facter=9"), "--set facter: there is no such setting: did you mean 'factor'"),
        (("stuck", "--set", "factor"), "--set is 'factor': give key=value"),
        (("stuck", "--since", "yesterday"), "--since is 'yesterday'"),
        (("no.py:Chatty",), "there is no file"),
        (("loop", "--journal", "no.json"), "no.json: cannot be read"),
        (("loop", "--journal", "agents.yaml"), "agents.yaml:2:1: no JSON"),
        (("loop", "--journal", "agents.yaml", "--since", "2d"), "is judged whole"),
    ],
)
def test_a_mistake_is_found_before_anything_is_read(folder: Path, arguments: tuple[str, ...], problem: str) -> None:
    with chdir(folder):
        done = CliRunner().invoke(app, ["guard", "backtest", *arguments, "--url", "nats://127.0.0.1:1"])
    assert (done.exit_code, problem in done.stderr) == (2, True), done.stderr
