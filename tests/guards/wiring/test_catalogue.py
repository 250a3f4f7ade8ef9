"""The guards that callboard has itself, made from what a run keeps."""

from __future__ import annotations

from callboard.config.guards import (
    FUNCTION_GUARDS,
    BudgetSettings,
    CacheSettings,
    GuardSettings,
    LoopSettings,
    StuckSettings,
)
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.guards.catalogue import BUILTIN
from callboard.guards.hosted import missing_of

AGENT = AgentSpec(name="a", model=ModelChoice(provider="anthropic", name="claude"))
HOSTED = {each.name: each for each in BUILTIN}


def test_every_agent_has_them_in_earnest_without_a_word_about_them() -> None:
    made = {name: hosted.make(AGENT) for name, hosted in HOSTED.items()}
    assert {name: each and (each[0].name, each[1]) for name, each in made.items()} == {
        "budget": ("budget", "enforce"),
        "loop": ("loop", "enforce"),
        "stuck": ("stuck", "enforce"),
        "limits": ("limits", "enforce"),
        "cache": ("cache", "warn"),
    }


def test_the_mode_and_what_happens_without_it_are_those_of_the_run() -> None:
    guards = GuardSettings(
        budget=BudgetSettings(mode="warn", missing="closed"),
        loop=LoopSettings(mode="shadow", missing="closed"),
        stuck=StuckSettings(mode="warn"),
        cache=CacheSettings(mode="shadow"),
    )
    spec = AGENT.model_copy(update={"guards": guards})
    made = {name: hosted.make(spec) for name, hosted in HOSTED.items()}
    assert {name: each and each[1] for name, each in made.items()} == {
        "budget": "warn", "loop": "shadow", "stuck": "warn", "limits": "enforce", "cache": "shadow",
    }  # fmt: skip
    assert {name: missing_of(spec, name, each[0]) for name, each in made.items() if each} == {
        "budget": "closed",
        "loop": "closed",
        "stuck": "open",
        "limits": "open",
        "cache": "open",
    }


def test_only_models_with_a_prompt_cache_have_its_guard() -> None:
    scripted = ModelChoice(provider="scripted")
    assert HOSTED["cache"].make(AGENT.model_copy(update={"model": scripted})) is None
    assert HOSTED["cache"].make(AgentSpec(name="f", kind="function")) is None
    assert HOSTED["cache"].make(AGENT.model_copy(update={"model": scripted, "fallbacks": (AGENT.model,)})) is not None


def test_functions_may_loop_and_are_only_warned_of_when_they_are_silent() -> None:
    spec = AgentSpec(name="f", kind="function", guards=FUNCTION_GUARDS)
    assert HOSTED["loop"].make(spec) is None
    stuck = HOSTED["stuck"].make(spec)
    assert stuck is not None
    assert stuck[1] == "warn"
