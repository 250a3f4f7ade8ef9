"""How much was read from prompt caches: what runs tell, added up."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.bus.messages import ModelRequested, ModelResponded, RunCreated, Usage
from callboard.guards.backtest import spec_of
from callboard.guards.cache.ratios import added_up, as_json, reads_of
from tests.guards.cache.prompts import SPEC, Turn, run_of, turns
from tests.support.journals import T0, claimed, journal


def reads(*plan: Turn):
    return list(reads_of(run_of(plan), SPEC))


def test_each_answered_call_says_what_it_read_and_what_it_missed_of_the_prompt_before():
    first, second, third = reads(
        Turn(new=1_000, written=9_000), Turn(read=10_000, new=500), Turn(read=500, written=10_500, new=100)
    )
    assert (first.read, first.written, first.fresh, first.missed) == (0, 9_000, 1_000, 0)
    assert (second.read, second.missed, second.missed_usd_micros) == (10_000, 0, 0)
    assert (third.missed, third.missed_usd_micros) == (10_000, round(10_000 * 3.45))
    assert (first.agent, first.model, first.prefix) == ("a", "anthropic/claude", "t/s")
    assert (first.at, second.at) == (T0 + timedelta(seconds=11), T0 + timedelta(seconds=21))


def test_rows_are_by_agent_model_and_prefix_and_the_latest_prefix_comes_first():
    found = reads(
        Turn(new=6_000), Turn(read=6_000, new=2_000), Turn(system="u", new=8_000), Turn(model="gpt", new=1_000)
    )
    rows = added_up(found)
    assert [(row.model, row.prefix, row.calls) for row in rows] == [
        ("anthropic/claude", "t/u", 1),
        ("anthropic/claude", "t/s", 2),
        ("openai/gpt", "t/s", 1),
    ]
    assert [row.prefix for row in added_up(reads(Turn(output="o"), Turn()))] == ["t/s", "t/o/s"]
    assert [round(row.ratio, 3) for row in rows] == [0, 0.429, 0]
    assert added_up(reversed(found)) == rows, "whatever journal is read first"
    told = as_json(rows)
    assert told[0]["since"] == (T0 + timedelta(seconds=31)).isoformat()
    assert (told[0]["missed"], told[0]["missed_usd_micros"]) == (8_000, 21_600)
    assert told[1]["ratio"] == 0.4286


def test_warm_ups_count_and_summaries_last_turns_failures_and_scripts_do_not():
    plan = (Turn(purpose="warm", new=100), Turn(purpose="summary"), Turn(wrap_up=True), Turn(fails=True))
    assert [row.fresh for row in reads(*plan)] == [100]
    scripted = journal(
        claimed(), ModelRequested(call="m1", model="scripted"), ModelResponded(call="m1"), ModelResponded(call="m9")
    )  # fmt: skip
    assert not list(reads_of(scripted, SPEC))


def test_what_nobody_knows_the_price_of_costs_nothing_and_an_empty_prompt_has_no_share():
    unknown, again = (Turn(model="qwen", new=5_000),) * 2
    assert [row.missed_usd_micros for row in reads(unknown, again)] == [0, 0]
    entries = run_of((Turn(new=5_000), Turn(new=5_000)))
    elsewhere = list(reads_of(entries, SPEC.model_copy(update={"model": None, "fallbacks": ()})))
    assert [row.missed for row in elsewhere] == [0, 5_000]
    assert [row.missed_usd_micros for row in elsewhere] == [0, 0], "a model that the run's spec does not know"
    assert added_up(reads(Turn(new=0)))[0].ratio == 0.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(turns, max_size=6), max_size=3))
def test_nothing_is_lost_or_counted_twice(plans):
    runs = [run_of(plan) for plan in plans]
    rows = added_up(each for run in runs for each in reads_of(run, spec_of(created(run))))
    answered = [usage for run in runs for usage in usages(run)]
    assert sum(row.calls for row in rows) == len(answered)
    assert sum(row.read for row in rows) == sum(usage.cached_tokens for usage in answered)
    assert sum(row.written + row.fresh for row in rows) == sum(
        usage.written_tokens + usage.input_tokens for usage in answered
    )
    for row in rows:
        assert 0 <= row.ratio <= 1
        assert 0 <= row.missed <= row.written + row.fresh


def created(run) -> RunCreated:
    return run[0].record.events[0]


def usages(run) -> list[Usage]:
    """Of the answered turns that are no last ones."""
    events = [event for entry in run for event in entry.record.events]
    asked = {event.call for event in events if isinstance(event, ModelRequested) and not event.wrap_up}
    return [event.usage for event in events if isinstance(event, ModelResponded) and event.call in asked]
