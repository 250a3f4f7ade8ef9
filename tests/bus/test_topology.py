from hypothesis import given
from hypothesis import strategies as st

from callboard.bus.subjects import LANES, TOKEN, Subjects
from callboard.bus.topology import ENTRIES_PER_RUN, QueueLimits, due_consumer, feed_consumer, task_consumer, topology

tokens = st.from_regex(TOKEN, fullmatch=True)
SECOND = 1_000_000_000


def spec_of(name: str, **options):
    return next(spec for spec in topology(Subjects(), **options) if spec.name == f"CB_{name}")


def matches(pattern: str, subject: str) -> bool:
    wanted, found = pattern.split("."), subject.split(".")
    for position, part in enumerate(wanted):
        if part == ">":
            return len(found) > position
        if position >= len(found) or part not in ("*", found[position]):
            return False
    return len(wanted) == len(found)


def test_the_task_queue_refuses_publishers_at_its_bound_and_forgets_nothing_by_age():
    tasks = spec_of("TASKS", limits=QueueLimits(max_msgs=5, max_bytes=6)).config()
    assert (tasks["retention"], tasks["discard"]) == ("workqueue", "new")
    assert (tasks["max_msgs"], tasks["max_bytes"], tasks["max_age"]) == (5, 6, 0)
    assert tasks["max_msgs_per_subject"] == -1


def test_the_task_queue_is_bounded_by_default():
    tasks = spec_of("TASKS").config()
    assert tasks["max_msgs"] == 100_000
    assert tasks["max_bytes"] > 0


def test_journals_cannot_be_deleted_and_a_kill_fits_into_a_full_one():
    runs = spec_of("RUNS").config()
    assert runs["deny_delete"]
    assert (runs["discard"], runs["discard_new_per_subject"]) == ("new", True)
    assert runs["max_msgs_per_subject"] == ENTRIES_PER_RUN > 10_000
    assert runs["max_msg_size"] >= 512 * 1024
    assert runs["allow_direct"]
    assert runs["republish"] == {"src": "cb.run.*.*", "dest": "cb.live.{{wildcard(1)}}.{{wildcard(2)}}"}


def test_timers_have_a_stream_of_their_own_that_takes_schedules():
    timers = spec_of("TIMERS").config()
    assert timers["allow_msg_schedules"]
    assert timers["discard"] == "old"


def test_what_is_kept_for_people_is_bounded_in_time_and_size():
    for name in ("DEAD", "GUARDS"):
        config = spec_of(name).config()
        assert config["max_age"] == 30 * 86_400 * SECOND
        assert config["max_bytes"] > 0
        assert config["discard"] == "old"


def test_every_stream_has_the_replicas_that_were_asked_for():
    assert {spec.config()["num_replicas"] for spec in topology(Subjects(), replicas=3)} == {3}


@given(tokens)
def test_every_name_and_subject_is_under_the_prefix(prefix):
    subjects = Subjects(prefix)
    for spec in topology(subjects):
        name = spec.name.removeprefix("KV_")  # buckets have names and subjects of their own kind
        assert name.startswith(subjects.stream(""))
        head = f"{prefix}." if name == spec.name else f"$KV.{name}."
        assert all(subject.startswith(head) for subject in spec.subjects)


@given(tokens, tokens, st.sampled_from(LANES), tokens, tokens)
def test_a_task_consumer_takes_the_tasks_of_its_agent_and_lane_and_no_others(tenant, agent, lane, run, other):
    filters = task_consumer(Subjects(), agent, lane, ack_wait=2).filter_subjects
    for tail in ("", f".{run}"):
        assert sum(matches(one, f"cb.task.{tenant}.{agent}.{lane}{tail}") for one in filters) == 1
        if other != agent:
            assert not any(matches(one, f"cb.task.{tenant}.{other}.{lane}{tail}") for one in filters)


@given(st.lists(st.tuples(tokens, st.sampled_from(LANES)), unique=True, max_size=20))
def test_different_agents_and_lanes_never_share_a_consumer_name(pairs):
    assert len({task_consumer(Subjects(), agent, lane, ack_wait=2).name for agent, lane in pairs}) == len(pairs)


def test_consumers_deliver_again_without_end_and_wait_for_an_explicit_ack():
    at = Subjects()
    for spec in (task_consumer(at, "a", "low", ack_wait=2.5), feed_consumer(at), due_consumer(at)):
        config = spec.config()
        assert (config["max_deliver"], config["ack_policy"]) == (-1, "explicit")
    assert task_consumer(at, "a", "low", ack_wait=2.5).config()["ack_wait"] == 2.5 * SECOND
    assert task_consumer(at, "a", "low", ack_wait=2).max_ack_pending >= 10_000


def test_the_feed_carries_headers_only():
    assert feed_consumer(Subjects()).config()["headers_only"]
    assert feed_consumer(Subjects(), ack_wait=15).ack_wait == 15
