"""``callboard check`` says which guards runs will have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from callboard.cli.guard_tables import caps_of
from callboard.cli.main import app
from callboard.config.guards import RunBudget

FILE = """\
agents:
  triage:
    model: {provider: scripted, name: m, turns: [{text: hi}]}
    guards: {custom: {chatty: {settings: {limit: 3}}}}
  other:
    model: {provider: scripted, turns: [{text: hi}]}
    guards:
      budget: {run: {usd: 0.005}, hard: true, mode: shadow, missing: closed, burn_within: [1m]}
      loop: {missing: closed}
guards:
  budget: {tenant: {usd: 100, per: day}, global: {tool_calls: 100000}}
  custom: {chatty: {use: "own_guards.py:Chatty", mode: warn}}
tenants: {acme: {guards: {budget: {run: {usd: 1}}}}, same: {}}
functions: [own_jobs.py]
rate_limits: {scripted/m: {requests: 50, input_tokens: 40000, concurrency: 4}}
alerts: {webhooks: {pager: {url: "https://example.com/x", secret: "${env:HOME}"}}}
"""
GUARDS = """
from callboard.guards.kit import Guard
class Chatty(Guard[int]):
    name = "chatty"
    missing = "closed"
    def __init__(self, limit=20): ...
    def start(self, run): return 0
    def observe(self, state, seen): return state, ()
"""
JOB = "from callboard import worker\n@worker('job')\nasync def job(task, run): return 1\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "own_guards.py").write_text(GUARDS)
    (tmp_path / "own_jobs.py").write_text(JOB)
    (tmp_path / "agents.yaml").write_text(FILE)
    return tmp_path / "agents.yaml"


def test_the_table_has_the_guards_of_each_agent_and_what_differs_for_tenants(file: Path) -> None:
    shown = CliRunner().invoke(app, ["check", str(file)])
    assert shown.exit_code == 0
    lines = [" ".join(line.split()) for line in shown.output.splitlines()]
    start = next(at for at, line in enumerate(lines) if line.startswith("guards of"))
    triage, all_runs, triage_acme, _, other, waits, burning, *rest = lines[start + 1 :]
    assert triage == (
        "triage $2.00 · 100 model calls · 200 tool calls tenant: $100.00 a day enforce enforce "
        "chatty: warn, runs wait for it (limit 3)"
    )
    assert all_runs == "warned 10 min, 2 min ahead, at its rate all: 100,000 tool calls a month"
    assert triage_acme.startswith("acme $1.00 · 100 model calls")
    assert other.startswith("other $0.005 · 100 model calls · 200 tool calls · killed at 100 % (shadow)")
    assert "enforce, runs wait for it enforce" in other
    assert waits == "runs wait for its audit all: 100,000 tool calls a month"
    assert burning == "warned 1 min ahead, at its rate"
    job = next(line for line in rest if line.startswith("job"))
    assert job.startswith("job no cap tenant: $100.00 a day - warn")
    assert "rate limit of scripted/m: 50 requests a minute · 40,000 input tokens a minute · 4 at a time" in rest
    assert "alerts to pager: *.kill, *.pause, budget.deny, breaker.warn" in rest
    assert any(line.startswith("breaker: enforce · opens at 50% failures") for line in rest)
    assert not any(line.startswith("same") for line in lines)


def test_json_has_the_same_and_no_secret(file: Path) -> None:
    shown = CliRunner().invoke(app, ["check", str(file), "--json"], env={"HOME": "s3-cr3t!"})
    assert shown.exit_code == 0
    found = json.loads(shown.output)
    assert found["agents"]["triage"]["guards"]["budget"]["run"]["usd"] == 2.0
    assert found["agents"]["triage"]["guards"]["budget"]["global"]["tool_calls"] == 100_000
    assert found["agents"]["triage"]["guards"]["custom"]["chatty"]["missing"] == "closed"
    assert found["agents"]["job"]["guards"]["budget"]["run"]["usd"] is None
    assert set(found["tenants"]) == {"acme"}
    assert set(found["tenants"]["acme"]) == {"triage", "job"}
    assert found["tenants"]["acme"]["job"]["budget"]["run"]["usd"] == 1.0
    assert found["rate_limits"]["scripted/m"]["concurrency"] == 4
    assert found["alerts"] == {"pager": ["*.kill", "*.pause", "budget.deny", "breaker.warn"]}
    assert "s3-cr3t" not in shown.output


def test_every_limit_is_there_and_where_it_comes_from(file: Path) -> None:
    text = FILE.replace("other:\n", "other:\n    limits: {children: 3, first_token_timeout: 7s}\n")
    text = text.replace("run: {usd: 1}", "run: {usd: 1}, tenant: {usd: 5}")
    file.write_text(f"{text}defaults: {{limits: {{turns: 9, children: 5}}}}\n")
    shown = CliRunner().invoke(app, ["check", str(file)])
    assert shown.exit_code == 0, shown.output
    lines = [" ".join(line.split()) for line in shown.output.splitlines()]
    other = next(at for at, line in enumerate(lines) if line.startswith("other"))
    assert lines[other].endswith("9 turns · deadline 15 min · 5 attempts")
    assert lines[other + 1 : other + 7] == [
        "depth 8 · 3 children, 30 a minute · cycles 1",
        "a tool 1 min · a model 5 min, 4 attempts",
        "a model's first token 7.0 s",
        "stuck after 2 times a step's timeout",
        "loop: 3 repeats · 5 equal errors · 6 turns of nothing new, 6 of talk",
        "loop: a poll unchanged for 5 min · patience 3",
    ]
    found = json.loads(CliRunner().invoke(app, ["check", str(file), "--json"]).output)["sources"]["other"]
    assert found["limits.turns"] == found["guards.budget.global.tool_calls"] == ["deployment"]
    assert found["limits.children"] == found["guards.budget.run.usd"] == ["agent"]
    assert "limits.depth" not in found
    triage = next(line for line in lines if line.startswith("triage tenant acme"))
    assert triage == "triage tenant acme guards.budget.tenant.usd · guards.budget.run.usd"
    assert next(line for line in lines if line.startswith("triage deployment")).startswith(
        "triage deployment limits.turns"
    )


def test_an_agent_with_a_real_model_is_told_of_a_cache_that_is_not_read_and_a_script_is_not(tmp_path: Path) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(
        "agents:\n  real: {model: anthropic/claude-opus-5}\n  toy: {model: {provider: scripted, turns: [{text: hi}]}}\n"
        "guards: {cache: {ratio: 0.75, lifetime: 1h}}\n"
    )
    shown = CliRunner().invoke(app, ["check", str(file)])
    assert shown.exit_code == 0, shown.output
    lines = [" ".join(line.split()) for line in shown.output.splitlines()]
    assert lines.count("cache: told of when less than 75% is read within 1 h") == 1


@pytest.mark.parametrize(
    ("usd", "text"),
    [(2, "$2.00"), (0.015, "$0.015"), (1.125, "$1.125"), (0.000001, "$0.000001"), (1_000_000, "$1,000,000.00")],
)
def test_a_cap_is_shown_as_it_is_counted(usd: float, text: str) -> None:
    assert next(iter(caps_of(RunBudget(usd=usd)))) == text
