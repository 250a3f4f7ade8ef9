"""Shell: the raw floor: a bare nats-py loop that does what a run needs of JetStream, and nothing else.

The client publishes a task; the worker fetches it, appends so many records to a subject of the run by compare-and-set,
and acknowledges. No models, no fold, no recovery, no dispatcher, no republished feed.
"""

from __future__ import annotations

import anyio
import nats
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig

TASKS = "FLOOR_TASKS"
RUNS = "FLOOR_RUNS"
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
AT_ONCE = 32
"""Runs that the worker has under way; more are not faster."""


async def prepare(js: JetStreamContext) -> None:
    """Make the two streams, with the server's own defaults on files."""
    await js.add_stream(StreamConfig(name=TASKS, subjects=["floor.task"], retention=RetentionPolicy.WORK_QUEUE))
    await js.add_stream(StreamConfig(name=RUNS, subjects=["floor.run.*"]))


async def publish(js: JetStreamContext, *, appends: int, size: int) -> None:
    """One task: so many appends of so many bytes."""
    await js.publish("floor.task", b"%d %d" % (appends, size))


async def serve(url: str) -> None:
    """The worker: one process, ``AT_ONCE`` runs under way. Until killed."""
    connection = await nats.connect(url)
    js = connection.jetstream()
    pull = await js.pull_subscribe(
        "floor.task", durable="floor", stream=TASKS, config=ConsumerConfig(max_ack_pending=20_000)
    )
    async with anyio.create_task_group() as group:
        print("ready", flush=True)
        for _ in range(AT_ONCE):
            group.start_soon(_loop, js, pull)


async def _loop(js: JetStreamContext, pull: JetStreamContext.PullSubscription) -> None:
    while True:
        try:
            (task,) = await pull.fetch(1, timeout=5)
        except NatsTimeoutError:
            continue
        appends, size = map(int, task.data.split())
        subject, payload, last = f"floor.run.{task.metadata.sequence.stream}", b"x" * size, 0
        for _ in range(appends):
            last = (await js.publish(subject, payload, headers={_EXPECTED: str(last)})).seq
        await task.ack()
