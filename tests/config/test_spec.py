"""What a resolved agent says about itself."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from callboard.config.spec import AgentSpec, Limits, ModelChoice, ToolSpec, provider_of


def test_an_agent_has_the_tools_of_its_allow_list_and_no_others() -> None:
    spec = AgentSpec(name="a", tools=(ToolSpec(name="x"), ToolSpec(name="y")))
    assert spec.tool("y") == ToolSpec(name="y")
    assert spec.tool("z") is None


@pytest.mark.parametrize(
    ("choice", "label"),
    [
        (ModelChoice(provider="anthropic", name="org/x:1"), "anthropic/org/x:1"),
        (ModelChoice(provider="anthropic", name="x", key_name="batch"), "anthropic:batch/x"),
        (ModelChoice(provider="scripted"), "scripted"),
    ],
)
def test_a_label_tells_models_of_two_entries_apart_and_knows_the_provider(choice: ModelChoice, label: str) -> None:
    assert choice.label == label
    assert provider_of(label) == choice.provider


def test_a_spec_survives_its_journal() -> None:
    spec = AgentSpec(name="a", limits=Limits(deadline="1h30m", turns=3), tools=(ToolSpec(name="x"),))
    assert spec.limits.deadline == 5_400.0
    assert AgentSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    "wrong", [{"turns": True}, {"turns": 0}, {"deadline": 0}, {"deadline": float("inf")}, {"x": 1}]
)
def test_limits_have_bounds(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Limits.model_validate(wrong)
