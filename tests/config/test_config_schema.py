"""The JSON schema says the same as the loader."""

from __future__ import annotations

from typing import Any

from callboard.config.file_format import json_schema


def properties(schema: dict[str, Any], name: str) -> dict[str, Any]:
    return schema["$defs"][name]["properties"]


def test_the_schema_is_closed_everywhere() -> None:
    schema = json_schema()
    models = [schema, *(each for each in schema["$defs"].values() if "properties" in each)]
    assert len(models) >= 9
    assert all(each["additionalProperties"] is False for each in models)


def test_every_setting_of_an_agent_and_every_limit_is_described() -> None:
    schema = json_schema()
    for name in ("AgentEntry", "Limits"):
        described = {key for key, each in properties(schema, name).items() if each.get("description")}
        assert described == set(properties(schema, name))


def test_bounds_and_durations_are_in_the_schema() -> None:
    limits = properties(json_schema(), "Limits")
    assert (limits["turns"]["minimum"], limits["turns"]["maximum"]) == (1, 10_000)
    assert [each["type"] for each in limits["deadline"]["anyOf"]] == ["number", "string"]


def test_the_schema_names_its_dialect() -> None:
    assert json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_guard_and_every_circuit_breaker_setting_says_its_default() -> None:
    schema = json_schema()
    top = {"guards", "tenants", "breaker", "rate_limits", "prices", "alerts"}
    assert top <= set(schema["properties"])
    for name in ("BudgetSettings", "LoopSettings", "StuckSettings", "Breaker"):
        assert all("default" in each for each in properties(schema, name).values())
    assert "global" in properties(schema, "BudgetSettings")
    assert properties(schema, "RunBudget")["usd"]["default"] == 2.0
