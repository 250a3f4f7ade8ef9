"""How large the context window of a model is, who says so, and who sums up what does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from genai_prices import __version__

from callboard.config.keys import open_providers
from callboard.config.loader import load
from callboard.config.published import published_context
from callboard.config.resolved import Config
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.errors import ConfigError


def loaded(folder: Path, text: str) -> Config:
    (folder / "agents.yaml").write_text(text)
    return load(folder / "agents.yaml", env={})


def test_a_window_is_what_the_file_says_then_what_is_listed_then_unknown(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        """
providers:
  local: {kind: openai-chat, base_url: "http://127.0.0.1:1/v1"}
agents:
  listed: {model: anthropic/claude-sonnet-4-5}
  stated: {model: {provider: anthropic, name: claude-sonnet-4-5, context: 64000}}
  nobody: {model: local/qwen3}
  script: {model: {provider: scripted, context: 9000, turns: [{text: hi}]}}
""",
    )
    found = {name: (agent.model.context, agent.model.context_source) for name, agent in config.agents.items()}
    assert found == {
        "listed": (200_000, f"genai-prices {__version__}"),
        "stated": (64_000, "config"),
        "nobody": (None, ""),
        "script": (9000, "config"),
    }


@pytest.mark.parametrize("name", ["", "no-such-model", "text-moderation"])
def test_what_is_not_listed_has_no_window(name: str) -> None:
    assert published_context(ModelChoice(provider="anthropic", name=name)) == (None, "")


def test_a_listed_window_without_room_beside_an_answer_counts_something_else() -> None:
    model = ModelChoice(provider="openai", name="gpt-4", max_output=8192)
    assert published_context(model) == (None, "")
    assert published_context(model.model_copy(update={"max_output": 8191}))[0] == 8192


@pytest.mark.parametrize(("context", "wrong"), [("4096", True), ("4097", False), ("0", True), ("true", True)])
def test_a_window_must_have_room_beside_an_answer(tmp_path: Path, context: str, *, wrong: bool) -> None:
    text = f"agents: {{a: {{model: {{provider: openai, name: x, context: {context}}}}}}}"
    if not wrong:
        assert loaded(tmp_path, text).agents["a"].model.context == 4097
        return
    with pytest.raises(ConfigError, match="context"):
        loaded(tmp_path, text)


def test_an_agent_has_the_summariser_of_its_own_or_of_the_defaults(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        """
agents:
  own: {model: openai/gpt-5, context: {summary: anthropic/claude-haiku-4-5}}
  other: {model: openai/gpt-5}
defaults: {context: {summary: {provider: scripted, turns: [{text: all is well}]}}}
""",
    )
    own, other = config.agents["own"], config.agents["other"]
    assert own.summary is not None
    assert (own.summary.label, own.summary.context) == ("anthropic/claude-haiku-4-5", 200_000)
    assert other.summary is not None
    assert other.summary.settings == {"turns": [{"text": "all is well"}]}
    assert [each.label for each in own.models] == ["openai/gpt-5", "anthropic/claude-haiku-4-5"]


def test_a_summariser_needs_its_key_and_its_provider(tmp_path: Path) -> None:
    text = """
agents:
  a: {model: {provider: scripted, turns: [{text: hi}]}, context: {summary: anthropic/claude-haiku-4-5}}
"""
    with pytest.raises(ConfigError, match="ANTHROPIC_API_KEY"):
        open_providers(loaded(tmp_path, text), env={})
    with pytest.raises(ConfigError, match=r"agents\.a\.context\.summary: there is no provider 'nobody'"):
        loaded(tmp_path, text.replace("anthropic/", "nobody/"))


def test_the_place_of_a_model_in_the_journal_counts_the_summariser_last() -> None:
    first, second, cheap = (ModelChoice(provider="openai", name=name) for name in ("a", "b", "c"))
    spec = AgentSpec(name="x", model=first, fallbacks=(second,), summary=cheap)
    assert spec.models == (first, second)
    assert spec.every_model == (first, second, cheap)
    assert spec.model_copy(update={"summary": None}).every_model == spec.models
