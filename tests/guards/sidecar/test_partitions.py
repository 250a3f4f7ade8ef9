"""Partitions: stable, spread, and every one of them judged by somebody whoever comes and goes."""

from hypothesis import given
from hypothesis import strategies as st

from callboard.bus.guard_messages import Pulse
from callboard.bus.subjects import RunKey
from callboard.guards.sidecar.partitions import (
    HANDED_OVER_WITHIN,
    HEARD_WITHIN,
    PARTITIONS,
    Replicas,
    partition_of,
    partition_of_name,
    share,
)

ALL = frozenset(range(PARTITIONS))
names = st.lists(st.text("abcdef-12", min_size=1, max_size=12), min_size=1, max_size=12, unique=True)


def pulse(replica, partition=0, watermark=0):
    return Pulse(guard="g", replica=replica, partition=partition, partitions=PARTITIONS, watermark=watermark)


def test_the_partition_of_a_run_is_the_same_everywhere_and_for_ever():
    assert partition_of(RunKey("default", "r1")) == partition_of_name("default.r1") == 3
    assert partition_of(RunKey("acme", "t7-abc")) == 0


def test_runs_spread_over_all_partitions():
    counts = [0] * PARTITIONS
    for number in range(8_000):
        counts[partition_of(RunKey("default", f"t{number}-mbz{number:x}"))] += 1
    assert min(counts) > 500


@given(names)
def test_every_partition_belongs_to_exactly_one_replica(replicas):
    shares = [share(me, [other for other in replicas if other != me]) for me in replicas]
    assert sorted(partition for each in shares for partition in each) == sorted(ALL)


@given(names)
def test_the_end_of_a_replica_moves_only_its_own_partitions(replicas):
    me, *rest = replicas
    for other in rest:
        before = share(me, [each for each in rest if each != other] + [other])
        assert before <= share(me, [each for each in rest if each != other])


def alone_and_joined():
    """Two replicas of which both have something."""
    for number in range(100):
        mine = share("a", [f"b{number}"])
        if 2 < len(mine) < 6:
            return f"b{number}", mine
    raise AssertionError("the hash spreads nothing")


def test_a_replica_alone_judges_everything_and_a_silent_one_is_gone():
    other, mine = alone_and_joined()
    replicas = Replicas("a")
    assert replicas.mine(frozenset(), 0.0) == ALL
    assert replicas.heard(pulse(other), 1.0)
    assert not replicas.heard(pulse(other), 1.2)
    assert replicas.mine(frozenset(), 1.3) == mine
    assert replicas.mine(mine, 1.2 + HEARD_WITHIN) == ALL
    assert replicas.heard(pulse(other), 9.0), "it is new again"


def test_a_replica_judges_on_until_the_other_one_has_caught_up():
    other, mine = alone_and_joined()
    replicas, now = Replicas("a"), 10.0
    replicas.heard(pulse(other), now)
    assert replicas.mine(ALL, now) == ALL
    taken = min(ALL - mine)
    replicas.heard(pulse(other, taken, watermark=0), now + 0.1)  # there, and still rebuilding
    assert replicas.mine(ALL, now + 0.1) == ALL
    replicas.heard(pulse(other, taken, watermark=7), now + 0.2)
    assert replicas.mine(ALL, now + 0.3) == ALL - {taken}


def test_a_replica_does_not_wait_for_ever_for_the_other_one():
    other, mine = alone_and_joined()
    replicas = Replicas("a")
    at = 0.0
    while at < HANDED_OVER_WITHIN:
        replicas.heard(pulse(other), at)
        assert replicas.mine(ALL, at) == ALL
        at += 0.5
    assert replicas.mine(ALL, at) == mine


def test_own_pulses_and_those_of_another_partitioning_do_not_count():
    replicas = Replicas("a")
    assert not replicas.heard(pulse("a"), 0.0)
    stranger = pulse("z").model_copy(update={"partitions": PARTITIONS * 2})
    assert not replicas.heard(stranger, 0.0)
    assert replicas.mine(frozenset(), 0.0) == ALL
