"""The guard of the prompt cache: values, and what it must and must not say of any run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.bus.messages import (
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Prefix,
    Problem,
    ToolReturned,
    Usage,
)
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.config.guards import CacheSettings
from callboard.guards.cache.guard import CacheGuard
from callboard.guards.kit import Seen, Verdict
from tests.guards.cache.prompts import BIG, SPEC, Turn, run_of, turns
from tests.support.journals import claimed, journal

DEFAULTS = CacheSettings()


def said(entries: Sequence[Stored], *, settings: CacheSettings = DEFAULTS) -> list[Verdict]:
    guard = CacheGuard(settings, SPEC)
    state, out = guard.start(RunKey("t", "r")), []
    for entry in entries:
        for place, event in enumerate(entry.record.events):
            seen = Seen(RunKey("t", "r"), entry.sequence, entry.at, event, entry.record.owner, entry.record.id, place)
            state, verdicts = guard.observe(state, seen)
            out += verdicts
    return out


def of(*turns: Turn, **options) -> list[tuple[str, str]]:
    """Action and part of each verdict."""
    return [(each.action, each.data["part"]) for each in said(run_of(turns), **options)]


FIRST = Turn(new=BIG)
GOOD = Turn(read=BIG)


# ---- values -------------------------------------------------------------------------------------------------------
def test_a_cache_that_is_read_is_nothing_to_speak_of():
    assert of(FIRST, GOOD, replace(GOOD, read=10_400)) == []


def test_a_miss_without_a_change_is_the_providers_and_says_what_it_cost():
    (verdict,) = said(run_of((FIRST, Turn(read=0, new=500, written=10_000))))
    assert verdict.reason == (
        "m2 read 0 of 10,000 tokens from the prompt cache: nothing that we send has changed, the provider has lost it. "
        "10,000 tokens were read anew, which cost $0.0345 more"
    )
    assert verdict.data == {
        "part": "lost", "model": "anthropic/claude", "missed_tokens": 10_000, "cost_usd_micros": 34_500,
    }  # fmt: skip
    assert (verdict.action, verdict.call, verdict.evidence) == ("warn", "m2", (2, 4, 5))
    assert (verdict.value, verdict.threshold) == (0.0, 0.5)


def test_what_was_missed_and_not_written_costs_the_input_less_the_read():
    (verdict,) = said(run_of((FIRST, Turn(read=2_000, new=7_500, written=1_000))))
    assert verdict.data["missed_tokens"] == 8_000
    assert verdict.data["cost_usd_micros"] == round(1_000 * 3.45 + 7_000 * 2.7)


def test_without_a_price_the_tokens_are_said_alone():
    (verdict,) = said(run_of((Turn(read=2_000, new=BIG, model="qwen"), replace(FIRST, model="qwen"))))
    assert verdict.reason.endswith("10,000 tokens were read anew")
    assert verdict.data["cost_usd_micros"] is None


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        (Turn(tools="u"), ("warn", "tools")),
        (Turn(system="u"), ("warn", "system")),
        (Turn(output="u"), ("warn", "lost")),
        (Turn(history="changed"), ("warn", "history")),
        (Turn(history="relieved"), ("observe", "relieved")),
        (Turn(model="gpt"), ("observe", "model")),
        (Turn(gap=301), ("observe", "time")),
        (Turn(gap=299), ("warn", "lost")),
        (Turn(tools="u", system="u", history="changed", gap=999), ("warn", "tools")),
        (Turn(history="changed", gap=999), ("warn", "history")),
    ],
)
def test_the_first_part_that_changed_is_named(turn, expected):
    assert of(FIRST, turn) == [expected]


@pytest.mark.parametrize("turn", [Turn(tools="u"), Turn(history="changed"), Turn(model="gpt"), Turn(gap=301), Turn()])
def test_the_reason_names_the_part_in_words(turn):
    (verdict,) = said(run_of((FIRST, turn)))
    words = {
        "tools": "its tools are not",
        "history": "its history is not",
        "model": "openai/gpt has not answered",
        "time": "5 min 1 s since the call before, and a cache keeps 5 min",
        "lost": "the provider has lost it",
    }
    assert words[verdict.data["part"]] in verdict.reason


def test_another_schema_of_the_answer_is_named_unless_an_older_worker_did_not_say_which_it_was():
    first, second = replace(FIRST, output="o"), Turn(output="u", system="u")
    assert of(first, second) == [("warn", "output")]
    assert "the schema of its answer is not" in said(run_of((first, second)))[0].reason
    assert of(first, replace(second, tools="u")) == [("warn", "tools")]
    assert of(FIRST, second) == [("warn", "system")]


def test_a_change_that_left_most_of_it_alone_is_nothing_to_speak_of():
    assert of(FIRST, Turn(read=5_000, history="relieved")) == []
    assert of(FIRST, Turn(read=4_999, history="relieved")) == [("observe", "relieved")]


def test_a_relief_is_an_excuse_for_the_next_call_only():
    assert of(FIRST, replace(GOOD, history="relieved"), Turn(history="changed")) == [("warn", "history")]
    assert of(FIRST, Turn(history="relieved"), Turn()) == [("observe", "relieved")], "the prompt is small by now"
    assert of(FIRST, Turn(new=BIG, history="relieved"), Turn()) == [("observe", "relieved"), ("warn", "lost")]


def test_a_model_that_comes_back_is_measured_by_its_own_last_prompt():
    back = Turn(read=10_000, new=2_000)
    away = Turn(model="gpt", new=BIG)
    assert of(FIRST, away, back) == [("observe", "model")]
    assert of(FIRST, away, replace(back, read=0)) == [("observe", "model"), ("warn", "lost")]
    assert of(FIRST, replace(away, history="changed"), replace(back, read=0)) == [
        ("observe", "model"), ("warn", "history"),
    ], "what changed while another one answered counts too"  # fmt: skip


def test_prompts_too_small_for_a_cache_are_not_expected_to_be_in_it():
    assert of(Turn(new=4_095), Turn()) == []
    assert of(Turn(new=4_096), Turn()) == [("warn", "lost")]
    gpt = Turn(model="gpt")
    assert of(replace(gpt, new=1_023), gpt) == []
    assert of(replace(gpt, new=1_024), gpt) == [("warn", "lost")]


def test_a_server_that_has_never_read_from_a_cache_is_believed_to_have_none():
    local = Turn(model="qwen", new=BIG)
    assert of(local, local, local) == []
    assert of(local, replace(local, read=9_000), local) == [("warn", "lost")]


def test_the_turn_that_wraps_up_and_calls_that_are_no_turns_are_not_judged():
    assert of(FIRST, Turn(wrap_up=True, tools=""), Turn(purpose="summary"), GOOD) == []


def test_a_failed_attempt_is_no_answer():
    assert of(FIRST, Turn(fails=True), GOOD) == []
    assert of(FIRST, Turn(fails=True), Turn()) == [("warn", "lost")]


def test_an_intent_that_is_written_again_is_no_change():
    entries = run_of((FIRST, GOOD, Turn()))
    twice = (*entries[:6], entries[5], entries[6])
    found = said([replace(entry, sequence=number) for number, entry in enumerate(twice, 1)])
    assert [each.data["part"] for each in found] == ["lost"]


def test_the_threshold_and_the_lifetime_are_settings():
    assert of(FIRST, Turn(read=7_000), settings=CacheSettings(ratio=0.8)) == [("warn", "lost")]
    assert of(FIRST, Turn(gap=301), settings=CacheSettings(lifetime=3600)) == [("warn", "lost")]


def test_what_it_does_not_know_changes_nothing():
    odd = journal(
        claimed(), ModelRequested(call="m1", model="anthropic/claude"), ModelResponded(call="m1"),
        ModelResponded(call="m9", usage=Usage(input_tokens=BIG)), ToolReturned(call="x"),
        ModelFailed(call="m7", problem=Problem(kind="x", message="x")),
    )  # fmt: skip
    assert said(odd) == []
    other = ModelRequested(call="m1", model="openai/elsewhere", prefix=Prefix(history="a", messages=1))
    answer = ModelResponded(call="m1", usage=Usage(input_tokens=BIG))
    (verdict,) = said(journal(claimed(), other, answer, other, answer))
    assert verdict.data["cost_usd_micros"] is None, "the run's spec does not know it"


# ---- properties ---------------------------------------------------------------------------------------------------
many = settings(max_examples=80, deadline=None)


@many
@given(st.lists(turns, max_size=12))
def test_each_cause_is_said_at_most_once_and_nothing_stronger_than_a_warning(plan):
    found = said(run_of(plan))
    parts = [each.data["part"] for each in found]
    assert len(parts) == len(set(parts))
    for each in found:
        assert each.action in ("observe", "warn")
        assert each.value < each.threshold
        read, could = (
            int(number.replace(",", "")) for number in re.findall(r"read ([\d,]+) of ([\d,]+)", each.reason)[0]
        )
        assert 0 <= each.data["missed_tokens"] <= could - read
        assert (each.data["cost_usd_micros"] or 0) >= 0


@many
@given(st.lists(turns, max_size=12))
def test_who_reads_what_was_answered_before_is_never_spoken_of(plan):
    assert said(run_of([replace(turn, read=60_000) for turn in plan])) == []


@many
@given(st.lists(turns, max_size=8), st.sampled_from(("claude", "gpt")))
def test_a_cache_that_is_lost_is_said_whatever_came_before(plan, model):
    lost = Turn(model=model, new=BIG, gap=1.0)
    found = of(*plan, lost, lost)
    assert ("warn", "lost") in found


@many
@given(st.lists(turns, max_size=10), st.integers(0, 10))
def test_what_was_said_by_then_does_not_depend_on_what_comes_later(plan, cut):
    whole, part = said(run_of(plan)), said(run_of(plan[:cut]))
    assert whole[: len(part)] == part
