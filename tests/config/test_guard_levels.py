"""Settings of guards at three levels: what holds, and where every mistake is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.config.guards import GuardSettings, Price, RateLimit
from callboard.config.levels import merged
from callboard.config.loader import load
from callboard.config.resolved import Config
from callboard.errors import ConfigError

MODEL = "model: {provider: scripted, name: m, turns: [{text: hi}]}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "guards.py").write_text("")
    (tmp_path / "jobs.py").write_text("")
    return tmp_path


def loaded(text: str, **env: str) -> Config:
    Path("agents.yaml").write_text(text)
    return load(Path("agents.yaml"), env=env)


def errors(text: str, **env: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(text, **env)
    return str(caught.value).splitlines()


def test_who_configures_nothing_is_protected(folder: Path) -> None:
    config = loaded(f"agents: {{a: {{{MODEL}}}}}")
    found = config.agents["a"]
    run = found.guards.general.budget.run
    assert (run.usd, run.model_calls, run.tool_calls, found.limits.deadline) == (2.0, 100, 200, 900.0)
    assert found.guards.general.budget.mode == found.guards.general.loop.mode == "enforce"
    assert found.guards.general == GuardSettings()
    assert found.guards.tenants == {}
    assert config.alerts.webhooks == {}
    assert config.breaker.mode == "enforce"


def test_an_agent_wins_over_its_tenant_and_a_tenant_over_all_field_by_field(folder: Path) -> None:
    config = loaded(
        f"""
guards: {{budget: {{run: {{usd: 5, model_calls: 50}}, warn_at: [0.3]}}, loop: {{mode: warn}}}}
tenants:
  acme: {{guards: {{budget: {{run: {{usd: 1}}, tenant: {{usd: 100, per: day}}}}}}}}
  big: {{}}
agents:
  a: {{{MODEL}, guards: {{budget: {{run: {{model_calls: 7}}, global: {{usd: 9}}}}}}}}
  b: {{{MODEL}, guards: {{budget: {{run: {{usd: null}}, tenant: null}}}}}}
"""
    )
    a, b = config.agents["a"].guards, config.agents["b"].guards
    assert (a.general.budget.run.usd, a.tenants["acme"].budget.run.usd, a.tenants["big"].budget.run.usd) == (5, 1, 5)
    assert {each.budget.run.model_calls for each in (a.general, *a.tenants.values())} == {7}
    assert {each.budget.run.tool_calls for each in (a.general, *a.tenants.values())} == {200}
    assert a.general.budget.warn_at == (0.3,)
    assert a.general.loop.mode == b.general.loop.mode == "warn"
    assert a.tenants["acme"].budget.tenant is not None
    assert (a.tenants["acme"].budget.tenant.usd, a.tenants["acme"].budget.tenant.per) == (100, "day")
    assert a.general.budget.everybody is not None
    assert b.tenants["acme"].budget.run.usd is b.tenants["acme"].budget.tenant is None


def test_functions_have_only_the_caps_that_somebody_stated(folder: Path) -> None:
    plain = loaded("functions: [jobs.py]").function_guards.general.budget.run
    assert (plain.usd, plain.model_calls, plain.tool_calls) == (None, None, None)
    config = loaded("functions: [jobs.py]\nguards: {budget: {run: {usd: 3}}}\ntenants: {t: {guards: {}}, u: {}}")
    stated = config.function_guards
    assert (stated.general.budget.run.usd, stated.general.budget.run.model_calls) == (3.0, None)
    assert set(stated.tenants) == {"t", "u"}


def test_guards_of_your_own_merge_by_name_and_know_their_class_and_place(folder: Path) -> None:
    config = loaded(
        f"""
guards: {{custom: {{chatty: {{use: "guards.py:Chatty", settings: {{limit: 3, words: [a]}}}}}}}}
tenants: {{acme: {{guards: {{custom: {{other: {{use: "pkg.mod:Other", missing: closed}}}}}}}}}}
agents: {{a: {{{MODEL}, guards: {{custom: {{chatty: {{mode: warn, settings: {{words: [b]}}}}}}}}}}}}
"""
    )
    guards = config.agents["a"].guards
    chatty = guards.general.custom["chatty"]
    assert (chatty.use, chatty.mode, chatty.missing) == ("guards.py:Chatty", "warn", None)
    assert chatty.settings == {"limit": 3, "words": ["b"]}
    assert set(guards.general.custom) == {"chatty"}
    assert guards.tenants["acme"].custom["other"].missing == "closed"
    refs = {(ref.level, ref.name): ref for ref in config.guard_refs}
    assert set(refs) == {(("agents", "a"), "chatty"), (("tenants", "acme"), "other"), ((), "chatty")}
    use = refs[(), "chatty"].use
    assert use is not None
    assert (use.kind, use.name, use.source) == ("file", "Chatty", str(folder / "guards.py"))
    assert use.at == "agents.yaml:2:33: guards.custom.chatty.use"
    assert refs[("agents", "a"), "chatty"].use is None
    assert refs[("agents", "a"), "chatty"].at.endswith(": agents.a.guards.custom.chatty")


def test_prices_and_rate_limits_go_by_provider_and_model(folder: Path) -> None:
    own = "model: {provider: scripted, name: m, turns: [{text: hi}], price: {input: 9, output: 9}, max_output: 100}"
    config = loaded(
        f"""
agents: {{a: {{{MODEL}}}, b: {{{own}}}, c: {{model: {{provider: scripted, turns: [{{text: hi}}]}}}}}}
prices: {{scripted/m: {{input: 3, output: 15, cached: 0.3}}}}
rate_limits: {{scripted/m: {{requests: 50, concurrency: 4}}}}
breaker: {{window: 2m, calls: 20}}
"""
    )
    prices = {name: (agent.model.price, agent.model.max_output) for name, agent in config.agents.items()}
    price = Price(input=3, output=15, cached=0.3)
    assert prices == {"a": (price, 4096), "b": (Price(input=9, output=9), 100), "c": (None, 4096)}
    assert config.prices == {"scripted/m": price}
    assert config.rate_limits == {"scripted/m": RateLimit(requests=50, concurrency=4)}
    assert (config.breaker.window, config.breaker.calls) == (120.0, 20)


def test_a_rate_limit_is_for_a_model_or_a_family_of_models(folder: Path) -> None:
    config = loaded(f"agents: {{a: {{{MODEL}}}}}\nrate_limits: {{scripted/m-*: {{requests: 5}}, scripted/m: {{}}}}")
    assert config.rate_limits == {"scripted/m-*": RateLimit(requests=5), "scripted/m": RateLimit()}


SHOWN = "expected 'file.py:Class' or 'package.module:Class'"
FAMILIES = "expected 'provider/model' or 'provider/model-*' ('*' only at the end)"
NAMES = "expected 1 to 64 letters, digits, '_' or '-'"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (
            "guards: {budget: {run: {usd: 0}}}",
            "2:30: guards.budget.run.usd: got 0: expected a number > 0 and ≤ 1000000",
        ),
        (
            "guards: {budget: {run: {usd: true}}}",
            "2:30: guards.budget.run.usd: got true: expected a number > 0 and ≤ 1000000",
        ),
        ("guards: {budgt: {}}", "2:10: guards.budgt: unknown key 'budgt': did you mean 'budget'?"),
        (
            "guards: {loop: {mode: kill}}",
            "2:23: guards.loop.mode: got 'kill': expected one of 'shadow', 'warn', 'enforce'",
        ),
        (
            "guards: {budget: {steer_at: 1}}",
            "2:29: guards.budget.steer_at: got 1: expected a number > 0 and < 1",
        ),
        (
            "guards: {budget: {global: {usd: x}}}",
            "2:33: guards.budget.global.usd: got 'x': expected a number > 0 and ≤ 1000000",
        ),
        (
            "tenants: {t: {guards: {stuck: {factor: 0}}}}",
            "2:40: tenants.t.guards.stuck.factor: got 0: expected a number ≥ 1 and ≤ 100",
        ),
        ("tenants: {'a b': {}}", f"2:11: tenants.a b: the name is 'a b': {NAMES}"),
        ("tenants: {t: {budget: {}}}", "2:15: tenants.t.budget: unknown key 'budget': use guards"),
        ("prices: {m: {input: 1, output: 1}}", "2:10: prices.m: the name is 'm': expected 'provider/model'"),
        ("prices: {p/m: {input: 1}}", "2:10: prices.p/m.output: missing: expected a number ≥ 0 and ≤ 1000000"),
        (
            "rate_limits: {p/m: {requests: 0}}",
            "2:31: rate_limits.p/m.requests: got 0: expected an integer ≥ 1 and ≤ 1000000000000000",
        ),
        ("rate_limits: {p/m*x: {}}", f"2:15: rate_limits.p/m*x: the name is 'p/m*x': {FAMILIES}"),
        ("rate_limits: {'p:': {}}", f"2:15: rate_limits.p:: the name is 'p:': {FAMILIES}"),
        ("rate_limits: {p:a b/m: {}}", f"2:15: rate_limits.p:a b/m: the name is 'p:a b/m': {FAMILIES}"),
        ("breaker: {failures: 2}", "2:21: breaker.failures: got 2: expected a number > 0 and ≤ 1"),
        (
            "guards: {custom: {loop: {use: 'guards.py:X'}}}",
            "2:19: guards.custom.loop: 'loop' is a guard of callboard: rename yours",
        ),
        (
            "guards: {custom: {x: {use: guards}}}",
            f"2:28: guards.custom.x.use: got 'guards': {SHOWN}",
        ),
        (
            "guards: {custom: {x: {use: 'no.py:X'}}}",
            (
                "2:28: guards.custom.x.use: got 'no.py:X': there is no such file (it is relative to this file)"
            ),
        ),
        (
            "tenants: {t: {guards: {custom: {x: {mode: warn}}}}}",
            (
                "2:33: tenants.t.guards.custom.x.use: missing: say which class it is, 'file.py:Class' or "
                "'package.module:Class'"
            ),
        ),
        (
            "guards: {custom: {x: {use: 'guards.py:X', settings: [1]}}}",
            "2:53: guards.custom.x.settings: got a list: expected a mapping",
        ),
        ("alerts: {webhook: {}}", "2:10: alerts.webhook: unknown key 'webhook': did you mean 'webhooks'?"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place_its_value_and_what_is_expected(folder: Path, line: str, error: str) -> None:
    assert errors(f"agents: {{a: {{{MODEL}}}}}\n{line}\nfunctions: [jobs.py]\n") == [f"agents.yaml:{error}"]


@pytest.mark.parametrize("level", ["guards: {%s}", "tenants: {t: {guards: {%s}}}"])
def test_a_secret_is_refused_in_the_settings_of_a_guard_which_journals_keep(folder: Path, level: str) -> None:
    custom = "custom: {x: {use: 'guards.py:X', settings: {key: '${env:K}'}}}"
    (found,) = errors(f"agents: {{a: {{{MODEL}}}}}\n{level % custom}\n", K="s3-cr3t!")
    assert "journals of runs keep this text" in found
    assert "s3-cr3t!" not in found
    (found,) = errors(f"agents: {{a: {{{MODEL}, guards: {{{custom}}}}}}}\n", K="s3-cr3t!")
    assert "agents.a.guards.custom.x.settings.key" in found


def test_a_cap_may_come_from_the_environment(folder: Path) -> None:
    config = loaded(f"agents: {{a: {{{MODEL}}}}}\nguards: {{budget: {{run: {{usd: '${{env:CAP}}'}}}}}}", CAP="0.5")
    assert config.agents["a"].guards.general.budget.run.usd == 0.5


usd = st.none() | st.sampled_from([0.5, 1.0, 3.0])
partial = st.fixed_dictionaries(
    {},
    optional={
        "budget": st.fixed_dictionaries(
            {},
            optional={
                "mode": st.sampled_from(["shadow", "warn", "enforce"]),
                "run": st.fixed_dictionaries({}, optional={"usd": usd, "tool_calls": st.integers(1, 9)}),
                "tenant": st.none() | st.fixed_dictionaries({}, optional={"usd": usd, "per": st.just("day")}),
            },
        ),
        "loop": st.fixed_dictionaries({}, optional={"mode": st.sampled_from(["shadow", "warn"])}),
        "custom": st.dictionaries(
            st.sampled_from(["x", "settings"]),
            st.fixed_dictionaries(
                {}, optional={"use": st.just("m:C"), "settings": st.dictionaries(st.sampled_from("ab"), st.integers())}
            ),
        ),
    },
)


FIELDS = [
    ("budget", "mode"),
    ("budget", "run", "usd"),
    ("budget", "run", "tool_calls"),
    ("budget", "warn_at"),
    ("loop", "mode"),
    ("custom", "x", "use"),
    ("custom", "x", "settings", "a"),
]
MISSING = object()


def at(settings: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if not isinstance(settings, dict) or part not in settings:
            return MISSING
        settings = settings[part]
    return settings


@settings(max_examples=200, deadline=None)
@given(st.lists(partial, max_size=3))
def test_of_each_field_the_last_level_that_states_it_counts_and_else_the_default(levels: list[dict[str, Any]]) -> None:
    result = merged(*map(GuardSettings.model_validate, levels))
    default, found = GuardSettings().model_dump(), result.model_dump()
    for path in FIELDS:
        stated = [value for value in (at(level, path) for level in levels) if value is not MISSING]
        expected = stated[-1] if stated else at(default, path)
        assert at(found, path) == expected or (expected is MISSING and at(found, path) == "")
    assert merged(merged(*map(GuardSettings.model_validate, levels[:2])), result) == result


def test_null_removes_what_stands_above_and_what_stands_below_it_counts_again(folder: Path) -> None:
    levels = [{"budget": {"tenant": None}}, {"budget": {"tenant": {"usd": 1.0}}}, {"budget": {"tenant": {}}}]
    kept = merged(*map(GuardSettings.model_validate, levels)).budget.tenant
    assert kept is not None
    assert kept.usd == 1.0
    assert merged(*map(GuardSettings.model_validate, [*levels, levels[0]])).budget.tenant is None
