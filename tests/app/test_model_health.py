"""``doctor --models``: against the fake provider, which lists models and refuses those that are retired."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from callboard.app.model_health import ModelHealth, examine_models
from callboard.clock import SystemClock
from callboard.config.loader import load
from callboard.config.resolved import Config
from callboard.models import vocabulary
from callboard.testing import fake_provider

PARTS = ("sk", "PLACEHOLDER")
KEY = "-".join((*PARTS, "1"))
ENV = {"ANTHROPIC_API_KEY": KEY, "OPENAI_API_KEY": KEY}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(text: str, env: dict[str, str]) -> Config:
    Path("agents.yaml").write_text(text)
    return load(Path("agents.yaml"), env=env)


async def examined(text: str, *, probe: bool = False, env: dict[str, str] = ENV) -> dict[str, ModelHealth]:
    found = await examine_models(loaded(text, env), clock=SystemClock(), probe=probe, env=env)
    assert KEY not in repr(found)
    assert KEY not in repr([each.as_json() for each in found])
    return {each.model: each for each in found}


def levels(found: ModelHealth) -> dict[str, str]:
    return {each.about: each.level for each in found.findings}


async def test_models_are_looked_for_once_each_and_what_is_wrong_is_said() -> None:
    async with fake_provider(models=["claude-a", "claude-old", "gpt-a"], retired=["claude-old"]) as server:
        found = await examined(f"""
providers:
  anthropic: {{base_url: "{server.url}"}}
  local: {{kind: openai-chat, base_url: "{server.url}/v1"}}
agents:
  a: {{models: [anthropic/claude-a, local/gpt-a]}}
  b: {{model: anthropic/claude-a}}
  c: {{model: anthropic/claude-old}}
  d: {{model: anthropic/claude-b}}
  e: {{model: openai/gpt-a}}
  f: {{model: {{provider: scripted, turns: [{{text: hi}}]}}}}
prices: {{anthropic/claude-a: {{input: 3, output: 15}}}}
""", env={"ANTHROPIC_API_KEY": KEY})  # fmt: skip
        assert server.requests == []
    good = found["anthropic/claude-a"]
    assert good.agents == ("a", "b")
    assert levels(good) == {"key": "good", "model": "good", "price": "good", "tokens": "good"}
    assert good.findings[0].text == "ANTHROPIC_API_KEY"
    assert good.findings[2].text.startswith("$3 in, $15 out")
    assert good.findings[3].text == "1.6 times o200k_base, or more"
    assert found["local/gpt-a"].findings[3].text == "half a token for a byte"
    assert levels(found["anthropic/claude-old"])["model"] == "wrong"
    assert levels(found["anthropic/claude-b"])["model"] == "wrong"
    assert levels(found["local/gpt-a"]) == {"key": "good", "model": "good", "price": "wrong", "tokens": "good"}
    assert levels(found["openai/gpt-a"]) == {"key": "wrong", "price": "wrong", "tokens": "good"}
    assert {name for name, each in found.items() if each.usable} == {"anthropic/claude-a"}


async def test_a_probe_asks_each_model_and_costs_a_few_tokens() -> None:
    async with fake_provider(replies=lambda request: "ok", retired=["gone"]) as server:
        found = await examined(
            f"""
providers:
  anthropic: {{base_url: "{server.url}"}}
  openai: {{base_url: "{server.url}/v1"}}
  local: {{kind: openai-chat, base_url: "{server.url}/v1"}}
agents:
  a: {{model: anthropic/x}}
  b: {{model: openai/x}}
  c: {{model: local/x}}
  d: {{model: anthropic/gone}}
""",
            probe=True,
        )
        assert len(server.requests) == 4
    probes = {name: levels(each)["probe"] for name, each in found.items()}
    assert probes == {"anthropic/x": "good", "openai/x": "good", "local/x": "good", "anthropic/gone": "wrong"}


async def test_a_server_that_is_not_there_is_said_without_the_key() -> None:
    found = await examined(
        'providers: {anthropic: {base_url: "http://127.0.0.1:1"}}\nagents: {a: {model: anthropic/x}}'
    )
    (key, model, *_) = found["anthropic/x"].findings
    assert (key.level, model.level) == ("good", "wrong")
    assert model.text.startswith("it cannot be asked: ")


async def test_how_tokens_are_counted_is_said_and_what_would_count_them_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "_load", vocabulary._load.__wrapped__)
    text = 'providers: {openai: {base_url: "http://127.0.0.1:1"}}\nagents: {a: {models: [openai/gpt-5, openai/x]}}'
    monkeypatch.setitem(sys.modules, "toktok", None)
    said = {name: each.findings[3] for name, each in (await examined(text)).items()}
    assert said["openai/gpt-5"].text == "half a token for a byte; pip install 'callboard[tokens]' counts them"
    assert said["openai/x"].text == "half a token for a byte"
    assert {each.level for each in said.values()} == {"good"}
    monkeypatch.setitem(sys.modules, "toktok", ModuleType("toktok"))
    said = {name: each.findings[3] for name, each in (await examined(text)).items()}
    assert said["openai/gpt-5"].level == "wrong"
    assert said["openai/gpt-5"].text.startswith("callboard[tokens] is installed, and cannot count with 'o200k_base': ")
    assert said["openai/x"].level == "good"
