"""What a guard would have said of recorded runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.bus.messages import (
    ModelFailed,
    ModelLateUsage,
    ModelRequested,
    ModelResponded,
    Problem,
    RunCompleted,
    RunFailed,
    RunKilled,
    RunSettled,
    RunSteered,
    ToolRequested,
    ToolReturned,
    Usage,
)
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.config.spec import AgentSpec
from callboard.guards.backtest import Report, Spent, Trial, instants, judge, spec_of
from callboard.guards.hosted import Hosted
from callboard.guards.sidecar.judge import watched
from tests.guards.backtest.guards import Chatty, Sleepy
from tests.support.journals import T0, at, claimed, created, few, journal, journals

KEY = RunKey("acme", "r1")
NOW = at(10_000)
DONE = RunCompleted()
FAILED = RunFailed(problem=Problem(kind="turns", message="no"))


def hosted(kind=Chatty, **settings) -> Hosted:
    return Hosted(kind.name, lambda spec: (kind(**settings), "enforce"))


def turns(count: int, end=DONE) -> tuple[Stored, ...]:
    """A run with so many turns, each with a tool call: four entries a turn, a second each."""
    entries = []
    for n in range(1, count + 1):
        usage = Usage(input_tokens=100, output_tokens=10, cached_tokens=1, cost_usd_micros=1_000)
        entries += [
            ModelRequested(call=f"m{n}"), ModelResponded(call=f"m{n}", usage=usage),
            ToolRequested(call=f"t{n}", tool="x"), ToolReturned(call=f"t{n}"),
        ]  # fmt: skip
    return journal(claimed(), *entries, *(() if end is None else (end,)))


def tried(entries: Sequence[Stored], until=NOW, **settings) -> Trial:
    trial = judge(hosted(**settings), KEY, entries, until=until)
    assert trial is not None
    return trial


def actions(trial: Trial) -> list[str]:
    return [said.event.action for said in trial.said]


def test_a_run_that_would_have_been_killed_tells_where_and_what_it_would_have_saved() -> None:
    trial = tried(turns(6, FAILED))
    assert actions(trial) == ["warn", "nudge", "kill"]
    assert trial.strongest is not None
    assert trial.strongest.event.sequence == trial.place == 15  # the fourth answer: entry 1, then four a turn
    assert (trial.outcome, trial.killed, trial.false_alarm) == ("failed", True, False)
    assert trial.saved == Spent(model_calls=2, tool_calls=3, tokens=222, usd_micros=2_000, seconds=11.0)


def test_no_time_is_saved_behind_the_end_of_a_run() -> None:
    entries = turns(6, FAILED)
    late = replace(journal(claimed(), RunKilled())[-1], sequence=entries[-1].sequence + 1, at=NOW)
    assert tried((*entries, late)).saved == tried(entries).saved


def test_a_kill_of_a_run_that_finished_well_is_a_false_alarm() -> None:
    trial = tried(turns(6))
    assert (trial.outcome, trial.killed, trial.false_alarm) == ("completed", True, True)


def test_who_is_not_killed_saves_nothing() -> None:
    trial = tried(turns(3))
    assert (actions(trial), trial.killed, trial.saved) == (["warn", "nudge"], False, Spent())
    assert trial.strongest is not None
    assert trial.strongest.event.action == "nudge"
    assert (tried(turns(2)).said, tried(turns(2)).strongest) == ((), None)


def test_a_threshold_moves_the_kill() -> None:
    assert [tried(turns(6, FAILED), limit=limit).saved.model_calls for limit in (1, 3, 5, 6)] == [4, 2, 0, 0]
    assert [tried(turns(6, FAILED), limit=limit).killed for limit in (1, 3, 5, 6)] == [True, True, True, False]


def test_what_failed_or_came_late_was_paid_for_too() -> None:
    more = (
        ModelRequested(call="m9"),
        ModelFailed(call="m9", problem=Problem(kind="x", message="x"), usage=Usage(output_tokens=5)),
        RunKilled(reason="enough"),
        ModelLateUsage(call="m9", usage=Usage(input_tokens=7, cost_usd_micros=70)),
        RunSettled(),
    )
    entries = (*turns(4, None), *(replace(entry, sequence=entry.sequence + 17) for entry in journal(*more)))
    saved = tried(tuple(replace(entry, at=at(entry.sequence)) for entry in entries)).saved
    assert saved == Spent(model_calls=1, tool_calls=1, tokens=12, usd_micros=70, seconds=5.0)


def test_time_passes_between_entries_and_after_the_last_one_of_an_open_run() -> None:
    open_run = turns(1, None)
    assert actions(tried(open_run, kind=Sleepy, until=at(40))) == []
    late = tried(open_run, kind=Sleepy, until=at(70))
    assert actions(late) == ["kill"]
    assert late.said[0].event.sequence == 5
    gap = (*open_run, replace(journal(RunCompleted())[0], sequence=6, at=at(400)))
    trial = tried(gap, kind=Sleepy)
    assert (actions(trial), trial.false_alarm, trial.saved.seconds) == (["kill"], True, 335.0)
    assert actions(tried(turns(1), kind=Sleepy)) == []


def test_a_journal_that_says_no_times_is_judged_without_ticks() -> None:
    timeless = tuple(replace(entry, at=None) for entry in turns(6, FAILED))
    assert actions(tried(timeless)) == ["warn", "nudge", "kill"]
    assert tried(timeless).saved == Spent(model_calls=2, tool_calls=3, tokens=222, usd_micros=2_000)
    assert actions(tried(timeless, kind=Sleepy)) == []


def test_what_came_behind_the_end_of_the_period_does_not_count() -> None:
    trial = tried(turns(6, FAILED), until=at(15))
    assert (trial.outcome, actions(trial), trial.saved) == (None, ["warn", "nudge", "kill"], Spent())
    assert actions(tried(turns(6, FAILED), until=at(14))) == ["warn", "nudge"]


def test_a_run_without_the_guard_or_without_a_beginning_is_not_judged() -> None:
    nobody = Hosted("chatty", lambda spec: None)
    assert judge(nobody, KEY, turns(6), until=NOW) is None
    assert judge(hosted(), KEY, journal(RunKilled()), until=NOW) is None


def test_the_settings_are_those_of_the_run_or_those_that_are_given() -> None:
    spec = {"name": "a", "limits": {"turns": 2}}
    entries = journal(claimed(spec=spec), *(event for n in range(9) for event in (ModelResponded(call=f"m{n}"),)))
    by_spec = Hosted("chatty", lambda spec: (Chatty(spec.limits.turns), "enforce"))

    def fewer(key: RunKey, spec: AgentSpec) -> AgentSpec:
        assert key == KEY
        return spec.model_copy(update={"limits": spec.limits.model_copy(update={"turns": 5})})

    trials = [judge(by_spec, KEY, entries, until=NOW), judge(by_spec, KEY, entries, until=NOW, respec=fewer)]
    assert [trial.said[-1].event.value for trial in trials if trial] == [3, 6]


def test_a_run_whose_agent_cannot_be_read_has_the_defaults() -> None:
    assert spec_of(created(spec={"name": "a", "limits": {"turns": 7}})).limits.turns == 7
    assert spec_of(created(spec={"name": "a", "no_such": 1})) == AgentSpec(name="a")  # of a newer version
    for kept in (None, {"name": "a", "limits": 1}, "nonsense"):
        assert spec_of(created(agent="b", spec=kept)) == AgentSpec(name="b")


def test_a_report_adds_up() -> None:
    trials = (tried(turns(6, FAILED)), tried(turns(5)), tried(turns(3)), tried(turns(1, None), until=at(6)))
    report = Report("chatty", trials, skipped=2)
    assert (report.runs, len(report.killed), len(report.false_alarms)) == (4, 2, 1)
    assert [len(report.touched(action)) for action in ("observe", "warn", "nudge", "kill")] == [0, 3, 3, 2]
    assert report.outcomes == {"failed": 1, "completed": 2, "open": 1}
    assert report.saved == trials[0].saved
    assert report.lost == trials[1].saved
    assert Report("chatty", ()).saved == Spent()


@given(st.integers(0, 5_000_000))
def test_ticks_are_in_between_at_least_a_second_and_not_too_far_apart(seconds: int) -> None:
    ticks = list(instants(T0, T0 + timedelta(seconds=seconds)))
    assert all(T0 < tick < T0 + timedelta(seconds=seconds) for tick in ticks)
    around = [T0, *ticks, T0 + timedelta(seconds=seconds)]
    for before, after in pairwise(around):
        gap = (after - before).total_seconds()
        assert gap <= max(1.0, (after - T0).total_seconds() / 32)
    assert len(ticks) <= 1_000


@few
@given(journals, st.integers(0, 30), st.integers(1, 3))
def test_the_verdicts_are_those_that_the_sidecar_has_live(entries: tuple[Stored, ...], cut: int, limit: int) -> None:
    """Whatever is in the journal, and wherever the process that watches begins again."""
    entries = tuple(replace(entry, at=at(entry.sequence)) for entry in entries)
    trial = judge(hosted(limit=limit), KEY, entries, until=NOW)
    if trial is None:
        return
    live: dict[str, str] = {}
    for first in (entries[:cut], entries):  # it judged a part of it, and all of it after its restart
        run = watched("chatty", KEY, created(), guard=Chatty(limit), mode="enforce")
        for entry in first:
            live |= {said.event.id: said.event.action for said in run.see(entry)}
    backtest = {said.event.id: said.event.action for said in trial.said}
    assert backtest.items() <= live.items()
    beyond = {action for id_, action in live.items() if id_ not in backtest}
    assert not beyond or (beyond == {"kill"} and trial.killed)


def test_a_note_from_a_person_changes_nothing_for_a_guard_that_does_not_look() -> None:
    entries = journal(claimed(), RunSteered(text="hurry"), RunCompleted())
    assert tried(entries).said == ()


@pytest.mark.parametrize("limit", [0, -1])
def test_settings_that_the_guard_refuses_are_the_users_mistake(limit: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        judge(hosted(limit=limit), KEY, turns(1), until=NOW)
