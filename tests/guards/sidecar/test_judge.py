"""A guard on one run: the same verdicts, with the same ids, wherever one begins again; and nothing is done twice."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.bus.messages import (
    ModelResponded,
    Record,
    RunCompleted,
    RunKilled,
    RunPaused,
    RunSteered,
    SignalReceived,
    ToolRequested,
)
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.guards.hosted import Hosted
from callboard.guards.kit import Guard, Verdict
from callboard.guards.sidecar import deeds
from callboard.guards.sidecar.judge import created_in, identity, watched
from callboard.guards.sidecar.posts import Posts
from callboard.guards.sidecar.progress import Progress
from tests.guards.sidecar.watchers import Limit
from tests.support.journals import T0, at, claimed, created, extend, few, journal, journals

KEY = RunKey("default", "r1")
EAGER = Limit(nudge_at=1, kill_at=2)


def watch(guard=None, mode="enforce", name="limit"):
    return watched(name, KEY, created(digest="d1"), guard=guard or Limit(), mode=mode)


def asked(what, **fields):
    """A journal in which somebody asks the guard to do ``what``."""
    return journal(claimed(**fields), SignalReceived(name=what))


def said_of(entries, run=None):
    run = run or watch()
    return [said for entry in entries for said in run.see(entry)]


class Sleepless(Guard[int]):
    """Says the same at every tick."""

    name = "sleepless"

    def start(self, run):
        return 0

    def observe(self, state, seen):
        return state, ()

    def tick(self, state, now):
        return state + 1, (Verdict("kill", f"tick {state}"),)


@few
@given(journals, st.data())
def test_the_same_entries_give_the_same_verdicts_whatever_the_restarts_and_repetitions(entries, data):
    whole = [said.event for said in said_of(entries, watch(EAGER))]
    told, run = {}, watch(EAGER)
    for n, entry in enumerate(entries):
        for said in run.see(entry):
            told[said.event.id] = said.event
        if data.draw(st.booleans()):
            assert not run.see(entries[data.draw(st.integers(0, n))]), "seen before"
        if data.draw(st.integers(0, 3)) == 0:  # a crash: the next process begins with the journal so far
            run = watch(EAGER)
            for each in said_of(entries[: n + 1], run):
                told[each.event.id] = each.event
    assert list(told.values()) == whole
    assert len({event.id for event in whole}) == len(whole)


@few
@given(journals, st.data())
def test_a_run_is_killed_and_nudged_once_whatever_the_crashes(entries, data):
    """What a process does is in the journal, or it is not: a crash may come between any two deeds."""
    stored, done, mark, position = list(entries), [], 0, 0
    for _ in range(data.draw(st.integers(1, 4))):
        run, last = watch(EAGER), position
        position = data.draw(st.integers(last, len(entries)))
        known = stored[:position] + stored[len(entries) :]
        kept = {entry.record.id for entry in known if entry.record is not None}
        said = said_of(sorted(known, key=lambda entry: entry.sequence), run)
        for deed in deeds.behind(run, said, done=kept, mark=mark, now=T0):
            if deed.record is not None:
                if data.draw(st.booleans()):
                    break  # it died before this one
                sequence = (stored[-1].sequence if stored else 0) + 1
                stored.append(Stored(sequence, deed.record, at=T0))
                done.append(deed.record.id)
    assert len(done) == len(set(done))
    kills = [each for entry in stored[len(entries) :] for each in entry.record.events if isinstance(each, RunKilled)]
    assert len(kills) <= 1


def test_what_is_said_names_run_agent_entry_and_policy():
    said = said_of(asked("nudge"))[0].event
    assert (said.guard, said.action, said.mode, said.acted) == ("limit", "nudge", "enforce", False)
    assert (said.run, said.agent, said.sequence, said.policy) == ("r1", "a", 2, "d1")
    assert said.id == identity("limit", KEY, 2, place=0, action="nudge", index=0)
    assert said.id != identity("limit", KEY, 2, place=0, action="nudge", index=1)


def test_a_guard_that_raises_says_so_once_and_judges_on_with_the_state_it_had():
    answers = [ModelResponded(call=f"m{n}") for n in range(5)]
    entries = journal(claimed(), SignalReceived(name="raise"), SignalReceived(name="raise-2"), *answers)
    said = said_of(entries)
    faults = [each.event for each in said if "raised" in each.event.reason]
    assert [(fault.action, fault.sequence) for fault in faults] == [("warn", 2)]
    assert faults[0].reason == "the guard 'limit' raised ValueError: it cannot stand this"
    assert "kill" in [each.event.action for each in said]


def test_a_guard_that_cannot_be_made_or_started_says_so_for_each_run():
    class Unstartable(Sleepless):
        def start(self, run):
            raise RuntimeError("no")

    def refuse(_):
        raise ValueError("settings are wrong")

    post = Posts(Hosted("limit", refuse)).of(created())
    for guard, reason in ((Unstartable(), "start raised RuntimeError: no"), (post.guard, "ValueError: settings are")):
        said = said_of(journal(claimed(), ModelResponded(call="m1")), watch(guard))
        assert [each.event.action for each in said] == ["warn"]
        assert reason in said[0].event.reason


def test_a_post_is_made_once_for_all_runs_of_a_spec():
    made = []

    def make(spec):
        made.append(spec.name)
        return None if spec.name == "none" else (Limit(), "warn")

    posts = Posts(Hosted("limit", make))
    first = posts.of(created(digest="1", spec={"name": "a"}))
    assert posts.of(created(digest="1", spec={"name": "a"})) is first
    assert posts.of(created(digest="2", spec={"name": "none"})).guard is None
    assert posts.of(created(agent="b")).mode == "warn"
    assert posts.of(created(agent="b")).mode == "warn"
    assert made == ["a", "none", "b", "b"]
    for number in range(1_001):
        posts.of(created(digest=f"x{number}"))
    assert len(posts._made) == 1_000


def test_nothing_is_judged_after_the_end_and_what_is_no_record_is_passed_over():
    run = watch()
    entries = extend((), claimed())
    entries = (*entries, Stored(2, None, "bad_json: no"), *extend((), ("o1", RunCompleted()))[:1])
    assert not said_of((entries[0], entries[1]), run)
    assert run.sequence == 2
    end = Stored(3, Record(id="i3", owner="o1", events=(RunCompleted(),)), at=at(3))
    assert not run.see(end)
    assert run.over
    assert not run.see(Stored(4, Record(id="i4", events=(SignalReceived(name="kill"),))))


def test_a_run_without_its_beginning_has_none():
    assert created_in(journal(SignalReceived(name="x"))) is None
    assert created_in((Stored(1, None), Stored(2, Record(id="x", events=claimed())))) is None, "no owner wrote it"
    assert created_in(journal(SignalReceived(name="x"), claimed())) == created()


# ---- deeds --------------------------------------------------------------------------------------------------------
def deed_of(what, *, mode="enforce", now=None):
    run = watch(mode=mode)
    (said,) = said_of(asked(what), run)
    (deed,) = deeds.live(run, [said], now=now or at(2))
    return deed


def test_every_action_in_enforce_has_its_signal_or_is_only_said():
    signed = {"by": "guard:limit", "guard": "limit"}
    paused = {"name": "guard-limit", "reason": "asked to pause", **signed}
    for what, signal in (
        ("observe", None),
        ("deny", None),
        ("nudge", RunSteered(text="asked to nudge", **signed)),
        ("pause", RunPaused(**paused)),
        ("pause-30", RunPaused(**paused, until=at(32))),
        ("throttle-5", RunPaused(**{**paused, "reason": "asked to throttle"}, until=at(7))),
        ("kill", RunKilled(reason="asked to kill", **signed)),
    ):
        deed = deed_of(what)
        assert (deed.record.events if deed.record else None) == (None if signal is None else (signal,))
        assert deed.event.acted is (signal is not None)
        assert deed.record is None or deed.record.id == deed.event.id
        assert deed.tell


@pytest.mark.parametrize("mode", ["shadow", "warn"])
def test_in_shadow_and_warn_everything_is_only_said(mode):
    for what in ("nudge", "throttle", "pause", "kill"):
        deed = deed_of(what, mode=mode)
        assert (deed.record, deed.event.acted, deed.event.mode) == (None, False, mode)


class Gatekeeper(Guard[None]):
    """Says ``action`` of every tool call; as a gate too, if ``gates``."""

    def __init__(self, action, *, gates):
        self.action, self.gates = action, gates

    def start(self, run):
        return None

    def observe(self, state, seen):
        return None, [Verdict(self.action, "again")] if isinstance(seen.event, ToolRequested) else ()


@pytest.mark.parametrize(("action", "gates", "acts"), [
    ("pause", True, False), ("throttle", True, False), ("kill", True, True), ("pause", False, True),
])  # fmt: skip
def test_a_call_that_a_gate_let_through_pauses_nothing_a_second_time(action, gates, acts):
    run = watch(Gatekeeper(action, gates=gates))
    (said,) = said_of(journal(claimed(), ToolRequested(call="t1", tool="x")), run)
    (deed,) = deeds.live(run, [said], now=at(2))
    assert (deed.record is not None, deed.event.acted) == (acts, acts)


def test_a_throttle_of_a_call_that_is_written_already_is_only_said():
    class Throttler(Limit):
        def observe(self, state, seen):
            return state, (Verdict("throttle", "slower", call="t1", seconds=5),)

    run = watch(Throttler())
    (deed,) = deeds.live(run, run.see(journal(claimed())[0]), now=T0)[:1]
    assert (deed.record, deed.event.acted) == (None, False)


def test_a_run_is_told_to_end_once_and_nothing_is_done_to_one_that_is_over():
    run = watch()
    said = said_of(journal(claimed(), SignalReceived(name="kill"), SignalReceived(name="kill"),
        SignalReceived(name="nudge")), run)  # fmt: skip
    done = deeds.live(run, said, now=T0)
    assert [(deed.event.action, deed.event.acted) for deed in done] == [
        ("kill", True), ("kill", False), ("nudge", False)
    ]  # fmt: skip
    over = watch()
    entry = journal(claimed())[0].record
    said = over.see(
        Stored(1, Record(id="x", owner="o1", events=(*entry.events, SignalReceived(name="kill"), RunCompleted())))
    )
    assert [deed.event.acted for deed in deeds.live(over, said, now=T0)] == [False]


def test_what_was_judged_late_is_looked_up_before_it_is_done():
    assert not deed_of("kill", now=at(2) + deeds.LATE).look
    assert deed_of("kill", now=at(2.1) + deeds.LATE).look


def test_behind_a_crash_what_is_in_the_journal_is_not_done_and_what_is_not_behind_the_mark_is_not_said():
    entries = journal(
        claimed(), SignalReceived(name="nudge"), SignalReceived(name="observe"), SignalReceived(name="nudge")
    )
    first, second, third = said_of(entries)

    def deeds_with(done, mark):
        run = watch()
        return [
            (deed.event.sequence, deed.event.acted, deed.record is not None)
            for deed in deeds.behind(run, said_of(entries, run), done=done, mark=mark, now=at(5))
        ]

    assert deeds_with({first.event.id, third.event.id}, mark=9) == []
    assert deeds_with({first.event.id}, mark=9) == [(4, True, True)], "nothing is forgotten"
    assert deeds_with({first.event.id}, mark=1) == [(2, True, False), (3, False, False), (4, True, True)]
    assert deeds_with(set(), mark=0) == [(2, True, True), (3, False, False), (4, True, True)]
    assert second.event.action == "observe"


def test_a_pause_that_would_be_over_by_now_is_not_made_up_for():
    run = watch()
    said = said_of(asked("pause-10"), run)
    assert deeds.behind(run, said, done=(), mark=0, now=at(11))[0].record.events[0].until == at(12)
    (deed,) = deeds.behind(run, said, done=(), mark=0, now=at(12))
    assert (deed.record, deed.event.acted) == (None, False)


def test_what_time_alone_says_is_said_once_until_something_happens():
    run = watch(Sleepless())
    said_of(journal(claimed()), run)
    (said,) = run.tick(T0)
    assert said.event.sequence == 1
    assert not run.tick(T0 + timedelta(seconds=1))
    run.see(extend(journal(claimed()), SignalReceived(name="x"))[1])
    (again,) = run.tick(T0 + timedelta(seconds=2))
    assert again.event.id != said.event.id
    assert not watch().tick(T0)


# ---- progress -----------------------------------------------------------------------------------------------------
def test_the_watermark_waits_for_what_is_on_its_way_out():
    progress = Progress()
    assert progress.watermark(9) == 0
    progress.ready = True
    assert progress.watermark(9) == 9
    progress.begin(5)
    progress.begin(5)
    progress.begin(7)
    assert progress.watermark(9) == 4
    progress.end(5)
    assert progress.watermark(9) == 4
    progress.end(5)
    assert progress.watermark(9) == 6
    progress.end(7)
    assert progress.watermark(9) == 9
