"""Pure: the streams and consumers of a deployment, as data. ``reconcile`` makes a server agree with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pydantic import JsonValue

from callboard.bus.subjects import LANES, Lane, Subjects

_SECOND: Final = 1_000_000_000  # JetStream counts in nanoseconds
_DAY: Final = 86_400.0
_KIB: Final = 1024
_MIB: Final = 1024 * _KIB

ENTRIES_PER_RUN: Final = 10_200
"""A run ends at 10,000 entries; the rest is for signals, so that a kill always fits."""
ACK_WAIT_ALONE: Final = 1.8
"""Seconds until the task of a dead worker goes to another one, on one node: with what follows it is less than 2 s."""
ACK_WAIT_CLUSTER: Final = 15.0
"""The same in a cluster: leader elections take up to 9 s and must not fence healthy workers."""


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Where the task queue refuses publishers."""

    max_msgs: int = 100_000
    max_bytes: int = 1024 * _MIB


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A stream. Fields are named as in the JetStream API; durations in seconds; -1 (``max_age``: 0) is no limit."""

    name: str
    subjects: tuple[str, ...]
    retention: Literal["limits", "workqueue"] = "limits"
    discard: Literal["old", "new"] = "old"
    discard_new_per_subject: bool = False
    max_msgs: int = -1
    max_bytes: int = -1
    max_age: float = 0.0
    max_msg_size: int = -1
    max_msgs_per_subject: int = -1
    duplicate_window: float = 120.0
    num_replicas: int = 1
    allow_direct: bool = True
    deny_delete: bool = False
    allow_msg_schedules: bool = False
    allow_msg_counter: bool = False
    allow_rollup_hdrs: bool = False
    allow_msg_ttl: bool = False
    republish: tuple[str, str] | None = None
    """(source, destination)."""

    def config(self) -> dict[str, JsonValue]:
        """The stream's configuration as the JetStream API takes it."""
        config: dict[str, JsonValue] = {
            "name": self.name,
            "subjects": list(self.subjects),
            "storage": "file",
            "retention": self.retention,
            "discard": self.discard,
            "discard_new_per_subject": self.discard_new_per_subject,
            "max_msgs": self.max_msgs,
            "max_bytes": self.max_bytes,
            "max_age": round(self.max_age * _SECOND),
            "max_msg_size": self.max_msg_size,
            "max_msgs_per_subject": self.max_msgs_per_subject,
            "duplicate_window": round(self.duplicate_window * _SECOND),
            "num_replicas": self.num_replicas,
            "allow_direct": self.allow_direct,
            "deny_delete": self.deny_delete,
            "allow_msg_schedules": self.allow_msg_schedules,
            "allow_msg_counter": self.allow_msg_counter,
        }
        for setting in ("allow_rollup_hdrs", "allow_msg_ttl"):  # the server sets them by itself where it needs them
            if getattr(self, setting):
                config[setting] = True
        if self.republish is not None:
            config["republish"] = {"src": self.republish[0], "dest": self.republish[1]}
        return config


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """A durable pull consumer with explicit acknowledgement, delivered again without end. Durations in seconds."""

    name: str
    filter_subjects: tuple[str, ...]
    ack_wait: float
    max_ack_pending: int
    headers_only: bool = False
    deliver_policy: Literal["all", "new"] = "all"
    """``new``: only what is stored after the consumer was made."""

    def config(self) -> dict[str, JsonValue]:
        """The consumer's configuration as the JetStream API takes it."""
        return {
            "durable_name": self.name,
            "filter_subjects": list(self.filter_subjects),
            "deliver_policy": self.deliver_policy,
            "ack_policy": "explicit",
            "ack_wait": round(self.ack_wait * _SECOND),
            "max_deliver": -1,
            "max_ack_pending": self.max_ack_pending,
            "headers_only": self.headers_only,
        }


def topology(subjects: Subjects, *, replicas: int = 1, limits: QueueLimits = QueueLimits()) -> tuple[StreamSpec, ...]:
    """Every stream under the prefix of ``subjects``."""
    at = subjects.prefix
    return (
        StreamSpec(
            subjects.stream("TASKS"),
            tuple(f"{at}.task.*.*.{lane}{run}" for lane in LANES for run in ("", ".*")),
            retention="workqueue",
            discard="new",
            max_msgs=limits.max_msgs,
            max_bytes=limits.max_bytes,
            num_replicas=replicas,
        ),
        StreamSpec(
            subjects.stream("RUNS"),
            (f"{at}.run.*.*",),
            discard="new",
            discard_new_per_subject=True,
            max_msgs_per_subject=ENTRIES_PER_RUN,
            max_msg_size=512 * _KIB,
            deny_delete=True,
            republish=(f"{at}.run.*.*", f"{at}.live.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}"),
            num_replicas=replicas,
        ),
        # schedules refuse discard new; a schedule replaces the earlier one of its subject, an acknowledged due goes
        StreamSpec(
            subjects.stream("TIMERS"),
            (f"{at}.timer.>", f"{at}.due.>"),
            retention="workqueue",
            allow_msg_schedules=True,
            num_replicas=replicas,
        ),
        *(
            StreamSpec(name, (kept,), max_age=30 * _DAY, max_bytes=256 * _MIB, num_replicas=replicas)
            for name, kept in ((subjects.stream("DEAD"), f"{at}.dead.>"), (subjects.stream("GUARDS"), f"{at}.guard.>"))
        ),
        *_shared_by_guards(subjects, replicas),
        # one message per chunk of a content, named by its hash: storing it again replaces it by itself
        StreamSpec(subjects.stream("BLOBS"), (f"{at}.blob.>",), max_msgs_per_subject=1, num_replicas=replicas),
    )


def _shared_by_guards(subjects: Subjects, replicas: int) -> tuple[StreamSpec, ...]:
    return (
        # counters: each message adds to its subject's total. A repeated Msg-Id adds nothing while it is remembered, and
        # its answer names the message that was first: what a lost worker had posted is read there
        StreamSpec(
            subjects.stream("LEDGER"),
            (f"{subjects.prefix}.ledger.>",),
            max_msgs_per_subject=50_000,
            duplicate_window=3_600.0,
            allow_msg_counter=True,
            num_replicas=replicas,
        ),
        # a bucket as `nats kv` knows them, for what guards share: the last value of a key counts
        StreamSpec(
            f"KV_{subjects.stream('STATE')}",
            (f"$KV.{subjects.stream('STATE')}.>",),
            discard="new",
            max_msgs_per_subject=1,
            allow_rollup_hdrs=True,
            allow_msg_ttl=True,
            num_replicas=replicas,
        ),
    )


def task_consumer(subjects: Subjects, agent: str, lane: Lane, *, ack_wait: float) -> ConsumerSpec:
    """The consumer on TASKS that all workers of an agent share for a lane."""
    return ConsumerSpec(f"{agent}_{lane}", subjects.tasks_of(agent, lane), ack_wait=ack_wait, max_ack_pending=20_000)


def feed_consumer(subjects: Subjects, *, ack_wait: float = ACK_WAIT_ALONE) -> ConsumerSpec:
    """The consumer on RUNS that all dispatchers share. In a cluster give it ``ACK_WAIT_CLUSTER``."""
    return ConsumerSpec(
        "dispatch", (f"{subjects.prefix}.run.*.*",), ack_wait=ack_wait, max_ack_pending=5_000, headers_only=True
    )


def due_consumer(subjects: Subjects, *, ack_wait: float = ACK_WAIT_ALONE) -> ConsumerSpec:
    """The consumer on TIMERS that all dispatchers share. In a cluster give it ``ACK_WAIT_CLUSTER``."""
    return ConsumerSpec("due", (f"{subjects.prefix}.due.>",), ack_wait=ack_wait, max_ack_pending=5_000)


def alerts_consumer(subjects: Subjects, webhook: str, *, ack_wait: float = ACK_WAIT_CLUSTER) -> ConsumerSpec:
    """The consumer on GUARDS that all processes share that post to a webhook. What came before it is no news."""
    everything = (f"{subjects.prefix}.guard.>",)
    return ConsumerSpec(f"alerts_{webhook}", everything, ack_wait=ack_wait, max_ack_pending=5_000, deliver_policy="new")
