"""What a file says that would bite later is found when it is read, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from callboard.config.loader import load
from callboard.errors import ConfigError

AGENT = "agents: {a: {model: anthropic/x}}"
RATES = "input: 1, output: 1"
TWICE = f"{{{RATES}, steps: [{{above: 9, {RATES}}}, {{above: 8, {RATES}}}, {{above: 9, {RATES}}}]}}"
KEPT = "another step begins there, too: keep one of them"
ROOM = "thoughts are part of the answer: expected less than its 'max_output' of 4096"
LIMITS = "≥ 1024 and below 'max_output'"


def errors(folder: Path, text: str, **env: str) -> list[str]:
    (folder / "agents.yaml").write_text(text)
    try:
        load(folder / "agents.yaml", env=env)
    except ConfigError as error:
        return [line.removeprefix(f"{folder}/agents.yaml:") for line in str(error).splitlines()]
    return []


def thinking(settings: str, *, more: str = "", provider: str = "anthropic") -> str:
    return f"agents: {{a: {{model: {{provider: {provider}, name: x, settings: {{thinking: {settings}}}{more}}}}}}}"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (f"{AGENT}\nprices: {{anthropic/x: {TWICE}}}", f"2:127: prices.anthropic/x.steps.2.above: got 9: {KEPT}"),
        (
            f"agents: {{a: {{model: {{provider: anthropic, name: x, price: {TWICE}}}}}}}",
            f"1:163: agents.a.model.price.steps.2.above: got 9: {KEPT}",
        ),
        (
            thinking("{type: enabled, budget_tokens: 4096}"),
            f"1:104: agents.a.model.settings.thinking.budget_tokens: got 4096: {ROOM}",
        ),
        (
            thinking("{type: enabled, budget_tokens: 1023}"),
            f"1:104: agents.a.model.settings.thinking.budget_tokens: got 1023: expected an integer {LIMITS}",
        ),
        (
            thinking("{type: enabled, budget_tokens: true}"),
            f"1:104: agents.a.model.settings.thinking.budget_tokens: got true: expected an integer {LIMITS}",
        ),
        (
            thinking("{type: enabled}"),
            f"1:63: agents.a.model.settings.thinking.budget_tokens: missing: expected an integer {LIMITS}",
        ),
        (
            "agents: {a: {model: {provider: anthropic, name: x, warm: yes}}}",
            "1:58: agents.a.model.warm: got 'yes': expected true or false",
        ),
        (
            "agents: {a: {model: {provider: anthropic, name: x, warm: 1}}}",
            "1:58: agents.a.model.warm: got 1: expected true or false",
        ),
        (f"{AGENT}\nguards: {{budget: {{hard: on}}}}", "2:25: guards.budget.hard: got 'on': expected true or false"),
        (
            "agents: {a: {model: {provider: scripted, turns: [{text: a}], loop: 'no'}}}",
            "1:68: agents.a.model.loop: got 'no': expected true or false",
        ),
    ],
)
def test_what_would_bite_later_is_said_with_its_place(tmp_path: Path, text: str, error: str) -> None:
    assert errors(tmp_path, text) == [error]


@pytest.mark.parametrize(
    "text",
    [
        f"{AGENT}\nrate_limits: {{anthropic/x: {{}}}}",
        f"{AGENT}\nprices: {{anthropic/x: {TWICE.replace('{above: 9', '{above: 10', 1)}}}",
        thinking("{type: enabled, budget_tokens: 4095}"),
        thinking("{type: enabled, budget_tokens: 5000}", more=", max_output: 5001"),
        thinking("{type: adaptive}"),
        "providers: {anthropic: {headers: {Anthropic-Beta: interleaved-thinking-2025-05-14}}}\n"
        + thinking("{type: enabled, budget_tokens: 9000}"),
        "agents: {a: {model: {provider: anthropic, name: x, warm: false}}}",
        "agents: {a: {model: {provider: anthropic, name: x, warm: '${env:WARM}'}}}",
    ],
)
def test_what_only_looks_odd_is_taken(tmp_path: Path, text: str) -> None:
    assert errors(tmp_path, text, WARM="true") == []


def test_the_settings_of_an_entry_that_speaks_as_anthropic_are_looked_at_too(tmp_path: Path) -> None:
    entry = "providers: {batch: {kind: anthropic, api_key: '${env:K}'}}\n"
    (found,) = errors(tmp_path, entry + thinking("{type: enabled, budget_tokens: 5000}", provider="batch"))
    assert found.startswith("2:100: agents.a.model.settings.thinking.budget_tokens: got 5000")
