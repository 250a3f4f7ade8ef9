"""The commands that talk to a deployment, against ``callboard up``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from typer.testing import CliRunner, Result

from callboard.bus.client import connect
from callboard.bus.server import live_server
from callboard.cli.main import app
from tests.support.program import command, environment, started, wait_until

CONFIG = """
agents:
  hello: {model: {provider: scripted, turns: [{text: "Hello, {{ input }}.", usage: {input: 7, output: 5}}]}}
  slow: {model: {provider: scripted, turns: [{text: late, delay: 60}]}}
  bad: {model: {provider: scripted, turns: [{fail: {kind: auth}}]}}
functions: [jobs.py]
"""
JOBS = """
import os, time
from pathlib import Path
from callboard import StepInDoubt, worker

def once(folder: str, seconds: float) -> int:
    with (Path(folder) / "starts").open("a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(seconds)
    while (Path(folder) / "hold").exists():
        time.sleep(0.01)
    return os.getpid()

def note(folder: str) -> str:
    with (Path(folder) / "notes").open("a") as file:
        file.write("x")
    return "noted"

@worker("waiter")
async def waiter(task, run):
    return await run.signal("go")

@worker("job")
async def job(task, run):
    noted = await run.step("note", note, task["folder"])
    first = await run.step("once", once, task["folder"], task["seconds"], effect="idempotent")
    return {"noted": noted, "first": first}

@worker("careful")
async def careful(task, run):
    return await run.step("pay", once, task["folder"], task["seconds"], effect="critical")
"""


@dataclass(frozen=True)
class Up:
    """A deployment. Commands run in this process (a process for each would cost a second), on its real server."""

    cwd: Path
    url: str

    def do(self, *arguments: str) -> Result:
        with chdir(self.cwd):
            return CliRunner().invoke(app, arguments)

    def ask(self, *arguments: str, code: int = 0) -> Any:
        done = self.do(*arguments, "--json")
        assert done.exit_code == code, done.output
        return json.loads(done.stdout)

    def submit(self, agent: str, given: str, *more: str) -> str:
        return self.ask("submit", agent, given, *more)["run"]

    def state(self, run: str) -> Any:
        done = self.do("runs", "show", run, "--json")
        return json.loads(done.stdout) if done.exit_code == 0 else {"status": "queued"}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    cwd = tmp_path_factory.mktemp("up")
    (cwd / "agents.yaml").write_text(CONFIG)
    (cwd / "jobs.py").write_text(JOBS)
    with started("up", "agents.yaml", "--workers", "1", "--durability", "relaxed", "--json", cwd=cwd) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert (told["workers"], told["guards"]) == (1, 1)
        assert told["url"] == live_server(cwd / ".callboard")
        yield Up(cwd, told["url"])
    assert process.returncode == 0, (cwd / "stderr.log").read_text()[-2000:]
    assert live_server(cwd / ".callboard") is None


def test_a_task_is_submitted_waited_for_and_looked_at(up: Up) -> None:
    told = up.ask("submit", "hello", "Ada", "--wait")
    assert (told["status"], told["result"], told["agent"]) == ("completed", "Hello, Ada.", "hello")
    run = told["run"]
    shown = up.do("runs", "show", run)
    assert "status    completed" in shown.stdout
    assert "hello done" in shown.stdout
    events = [json.loads(line) for line in up.do("runs", "tail", run, "--json").stdout.splitlines()]
    assert events[0]["type"] == "run.created"
    assert events[-1]["type"] == "run.completed"
    watched = up.do("watch", run)
    assert (watched.exit_code, watched.stdout) == (0, "Hello, Ada.\n")
    assert up.ask("runs", "verify", run)["violations"] == []
    assert run in [each["run"] for each in up.ask("runs", "list")]
    assert run in up.do("runs", "list", "--status", "completed").stdout


def test_what_the_models_of_a_run_answered_is_recorded_without_secrets(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "Grace-Hopper")
    run = up.ask("submit", "hello", "Grace-Hopper", "--wait")["run"]
    assert up.ask("runs", "record", run, "agents.yaml", "--to", "hello.jsonl")["answers"] == 1
    lines = [json.loads(line) for line in (up.cwd / "hello.jsonl").read_text().splitlines()]
    assert (lines[0]["agent"], lines[0]["input"]) == ("hello", "[redacted]")
    assert (lines[-1]["call"], lines[-1]["text"]) == ("m1", "Hello, [redacted].")
    done = up.do("runs", "record", "nobody", "agents.yaml", "--to", "x.jsonl")
    assert (done.exit_code, (up.cwd / "x.jsonl").exists()) == (2, False)


def test_one_key_is_one_run_and_a_bad_id_is_usage(up: Up) -> None:
    assert up.submit("hello", "x", "--key", "k1") == up.submit("hello", "x", "--key", "k1")
    assert up.do("submit", "a b", "x").exit_code == 2
    assert up.do("submit", "hello", "x", "--deadline", "soon").exit_code == 2
    assert up.do("runs", "show", "nothing").exit_code == 2


def test_a_kill_prints_its_receipt_and_watchers_end_with_4(up: Up) -> None:
    run = up.submit("slow", "x", "--tenant", "acme")
    watching = subprocess.Popen(
        command("watch", run, "--tenant", "acme"), cwd=up.cwd, env=environment(), stderr=subprocess.PIPE, text=True
    )
    assert watching.stderr is not None
    while "slow  x" not in watching.stderr.readline():
        pass
    receipt = up.ask("kill", run, "--reason", "enough", "--tenant", "acme")
    assert (receipt["killed"], receipt["settled_by"], receipt["in_doubt"]) == (True, "owner", [])
    assert receipt["known"] is True
    assert "enough" in watching.communicate(timeout=30)[1]
    assert watching.returncode == 4
    again = up.do("kill", run, "--tenant", "acme")
    assert again.exit_code == 0
    assert "■ killed already:" in again.stdout
    assert ": enough" in again.stdout
    told = up.ask("kill", run, "--tenant", "acme")["earlier"]
    assert (told["reason"], bool(told["by"]), bool(told["at"])) == ("enough", True, True)
    assert receipt["earlier"] is None


def test_what_a_cut_off_call_used_is_in_the_total_and_told_by_model(up: Up) -> None:
    run = up.submit("slow", "x")
    wait_until(lambda: up.state(run).get("models"))
    up.ask("kill", run)
    shown = up.ask("runs", "show", run)
    assert shown["tokens"] > 0
    watched = up.do("watch", run)
    assert f"0 turns · {shown['tokens']:,} tokens · $0.0000" in watched.stderr
    (model,) = shown["models"]
    assert (model["model"], model["calls"], model["tokens"]) == ("scripted", 1, shown["tokens"])
    assert (
        f"models    scripted  1 call · {shown['tokens']:,} tokens · $0.0000  (price: script)"
        in up.do("runs", "show", run).stdout
    )


def test_a_kill_that_comes_too_late_ends_with_1(up: Up) -> None:
    run = up.ask("submit", "hello", "x", "--wait")["run"]
    told = up.do("kill", run)
    assert told.exit_code == 1
    assert "too late" in told.stdout
    assert up.do("steer", run, "hi").exit_code == 2


def test_a_kill_of_a_run_that_nobody_knows_stands_and_says_so(up: Up) -> None:
    told = up.do("kill", "typo-1")
    assert told.exit_code == 0
    assert "no run 'typo-1' of tenant 'default' is known" in told.stdout
    assert "if one comes, it ends before it starts" in told.stdout
    assert up.ask("kill", "typo-1")["known"] is False
    task = {"input": "Ada", "run": "typo-1"}
    anyio.run(_publish, up.url, "cb.task.default.hello.normal.typo-1", json.dumps(task).encode())
    wait_until(lambda: all(each["about"] != "queue" for each in up.ask("doctor")["findings"]))
    assert up.state("typo-1")["status"] == "killed"
    assert up.state("typo-1")["turns"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("pause", "typo-2"),
        ("resume", "typo-2"),
        ("steer", "typo-2", "hi"),
        ("signal", "typo-2", "go"),
        ("resolve", "typo-2", "pay#1", "done"),
        ("watch", "typo-2"),
        ("runs", "show", "typo-2"),
        ("runs", "tail", "typo-2"),
        ("runs", "verify", "typo-2"),
    ],
)
def test_a_run_that_nobody_knows_is_wrong_usage_and_nothing_is_written(up: Up, arguments: tuple[str, ...]) -> None:
    told = up.do(*arguments)
    assert (told.exit_code, told.stdout) == (2, "")
    assert "there is no run 'typo-2' of tenant 'default'" in told.stderr


def test_a_run_that_is_queued_can_be_paused_and_is_held_when_it_comes(up: Up) -> None:
    run = up.submit("later", "Ada")
    assert "it is queued: it is held before its first step" in up.do("pause", run, "--reason", "not yet").stdout
    (up.cwd / "later.yaml").write_text(CONFIG.replace("hello:", "later:").replace("functions: [jobs.py]", ""))
    with started("worker", "later.yaml", "--url", up.url, cwd=up.cwd):
        wait_until(lambda: up.state(run)["status"] == "suspended", within=30)
        assert up.do("resume", run).exit_code == 0
        assert up.do("watch", run).stdout == "Hello, Ada.\n"


def test_a_run_is_paused_before_its_next_step_and_goes_on_when_it_is_resumed(up: Up, tmp_path: Path) -> None:
    (tmp_path / "hold").touch()
    run = up.submit("job", json.dumps({"folder": str(tmp_path), "seconds": 0}), "--input-json")
    wait_until((tmp_path / "starts").exists)
    held = up.submit("waiter", "x")
    assert up.ask("pause", held, "--reason", "let me look")["status"] == "paused"
    assert up.do("pause", run).exit_code == 0
    (tmp_path / "hold").unlink()
    assert "let me look" in up.do("runs", "show", held).stdout
    assert up.ask("resume", held)["status"] == "resumed"
    assert up.do("resume", held).exit_code == 2
    up.ask("signal", held, "go", "1")
    assert json.loads(up.do("watch", held).stdout) == 1
    assert up.do("watch", run).exit_code == 0, "it had no further step, so the pause held nothing"
    assert up.do("pause", run).exit_code == 2


def test_a_run_that_fails_ends_its_watchers_with_1(up: Up) -> None:
    told = up.ask("submit", "bad", "x", "--wait", code=1)
    assert told["status"] == "failed"


def test_signals_reach_a_run(up: Up) -> None:
    run = up.submit("waiter", "x")
    assert up.ask("signal", run, "go", '{"yes": true}')["status"] == "sent"
    assert json.loads(up.do("watch", run).stdout) == {"yes": True}
    assert up.do("signal", run, "go", "{").exit_code == 2


def test_the_doctor_sees_what_is_wrong(up: Up) -> None:
    told = up.ask("doctor")
    levels = {each["about"]: each["level"] for each in told["findings"]}
    assert told["healthy"]
    assert levels["supervisor"] == levels["workers"] == levels["guards"] == levels["clock"] == "good"
    assert levels["fsync"] == "odd"
    run = up.submit("nobody", "x")
    sick = up.do("doctor")
    assert sick.exit_code == 1
    assert "'nobody', which no worker serves" in sick.stdout
    assert up.ask("runs", "show", run)["status"] == "queued"
    assert "no worker has it: `callboard doctor` says why" in up.do("runs", "show", run).stdout
    assert up.ask("kill", run)["known"] is True
    well = up.do("doctor")
    assert well.exit_code == 0
    assert "1 tasks of 'nobody' are left of runs that were killed" in well.stdout


def test_a_task_for_an_agent_that_no_worker_ever_served_is_taken_and_said(up: Up) -> None:
    told = up.do("submit", "helo", "Ada")
    assert told.exit_code == 0
    assert "no worker has ever served 'helo': did you mean 'hello'?" in told.stderr
    assert up.ask("submit", "helo", "Ada")["served"] is False
    assert "no worker" not in up.do("submit", "hello", "Ada").stderr
    assert up.ask("submit", "hello", "Ada")["served"] is True
    for each in up.ask("runs", "list", "--status", "queued"):
        up.ask("kill", each["run"])


def test_who_watches_a_run_that_no_worker_takes_up_is_told(up: Up) -> None:
    run = up.submit("nobody-at-all", "x")
    watching = subprocess.Popen(command("watch", run), cwd=up.cwd, env=environment(), stderr=subprocess.PIPE, text=True)
    assert watching.stderr is not None
    assert watching.stderr.readline() == "· queued: no worker has it yet, `callboard doctor` says why\n"
    assert up.do("kill", run).exit_code == 0
    assert watching.communicate(timeout=30)[0] is None
    assert watching.returncode == 4


async def _publish(url: str, subject: str, payload: bytes) -> None:
    async with connect(url, name="test") as connection:
        await connection.publish(subject, payload)
        await connection.barrier()


def test_dead_letters_are_listed(up: Up) -> None:
    anyio.run(_publish, up.url, "cb.task.default.hello.normal", b"no json")
    wait_until(lambda: up.ask("dead", "list"))
    assert up.ask("dead", "list")[-1]["reason"] == "bad_json"
    assert "bad_json" in up.do("dead", "list").stdout


def test_a_worker_told_to_leave_hands_its_run_over_and_nothing_is_repeated(up: Up) -> None:
    folder = up.cwd / "drain"
    folder.mkdir()
    given = json.dumps({"folder": str(folder), "seconds": 4})
    (up.cwd / "only.yaml").write_text("functions: [jobs2.py]\n")
    (up.cwd / "jobs2.py").write_text(JOBS.replace('"job"', '"drained"'))
    options = ("only.yaml", "--url", up.url, "--name")
    with started("worker", *options, "first", cwd=up.cwd) as first:
        run = up.submit("drained", given, "--input-json")
        wait_until((folder / "starts").exists)
        with started("worker", *options, "second", cwd=up.cwd):
            first.send_signal(signal.SIGTERM)
            assert first.wait(timeout=20) == 0  # 2 s on an idle machine: its thread cannot be stopped
            told = json.loads(up.do("watch", run).stdout)
            assert told["noted"] == "noted"
    assert (folder / "notes").read_text() == "x"
    state = up.state(run)
    assert state["workers"] == ["first", "second"]
    assert up.ask("runs", "verify", run)["violations"] == []


def test_a_second_signal_ends_a_worker_at_once(up: Up) -> None:
    folder = up.cwd / "twice"
    folder.mkdir()
    (up.cwd / "only3.yaml").write_text("functions: [jobs3.py]\n")
    (up.cwd / "jobs3.py").write_text(JOBS.replace('"careful"', '"stuck"'))
    log = up.cwd / "stderr.log"
    options = ("only3.yaml", "--url", up.url, "--drain", "30", "--name", "stubborn")
    with started("worker", *options, cwd=up.cwd) as process:
        run = up.submit("stuck", json.dumps({"folder": str(folder), "seconds": 60}), "--input-json")
        wait_until((folder / "starts").exists)
        seen = log.read_text().count("leaving")
        os.kill(process.pid, signal.SIGTERM)
        wait_until(lambda: log.read_text().count("leaving") > seen)
        assert process.poll() is None
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=20) == 128 + signal.SIGTERM
    with started("worker", *options, cwd=up.cwd):
        wait_until(lambda: up.state(run)["status"] == "suspended")
        assert up.state(run)["in_doubt"] == ["pay#1"]
        assert up.do("resolve", run, "nope", "done").exit_code == 2
        up.ask("resolve", run, "pay#1", "done", "77")
        assert up.do("watch", run).stdout == "77\n"
    assert len((folder / "starts").read_text().split()) == 1


def test_run_uses_the_server_that_is_there(up: Up) -> None:
    done = up.do("run", "agents.yaml", "hello", "Eve")
    assert done.stdout == "Hello, Eve.\n"
    assert up.url in done.stderr
    assert live_server(up.cwd / ".callboard") == up.url
