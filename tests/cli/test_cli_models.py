"""Agents on real adapters, end to end: ``callboard up`` in processes of its own, and the fake provider on loopback."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from typer.testing import CliRunner, Result

from callboard.cli.main import app
from callboard.testing import Call, FakeProvider, Fault, Rate, Reply, Request, Tokens, fake_provider
from tests.support.program import callboard, started, wait_until

PARTS = ("sk", "PLACEHOLDER")
KEY = "-".join((*PARTS, "12345"))
ENV = {"ANTHROPIC_API_KEY": KEY, "OPENAI_API_KEY": KEY}
CONFIG = """
providers:
  anthropic: {{base_url: "{url}"}}
  openai: {{base_url: "{url}/v1"}}
  local: {{kind: openai-chat, base_url: "{url}/v1", api_key: "${{env:OPENAI_API_KEY}}"}}
agents:
  claude: {{model: anthropic/one, tools: ["tools.py:shout"]}}
  gpt: {{model: openai/two, tools: ["tools.py:shout"]}}
  open: {{model: local/three, tools: ["tools.py:shout"]}}
  patient: {{model: anthropic/patient, tools: ["tools.py:hold"]}}
  talker: {{model: openai/talker}}
  refused: {{model: anthropic/refused}}
  warm:
    model: {{provider: openai, name: warm, warm: true}}
    system: "{long}"
prices:
  anthropic/one: &price {{input: 3, output: 15}}
  openai/two: *price
  local/three: *price
  anthropic/patient: *price
  openai/talker: *price
  anthropic/refused: *price
  openai/warm: *price
"""
LONG = "Read everything that you are given with great care. " * 120
TOOLS = """
import os, time
from pathlib import Path
from callboard import tool

@tool
def shout(text: str) -> str:
    "Say it loud."
    return text.upper()

@tool(effect="idempotent")
def hold() -> str:
    "Wait for the word."
    with Path("holders").open("a") as file:
        file.write(f"{os.getpid()}\\n")
    while not Path("go").exists():
        time.sleep(0.01)
    return "held"
"""
NAMES = ("one", "two", "three", "patient", "talker", "refused", "warm")


def answer(request: Request) -> Reply:
    if request.model == "talker":
        return Reply("never ending " * 1000, pace=0.05)
    if request.model == "warm":
        return Reply("ready")
    if request.turn:
        return Reply("Done.", tokens=Tokens(150, 10))
    tool = Call("hold") if request.model == "patient" else Call("shout", {"text": "hi"})
    return Reply(calls=(tool,), tokens=Tokens(100, 20))


@dataclass(frozen=True)
class Up:
    """A deployment, and the provider that its workers call."""

    cwd: Path
    server: FakeProvider

    def do(self, *arguments: str) -> Result:
        with chdir(self.cwd):
            return CliRunner().invoke(app, arguments)

    def ask(self, *arguments: str, code: int = 0) -> Any:
        done = self.do(*arguments, "--json")
        assert done.exit_code == code, done.output
        return json.loads(done.stdout)

    def events(self, run: str) -> list[Any]:
        return [json.loads(line) for line in self.do("runs", "tail", run, "--json").stdout.splitlines()]

    def requests(self, model: str) -> list[Request]:
        return [each for each in self.server.requests if each.model == model]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    cwd = tmp_path_factory.mktemp("models")
    faults = [Fault("auth", at=lambda request: request.model == "refused", message=f"Incorrect key: {KEY}")]
    served = fake_provider(
        replies=answer, faults=faults, prices=dict.fromkeys(NAMES, Rate(3, 15)), models=[*NAMES, "other"]
    )
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served) as server:
        (cwd / "agents.yaml").write_text(CONFIG.format(url=server.url, long=LONG))
        (cwd / "tools.py").write_text(TOOLS)
        arguments = ("up", "agents.yaml", "--workers", "2", "--guards", "0", "--durability", "relaxed", "--json")
        with started(*arguments, cwd=cwd, **ENV) as process:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["workers"] == 2
            yield Up(cwd, server)


def test_workers_that_start_together_fill_a_prompt_cache_once_and_the_first_run_reads_from_it(up: Up) -> None:
    def warmed() -> list[Any]:
        return [run for run in up.ask("runs", "list") if run["warm"]]

    wait_until(lambda: [run["status"] for run in warmed()] == ["completed"], within=60)
    (run,) = warmed()
    assert (run["agent"], run["tenant"], run["turns"]) == ("warm", "default", 0)
    assert run["cost_usd_micros"] > 0
    assert "warm (warm-up)" in up.do("runs", "list").output
    up.ask("submit", "warm", "hello", "--wait")
    first, real = up.requests("warm")
    assert (first.body["max_output_tokens"], first.tokens.cached) == (16, 0)
    assert real.tokens.cached > 1_024
    (row,) = up.ask("cache", "--agent", "warm")
    assert (row["model"], row["calls"], row["read"]) == ("openai/warm", 2, real.tokens.cached)
    assert 0.3 < row["ratio"] < 0.6
    shown = [line.split() for line in up.do("cache", "--agent", "warm").output.splitlines()]
    assert shown[0][:4] == ["agent", "model", "tools/system", "since"]
    assert shown[1][:3] == ["warm", "openai/warm", row["prefix"]]
    assert "no calls of models with a prompt cache" in up.do("cache", "--agent", "nobody").output


@pytest.mark.parametrize(("agent", "model"), [("claude", "one"), ("gpt", "two"), ("open", "three")])
def test_an_agent_with_a_tool_runs_on_each_provider_and_its_cost_is_what_the_provider_bills(
    up: Up, agent: str, model: str
) -> None:
    told = up.ask("submit", agent, "Ada", "--wait")
    assert (told["status"], told["result"]) == ("completed", "Done.")
    events = up.events(told["run"])
    kinds = [each["type"] for each in events]
    assert [kinds.count(kind) for kind in ("model.requested", "model.responded", "tool.returned")] == [2, 2, 1]
    names = {"one": "anthropic/one", "two": "openai/two", "three": "openai-chat:local/three"}
    assert {each["model"] for each in events if each["type"] == "model.requested"} == {names[model]}
    returned = next(each for each in events if each["type"] == "tool.returned")
    assert "HI" in json.dumps(returned)
    bill = up.server.bill[model]
    assert told["cost_usd_micros"] == bill.usd_micros == 1200
    assert "$0.0012" in up.do("runs", "show", told["run"]).stdout
    first, second = up.requests(model)
    assert "HI" in json.dumps(second.body)
    assert "HI" not in json.dumps(first.body)


def test_no_call_that_was_answered_is_made_again_when_its_worker_is_killed(up: Up) -> None:
    run = up.ask("submit", "patient", "wait")["run"]
    holders = up.cwd / "holders"
    wait_until(lambda: holders.exists() and holders.read_text().strip())
    os.kill(int(holders.read_text().split()[0]), signal.SIGKILL)
    wait_until(lambda: len(holders.read_text().split()) > 1)
    (up.cwd / "go").touch()
    wait_until(lambda: up.ask("runs", "show", run)["status"] == "completed")
    assert [each.turn for each in up.requests("patient")] == [0, 1]
    assert up.ask("runs", "show", run)["cost_usd_micros"] == up.server.bill["patient"].usd_micros


def test_a_kill_closes_the_stream_of_the_provider(up: Up) -> None:
    run = up.ask("submit", "talker", "talk")["run"]
    wait_until(lambda: any(each.chunks > 2 for each in up.requests("talker")))
    killed = time.monotonic()
    up.do("kill", run)
    (request,) = up.requests("talker")
    wait_until(lambda: request.left is not None)
    assert request.done is None
    assert request.left is not None
    assert request.left > killed
    assert up.ask("runs", "show", run)["status"] == "killed"


def test_the_key_is_in_no_journal_log_error_check_or_doctor(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    refused = up.do("submit", "refused", "x", "--wait", "--json")
    assert json.loads(refused.stdout)["status"] == "failed"
    sinks = [refused.output, up.do("runs", "show", json.loads(refused.stdout)["run"]).output]
    sinks += [up.do("check", "agents.yaml", *more).output for more in ((), ("--json",))]
    sinks += [up.do("doctor", "--models", "agents.yaml", *more).output for more in ((), ("--json",))]
    kept = [path for path in up.cwd.rglob("*") if path.is_file()]
    assert any(b"model.requested" in path.read_bytes() for path in kept)
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]
    for sink in sinks:
        assert KEY not in sink
    assert "key: ANTHROPIC_API_KEY" in sinks[2]
    assert json.loads(sinks[3])["providers"]["local"]["key"] == "OPENAI_API_KEY"
    assert "local/three" in sinks[4]


def test_doctor_ends_with_1_when_a_model_cannot_be_used(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    assert up.ask("doctor", "--models", "agents.yaml")["healthy"] is True
    text = CONFIG.format(url=up.server.url, long=LONG).replace("anthropic/one", "anthropic/gone")
    (up.cwd / "gone.yaml").write_text(text)
    found = {each["model"]: each["usable"] for each in up.ask("doctor", "--models", "gone.yaml", code=1)["models"]}
    assert not found.pop("anthropic/gone")
    assert all(found.values())


@pytest.mark.parametrize("arguments", [("up", "--workers", "1"), ("worker",), ("run", "claude", "hi")])
def test_without_a_key_nothing_starts_and_what_to_do_is_said(up: Up, arguments: tuple[str, ...]) -> None:
    name, *more = arguments
    after = more if name == "run" else []
    options = [] if name == "run" else more
    done = callboard(name, "agents.yaml", *after, *options, cwd=up.cwd, OPENAI_API_KEY=KEY)
    assert done.returncode == 2, done.stderr
    assert "providers.anthropic.api_key: '${env:ANTHROPIC_API_KEY}'" in done.stderr
    assert "no such variable: set it" in done.stderr
