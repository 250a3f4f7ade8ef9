from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.config.guards import Breaker
from callboard.guards.breaker import circuit as circuits
from callboard.guards.breaker import machine, outcome
from callboard.guards.breaker.circuit import Circuit, Counts
from tests.guards.breaker.model_fleet import ENDINGS, SETTINGS, T0, Fleet

HARMLESS = ("good", "rate", "bad_request", "auth", "cancelled", "unstarted")
DEAD = ("overload", "network")
SEEDS = st.integers(0, 2**32)


def storm(seed: int, *, ends: tuple[str, ...] = tuple(ENDINGS), steps: int = 400) -> Fleet:
    """Anything in any order: calls, ends, news that come late, workers that die, time that passes."""
    rng = Random(seed)
    fleet = Fleet(rng.randint(1, 5), rng)
    for _ in range(steps):
        at = rng.randrange(fleet.size)
        match rng.choices(("ask", "end", "tell", "time", "crash"), (8, 8, 4, 3, 0.2))[0]:
            case "ask":
                fleet.ask(at)
            case "end" if fleet.calls:
                fleet.end(rng.choice(fleet.calls), rng.choice(ends))
            case "tell":
                fleet.tell(at)
            case "time":
                fleet.pass_time(rng.choice((0.01, 0.5, 3.0, 12.0)))
            case "crash":
                fleet.crash(at)
    return fleet


def broken(fleet: Fleet, *, times: int = 5, how: str = "overload") -> None:
    for _ in range(times):
        call = fleet.ask(0)
        assert call is not None
        fleet.end(call, how)


def burst(fleet: Fleet) -> int:
    """Everybody asks twenty times; how many calls start."""
    before = len(fleet.calls)
    for at in range(fleet.size):
        fleet.tell(at)
        for _ in range(20):
            fleet.ask(at)
    return len(fleet.calls) - before


# ---- safety ---------------------------------------------------------------------------------------------------------
@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_only_the_probe_closes_a_circuit_and_there_is_one_at_a_time(seed):
    assert storm(seed).wrong == []


@settings(max_examples=80, deadline=None)
@given(SEEDS)
def test_throttling_refusals_and_cancellations_never_open_a_circuit(seed):
    assert storm(seed, ends=HARMLESS).changes == []


@settings(max_examples=80, deadline=None)
@given(SEEDS, st.integers(0, 8))
def test_one_probe_goes_through_whoever_asks(seed, crashed):
    fleet = Fleet(8, Random(seed))
    broken(fleet)
    assert burst(fleet) == 0
    fleet.now = fleet.circuit.until
    if crashed < 8:
        fleet.crash(crashed)
    assert burst(fleet) == 1
    assert [call.probe for call in fleet.calls] == [True]


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_each_interval_of_a_dead_provider_has_one_probe_and_is_longer_than_the_last_up_to_the_cap(seed):
    fleet = Fleet(4, Random(seed))
    broken(fleet)
    intervals = []
    for probes in range(1, 9):
        opened = fleet.circuit
        assert opened.phase == "open"
        intervals.append((opened.until - opened.since).total_seconds())
        for _ in range(10):
            fleet.now += (opened.until - fleet.now) / 2
            assert burst(fleet) == 0
        fleet.now = opened.until
        assert burst(fleet) == 1
        assert len(fleet.probes) == probes
        fleet.end(fleet.calls[0], "network")
    assert all(10 <= seconds <= 36 for seconds in intervals)
    assert intervals[1] >= 20
    assert min(intervals[2:]) >= 30


# ---- liveness -------------------------------------------------------------------------------------------------------
@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_a_provider_that_is_well_again_has_a_closed_circuit_soon(seed):
    fleet = storm(seed)
    for call in tuple(fleet.calls):
        fleet.end(call, "cancelled")
    until = fleet.now + timedelta(
        seconds=36 + 6 + 1 + 4 + 3
    )  # the interval, a lost lease, the ramp, and steps of 0.5 s
    while fleet.now < until:
        for at in range(fleet.size):
            fleet.tell(at)
            call = fleet.ask(at)
            if call is not None:
                fleet.end(call, "good")
        fleet.pass_time(0.5)
    assert fleet.circuit.phase == "closed"
    assert fleet.wrong == []


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.sampled_from(DEAD))
def test_a_dead_provider_opens_the_circuit_at_the_fifth_failure_in_a_row(seed, how):
    fleet = Fleet(2, Random(seed))
    broken(fleet, times=4, how=how)
    assert fleet.changes == []
    broken(fleet, times=1, how=how)
    assert (fleet.circuit.phase, fleet.circuit.cause, fleet.circuit.trips) == ("open", "streak", 1)


def test_half_of_ten_calls_open_it_and_fewer_do_not():
    fleet = Fleet(1, Random(1))
    for how in ("good", "overload") * 4 + ("good",):
        broken(fleet, times=1, how=how)
    assert fleet.changes == [], "nine calls are too few"
    broken(fleet, times=1)
    assert fleet.circuit.cause == "failures"


def test_less_than_half_opens_nothing_and_what_is_older_than_the_window_is_forgotten():
    fleet = Fleet(1, Random(1))
    for how in ("good", "good", "overload") * 20:
        broken(fleet, times=1, how=how)
    assert fleet.changes == []
    for _ in range(30):  # five failures in a minute, one in the next: never four in a row, never ten calls at once
        broken(fleet, times=1)
        broken(fleet, times=1, how="good")
        fleet.pass_time(15)
    assert fleet.changes == []


def test_most_answers_slow_open_it_and_a_slow_probe_opens_it_again():
    fleet = Fleet(1, Random(1))
    for how in ("slow",) * 7 + ("good",) * 2 + ("slow",):
        broken(fleet, times=1, how=how)
    assert fleet.circuit.cause == "slow"
    fleet.now = fleet.circuit.until
    probe = fleet.ask(0)
    assert probe is not None
    fleet.end(probe, "slow")
    assert (fleet.circuit.phase, fleet.circuit.trips) == ("open", 2)


@pytest.mark.parametrize("how", ["slow", "rate", "bad_request", "good"])
def test_a_provider_that_answers_the_probe_is_there(how):
    fleet = Fleet(1, Random(1))
    broken(fleet)
    fleet.now = fleet.circuit.until
    probe = fleet.ask(0)
    assert probe is not None
    fleet.end(probe, how)
    assert fleet.circuit.phase == "ramp"


@pytest.mark.parametrize("how", ["cancelled", "unstarted"])
def test_a_probe_that_says_nothing_is_made_again_a_second_later(how):
    fleet = Fleet(2, Random(1))
    broken(fleet)
    fleet.now = fleet.circuit.until
    probe = fleet.ask(0)
    assert probe is not None
    fleet.end(probe, how)
    assert burst(fleet) == 0
    fleet.pass_time(1)
    assert burst(fleet) == 1
    assert fleet.circuit.trips == 1


def test_a_probe_whose_worker_died_goes_to_another_when_its_lease_has_run_out():
    fleet = Fleet(2, Random(1))
    broken(fleet)
    fleet.now = fleet.circuit.until
    assert fleet.ask(0) is not None
    fleet.pass_time(60)
    assert burst(fleet) == 0, "its holder is alive and renews the lease"
    fleet.crash(0)
    fleet.pass_time(circuits.LEASE)
    fleet.tell(1)
    assert fleet.ask(1) is not None


def test_the_answer_of_a_probe_whose_lease_was_lost_changes_nothing():
    fleet = Fleet(2, Random(1))
    broken(fleet)
    fleet.now = fleet.circuit.until
    frozen = fleet.ask(0)
    fleet.now += timedelta(seconds=circuits.LEASE)
    fleet.tell(1)
    probe = fleet.ask(1)
    assert frozen is not None
    assert probe is not None
    fleet.tell(0)
    fleet.end(frozen, "good")
    assert fleet.circuit.phase == "half_open"
    fleet.end(probe, "overload")
    assert (fleet.circuit.phase, fleet.circuit.trips) == ("open", 2)


def test_calls_are_let_through_ever_more_of_them_until_the_circuit_is_closed():
    fleet = Fleet(1, Random(1))
    broken(fleet)
    fleet.now = fleet.circuit.until
    probe = fleet.ask(0)
    assert probe is not None
    fleet.end(probe, "good")
    assert burst(fleet) == 2, "a tenth of twenty"
    fleet.pass_time(2)
    assert burst(fleet) == 10
    fleet.pass_time(2)
    assert burst(fleet) == 20
    assert fleet.circuit.phase == "closed"


def test_two_failures_in_a_row_open_a_circuit_that_is_closing_and_older_calls_do_not():
    fleet = Fleet(1, Random(1))
    old = [fleet.ask(0) for _ in range(6)]
    broken(fleet)
    fleet.now = fleet.circuit.until
    probe = fleet.ask(0)
    assert probe is not None
    fleet.end(probe, "good")
    for call in old:
        fleet.end(call, "overload")
    assert fleet.circuit.phase == "ramp"
    fleet.pass_time(2)
    for _ in range(2):
        call = fleet.ask(0) or fleet.ask(0)
        fleet.end(call, "network")
    assert (fleet.circuit.phase, fleet.circuit.trips) == ("open", 2)


def test_news_that_are_old_change_nothing():
    view = machine.View("w", SETTINGS, 30.0, Circuit(), 7)
    old = Circuit(phase="open", until=T0 + timedelta(hours=1))
    assert machine.see(view, old, 7) == view
    assert machine.put(view, old, 6) == view
    assert machine.put(view, old, None).revision == 7


def test_a_worker_without_a_bucket_has_its_own_breaker():
    view = machine.View("w", SETTINGS, 30.0)
    now, change = T0, None
    for _ in range(5):
        view, change = machine.over(view, machine.Over("failed", 1.0, probe=False), now, chance=0.5)
    assert change is not None
    view, decision = machine.ask(view, now, chance=0.5)
    assert isinstance(decision, machine.Hold)
    view, decision = machine.ask(view, change.until, chance=0.5)
    assert isinstance(decision, machine.Claim)
    view = machine.put(view, decision.circuit, None)
    view, decision = machine.ask(view, change.until, chance=0.5)
    assert isinstance(decision, machine.Hold)
    view, change = machine.over(view, machine.Over("good", 1.0, probe=True), change.until, chance=0.5)
    assert change is not None
    assert change.phase == "ramp"


# ---- mutants --------------------------------------------------------------------------------------------------------
def caught(check, *arguments) -> bool:
    try:
        check.hypothesis.inner_test(*arguments)
    except AssertionError:
        return True
    return False


def test_a_fleet_in_which_everybody_probes_is_caught(monkeypatch):
    sound = machine.ask

    def everybody(view, now, *, chance):
        view, decision = sound(view, now, chance=chance)
        if view.circuit.phase in ("open", "half_open") and now >= view.circuit.since + timedelta(seconds=10):
            return view, machine.Let()
        return view, decision

    assert not caught(test_one_probe_goes_through_whoever_asks, 1, 8)
    monkeypatch.setattr(machine, "ask", everybody)
    assert caught(test_one_probe_goes_through_whoever_asks, 1, 8)


@pytest.mark.parametrize("counted", ["cancelled", "model_rate", "model_bad_request"])
def test_a_breaker_that_counts_what_says_nothing_is_caught(monkeypatch, counted):
    sound = outcome.outcome

    def counts(ask, ending, *, slow_after):
        if counted in (ending.how, ending.error):
            return "failed"
        return sound(ask, ending, slow_after=slow_after)

    seeds = range(5)
    assert not any(caught(test_throttling_refusals_and_cancellations_never_open_a_circuit, seed) for seed in seeds)
    monkeypatch.setattr(outcome, "outcome", counts)
    assert any(caught(test_throttling_refusals_and_cancellations_never_open_a_circuit, seed) for seed in seeds)


def test_a_worker_that_closes_without_a_probe_is_caught(monkeypatch):
    sound = machine.over

    def hopeful(view, end, now, *, chance):
        if end.what == "good" and view.circuit.phase in ("open", "half_open"):
            new = circuits.closed(now)
            return view.evolve(circuit=new), new
        return sound(view, end, now, chance=chance)

    monkeypatch.setattr(machine, "over", hopeful)
    assert any(caught(test_only_the_probe_closes_a_circuit_and_there_is_one_at_a_time, seed) for seed in range(30))


def test_a_call_with_one_attempt_left_opens_the_circuit_if_nothing_else_went_well():
    def end(what, *, last_but_one=False):
        nonlocal view
        over = machine.Over(what, 1.0, probe=False, last_but_one=last_but_one)
        view, change = machine.over(view, over, T0, chance=0.5)
        return change

    view = machine.View("w", SETTINGS, 30.0)
    assert [end("failed"), end("good"), end("failed"), end("failed", last_but_one=True)] == [None] * 4
    assert end("nothing", last_but_one=True) is None
    assert end("answered", last_but_one=True) is None
    change = end("failed", last_but_one=True)
    assert change is not None
    assert change.cause == "attempts"


def test_counts_are_of_the_window():
    counts = Counts()
    for number in range(100):
        counts = circuits.count(counts, "good", T0 + timedelta(seconds=number), Breaker())
    assert 50 <= counts.total.calls <= 60
    assert counts.evidence()["calls"] == counts.total.calls


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["good", "good", "slow", "failed"]), st.sampled_from([0.0, 1.0, 7.0, 70.0]))))
def test_a_call_that_went_well_is_the_same_by_the_short_way_and_by_the_long_one(ends):
    view, now = machine.View("w", SETTINGS, 30.0), T0
    for what, seconds in ends:
        now += timedelta(seconds=seconds)
        well = machine.went_well(view, now)
        long_way = machine.over(view, machine.Over("good", 1.0, probe=False), now, chance=0.5)
        assert well is None or (well, None) == long_way
        bad = view.circuit.phase != "closed" or view.counts.total.failed or view.counts.total.slow
        assert bad or well is not None
        view, _ = machine.over(view, machine.Over(what, 1.0, probe=False), now, chance=0.5)


def test_a_call_that_went_well_may_be_the_one_that_shows_how_many_have_failed():
    view = machine.View("w", Breaker(), 30.0)
    for number in range(9):
        what = "good" if number % 2 else "failed"
        view, change = machine.over(view, machine.Over(what, 1.0, probe=False), T0, chance=0.5)
        assert change is None
    later = T0 + timedelta(seconds=20)
    assert machine.went_well(view, later) is None
    _, change = machine.over(view, machine.Over("good", 1.0, probe=False), later, chance=0.5)
    assert change is not None
    assert change.cause == "failures"


# ---- forgetting -----------------------------------------------------------------------------------------------------
def test_a_circuit_is_idle_some_time_after_its_last_call_and_its_last_change():
    fleet = Fleet(1, Random(0))
    view = fleet.views[0]
    later = T0 + timedelta(seconds=circuits.IDLE + SETTINGS.window)
    assert machine.idle(view, T0)
    counted = view.evolve(counts=circuits.count(Counts(), "good", T0, SETTINGS))
    assert not machine.idle(counted, T0 + timedelta(seconds=circuits.IDLE - 1))
    assert machine.idle(counted, later)
    opened = view.evolve(circuit=Circuit(phase="open", until=T0 + timedelta(seconds=300)))
    assert not machine.idle(opened, later)
    assert machine.idle(opened, later + timedelta(seconds=300))
    assert not machine.idle(view.evolve(probing=True), later)


def test_the_bucket_knows_a_circuit_as_long_as_it_may_matter():
    until = T0 + timedelta(seconds=300)
    assert circuits.lasts(Circuit(since=T0, until=T0), T0) == circuits.CLOSED_FOR
    assert circuits.lasts(Circuit(phase="open", until=until), T0) == 300 + circuits.OTHERS_FOR
    assert circuits.lasts(Circuit(phase="half_open", until=T0), until) == circuits.OTHERS_FOR
    assert circuits.parsed(b"{}") == circuits.parsed(b"nonsense") == Circuit()


def test_a_trip_that_came_too_late_is_put_on_top_of_what_has_closed_since_and_of_nothing_else():
    view, trip = Fleet(1, Random(0)).views[0], Circuit(phase="open", cause="streak", trips=1)
    closed = machine.again(view.evolve(circuit=Circuit(trips=3)), trip, T0, chance=0.0)
    assert closed is not None
    assert (closed.phase, closed.trips, closed.cause) == ("open", 4, "streak")
    assert machine.again(view.evolve(circuit=Circuit(phase="half_open")), trip, T0, chance=0.0) is None
    assert machine.again(view, Circuit(phase="ramp"), T0, chance=0.0) is None
