"""From configuration files to guards: the user's classes, what each tenant's runs keep, and what processes host."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from callboard.app.agents import load_agents
from callboard.app.guards import hosted_guards, own_guards
from callboard.bus.messages import RunKilled
from callboard.bus.subjects import RunKey
from callboard.config.loader import load
from callboard.config.resolved import Config
from callboard.errors import ConfigError
from callboard.guards.kit import Seen

MODEL = "model: {provider: scripted, turns: [{text: hi}]}"
GUARDS = """
from callboard.guards.kit import Guard, Verdict

class Chatty(Guard[int]):
    name = "chatty"
    missing = "closed"

    def __init__(self, limit: int = 20) -> None:
        if limit < 1:
            raise ValueError("limit must be above 0")
        self.limit = limit

    def start(self, run):
        return 0

    def observe(self, state, seen):
        return state + 1, [Verdict("warn", f"{state + 1} of {self.limit}")]

class Half(Guard[int]):
    name = "half"
    def start(self, run): return 0

def plain(): ...
"""
ODD = """
class Waits(Chatty):
    async def observe(self, state, seen): return state, ()

class Yields(Chatty):
    def tick(self, state, now): yield Verdict("warn", "late")

class Maybe(Chatty):
    missing = "sometimes"
"""
JOB = "from callboard import worker\n@worker('job')\nasync def job(task, run): return 1\n"


def config_of(path: Path, text: str) -> Config:
    (path / "guards.py").write_text(GUARDS)
    (path / "odd.py").write_text(GUARDS + ODD)
    (path / "jobs.py").write_text(JOB)
    (path / "agents.yaml").write_text(text)
    return load(path / "agents.yaml")


def test_runs_keep_the_settings_of_their_tenant_and_others_the_general_ones(tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        f"""
agents: {{a: {{{MODEL}, team: [b]}}, b: {{{MODEL}, guards: {{budget: {{run: {{usd: 9}}}}}}}}}}
functions: [jobs.py]
tenants: {{acme: {{guards: {{budget: {{run: {{usd: 1}}}}}}}}, same: {{}}}}
""",
    )
    codes = load_agents(config)
    caps = {
        (name, tenant): code.spec_for(tenant).guards.budget.run.usd
        for name, code in codes.items()
        for tenant in ("acme", "same", "default")
    }
    assert caps == {
        ("a", "acme"): 1, ("a", "same"): 2, ("a", "default"): 2,
        ("b", "acme"): 9, ("b", "same"): 9, ("b", "default"): 9,
        ("job", "acme"): 1, ("job", "same"): None, ("job", "default"): None,
    }  # fmt: skip
    assert set(codes["a"].tenants) == {"acme"}
    assert codes["a"].tenants["acme"].tools == codes["a"].spec.tools
    assert codes["a"].kept_for("acme") != codes["a"].kept_for("default") == codes["a"].kept_for("same")
    assert "guards" not in codes["a"].kept_for("default")[0]


def test_a_guard_of_your_own_is_hosted_by_its_name_with_its_settings_and_mode(tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        f"""
agents: {{a: {{{MODEL}, guards: {{custom: {{talks: {{mode: warn, settings: {{limit: 3}}}}}}}}}}, b: {{{MODEL}}}}}
guards: {{custom: {{talks: {{use: "guards.py:Chatty"}}}}}}
tenants: {{acme: {{guards: {{custom: {{other: {{use: "guards.py:Chatty", missing: open}}}}}}}}}}
""",
    )
    codes = load_agents(config)
    hosted = {each.name: each for each in hosted_guards(own_guards(config))}
    assert {name for name in hosted if name in {"talks", "other"}} == {"talks", "other"}
    made = hosted["talks"].make(codes["a"].spec)
    assert made is not None
    guard, mode = made
    seen = Seen(RunKey("t", "r"), 1, datetime(2026, 1, 1, tzinfo=UTC), RunKilled(reason="r", by="b"))
    assert (mode, guard.observe(0, seen)[1][0].reason) == ("warn", "1 of 3")
    again = hosted["talks"].make(codes["b"].spec)
    assert again is not None
    assert (again[1], again[0].observe(0, seen)[1][0].reason) == ("enforce", "1 of 20")
    assert hosted["other"].make(codes["a"].spec) is None
    assert hosted["other"].make(codes["a"].spec_for("acme")) is not None
    assert (hosted["talks"].missing, hosted["other"].missing) == ("closed", "open")
    assert codes["a"].spec.guards.custom["talks"].missing == "closed"
    assert codes["a"].spec_for("acme").guards.custom["other"].missing == "open"


def test_a_run_whose_guard_is_not_here_says_so(tmp_path: Path) -> None:
    text = "agents: {a: {%s}}\nguards: {custom: {talks: {use: '%s'}}}"
    old = load_agents(config_of(tmp_path, text % (MODEL, "guards.py:Chatty")))["a"].spec
    (tmp_path / "mine.py").write_text(GUARDS)
    hosted = hosted_guards(own_guards(config_of(tmp_path, text % (MODEL, "mine.py:Chatty"))))
    (talks,) = [each for each in hosted if each.name == "talks"]
    with pytest.raises(ConfigError, match=r"the run has 'guards\.py:Chatty' as its guard 'talks'"):
        talks.make(old)


@pytest.mark.parametrize(
    ("custom", "expected"),
    [
        ("{use: 'guards.py:Nope'}", r"yaml:2:28: guards\.custom\.x\.use: .*Nope' is no guard: .*: Chatty, Half"),
        ("{use: 'guards.py:plain'}", r"'guards\.py:plain' is no guard"),
        ("{use: 'no_such_module:X'}", r"guards\.custom\.x\.use: guard 'no_such_module:X' cannot be imported"),
        ("{use: 'json:JSONDecoder'}", r"is no guard: name a subclass of callboard\.guards\.kit\.Guard$"),
        (
            "{use: 'guards.py:Chatty', settings: {limit: 0}}",
            r"yaml:2:19: guards\.custom\.x: guards\.py:Chatty\(limit=0\) raises ValueError: limit must be above 0",
        ),
        ("{use: 'guards.py:Chatty', settings: {max: 1}}", r"guards\.custom\.x: .*raises TypeError: .*'max'"),
        ("{use: 'odd.py:Waits'}", r"yaml:2:19: guards\.custom\.x: odd\.py:Waits: its observe is async, or yields"),
        ("{use: 'odd.py:Yields'}", r"odd\.py:Yields: its tick is async, or yields"),
        ("{use: 'odd.py:Maybe'}", r"odd\.py:Maybe: its missing is 'sometimes': it is one of 'open', 'closed'"),
        ("{use: 'guards.py:Half'}", r"guards\.custom\.x: .*raises TypeError: .*abstract"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_guard_is_said_with_its_place(tmp_path: Path, custom: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_agents(config_of(tmp_path, f"agents: {{a: {{{MODEL}}}}}\nguards: {{custom: {{x: {custom}}}}}"))


def test_a_mistake_of_an_agent_is_at_the_agent(tmp_path: Path) -> None:
    own = "guards: {custom: {x: {settings: {limit: -1}}}}"
    text = f"agents:\n  a: {{{MODEL}, {own}}}\nguards: {{custom: {{x: {{use: 'guards.py:Chatty'}}}}}}"
    with pytest.raises(ConfigError, match=r"agents\.yaml:2:\d+: agents\.a\.guards\.custom\.x: "):
        load_agents(config_of(tmp_path, text))
