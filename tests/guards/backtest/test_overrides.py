"""Settings that somebody wants to try."""

from __future__ import annotations

import pytest

from callboard.config.guards import CustomGuard, GuardSettings
from callboard.config.spec import AgentSpec
from callboard.errors import ConfigError
from callboard.guards.overrides import BUILTIN, parsed, with_settings

SPEC = AgentSpec(name="a", guards=GuardSettings(custom={"own": CustomGuard(use="x.py:X", settings={"limit": 3})}))


def test_values_are_json_or_text_and_nest_at_dots() -> None:
    assert parsed(["a=1", "b=0.5", "c=true", "d=null", "e=text", "f=", 'g="1"', "h.i.j=[1]", "h.k==x"]) == {
        "a": 1, "b": 0.5, "c": True, "d": None, "e": "text", "f": "", "g": "1", "h": {"i": {"j": [1]}, "k": "=x"},
    }  # fmt: skip
    assert parsed(()) == {}


@pytest.mark.parametrize("wrong", ["a", "=1", "a..b=1", ".=1"])
def test_what_is_no_setting_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="give key=value"):
        parsed([wrong])


def test_a_value_is_not_a_group_of_settings_too() -> None:
    with pytest.raises(ConfigError, match="'a' has the value 1 already"):
        parsed(["a=1", "a.b=2"])


def test_a_built_in_guard_gets_the_setting_and_keeps_the_others() -> None:
    changed = with_settings(SPEC, "budget", parsed(["run.usd=0.5", "hard=true", "global.usd=9"])).guards.budget
    assert (changed.run.usd, changed.run.model_calls, changed.hard) == (0.5, SPEC.guards.budget.run.model_calls, True)
    assert changed.everybody is not None
    assert changed.everybody.usd == 9
    stuck = with_settings(SPEC, "stuck", {"factor": 3}).guards
    assert stuck.stuck.factor == 3
    assert stuck.model_copy(update={"stuck": SPEC.guards.stuck}) == SPEC.guards


def test_a_guard_of_ones_own_gets_it_as_a_keyword() -> None:
    custom = with_settings(SPEC, "own", parsed(["limit=9", "more=1"])).guards.custom["own"]
    assert (custom.settings, custom.use) == ({"limit": 9, "more": 1}, "x.py:X")
    assert with_settings(SPEC, "nobody", {"limit": 9}) == SPEC
    assert with_settings(SPEC, "own", {}) is SPEC


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("facter=3", "--set facter: there is no such setting: did you mean 'factor'"),
        ("factor=0", "--set factor=0: Input should be greater than or equal to 1"),
        ("factor=often", "--set factor='often': "),
        ("mode=quiet", "--set mode='quiet': Input should be 'shadow', 'warn' or 'enforce'"),
    ],
)
def test_a_setting_that_cannot_be_is_the_users_mistake(given: str, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        with_settings(SPEC, "stuck", parsed([given]))
    assert problem in str(raised.value)


def test_a_setting_deep_down_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigError, match=r"--set run\.usdd: there is no such setting$"):
        with_settings(SPEC, "budget", parsed(["run.usdd=1"]))


def test_the_built_in_guards_are_the_fields_of_the_settings() -> None:
    assert {*BUILTIN, "custom"} == set(GuardSettings.model_fields)
