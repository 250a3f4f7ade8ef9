"""What a worker knows of its guards from their pulses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.bus.guard_messages import Pulse
from callboard.guards.pulses import CREDIT, MISSED_AFTER, Pulses, held
from tests.support.journals import few


def pulse(watermark: int, *, replica: str = "r1", guard: str = "g", partition: int = 3) -> Pulse:
    return Pulse(guard=guard, replica=replica, partition=partition, partitions=8, watermark=watermark)


def test_a_guard_is_known_as_far_as_it_says_for_as_long_as_it_is_heard():
    pulses = Pulses(0.0).hear(pulse(7), 1.0)
    assert pulses.watermark("g", 3, 1.0 + MISSED_AFTER - 0.01) == 7
    assert pulses.watermark("g", 3, 1.0 + MISSED_AFTER) is None
    assert pulses.watermark("g", 4, 1.0) is None
    assert pulses.watermark("other", 3, 1.0) is None


def test_of_two_replicas_the_one_that_is_further_counts():
    pulses = Pulses(0.0).hear(pulse(7), 1.0).hear(pulse(5, replica="r2"), 1.5)
    assert pulses.watermark("g", 3, 1.5) == 7
    assert pulses.watermark("g", 3, 2.6) == 5
    assert len(pulses.hear(pulse(6, replica="r3"), 2.6).heard["g", 3]) == 2


def test_a_replica_that_has_judged_nothing_yet_is_there_and_lets_the_first_run_of_a_bus_begin():
    pulses = Pulses(0.0).hear(pulse(0), 10.0)
    assert not pulses.missing("g", 3, 10.0)
    assert held(pulses.watermark("g", 3, 10.0), (), "critical") == ""
    assert held(pulses.watermark("g", 3, 10.0), range(1, CREDIT + 2), "pure")
    assert pulses.missing("g", 3, 10.0 + MISSED_AFTER)


def test_a_guard_is_missing_when_it_was_not_heard_for_a_while():
    pulses = Pulses(10.0)
    assert not pulses.missing("g", 3, 10.0 + MISSED_AFTER - 0.01)
    assert pulses.missing("g", 3, 10.0 + MISSED_AFTER)
    heard = pulses.hear(pulse(1), 12.0)
    assert not heard.missing("g", 3, 12.0)
    assert heard.missing("g", 3, 12.0 + MISSED_AFTER)


@pytest.mark.parametrize(("effect", "credit"), [("pure", 8), ("at_most_once", 8), ("critical", 1)])
def test_a_run_may_be_ahead_by_its_credit_and_no_more(effect, credit):
    assert held(0, range(1, credit + 1), effect) == ""
    assert held(0, range(1, credit + 2), effect) == (
        f"it has not judged the last {credit + 1} entries of the run, {credit} are allowed"
    )


def test_a_guard_that_is_not_heard_holds_everything():
    assert held(None, (), "pure")


@few
@given(st.integers(0, 50), st.lists(st.integers(1, 50), unique=True, max_size=20).map(sorted))
def test_the_last_entries_are_all_that_one_has_to_know(watermark, entries):
    assert bool(held(watermark, entries, "pure")) == bool(held(watermark, entries[-(CREDIT + 1) :], "pure"))
    assert held(entries[-1] if entries else 0, entries, "critical") == ""
