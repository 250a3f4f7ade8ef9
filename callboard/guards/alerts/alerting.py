"""Shell: alerts. Guard events that somebody wants to know of are posted to webhooks, and acknowledged after that.

At least once: an event whose post was answered is not posted again by this process; after a crash it may be, with the
same id. Several processes share the events of a webhook.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import anyio

from callboard.actors.actor import Run
from callboard.bus.bus import Bus
from callboard.bus.guard_feed import HeldEvent, JetStreamGuardFeed
from callboard.bus.ports import Graveyard
from callboard.bus.topology import ACK_WAIT_CLUSTER, alerts_consumer
from callboard.config.alerts import Alerts, Webhook
from callboard.errors import BusError
from callboard.guards.alerts.digest import Alert, Backoff, Digest, digest, wanted
from callboard.guards.alerts.post import Post, posting
from callboard.log import bound, get_logger

log = get_logger(__name__)
_BATCH: Final = 256
_HELD: Final = 2_000
"""Events that wait for the next post at most; the others wait in the stream."""
_WAIT_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 0.25
_REMEMBERED: Final = 10_000
_BEATS: Final = 3
"""Heartbeats within one ``ack_wait``."""
_DEFAULT_BACKOFF: Final = Backoff()


def alerts_child(
    bus: Bus, alerts: Alerts, *, ack_wait: float = ACK_WAIT_CLUSTER, backoff: Backoff = _DEFAULT_BACKOFF
) -> Run:
    """Post to all webhooks of ``alerts``, until cancelled. Ready: nothing that is said from now on is overlooked.

    ``ack_wait``: seconds until another process takes over what this one holds.
    """
    subjects = bus.connection.subjects

    async def one(name: str, webhook: Webhook, feed: JetStreamGuardFeed) -> None:
        async with posting(webhook, bus.clock) as post:
            alerting = _Alerting(name, feed, post, webhook=webhook, backoff=backoff, prefix=subjects.prefix)
            with bound(webhook=name):
                await alerting.run(bus.graveyard, beat=ack_wait / _BEATS)

    async def run(ready: anyio.Event) -> None:
        async with anyio.create_task_group() as group:
            for name, webhook in alerts.webhooks.items():
                feed = JetStreamGuardFeed(bus.pulls, bus.graveyard, alerts_consumer(subjects, name, ack_wait=ack_wait))
                await feed.open()
                group.start_soon(one, name, webhook, feed)
            ready.set()
            await anyio.sleep_forever()

    return run


class _Alerting:
    """The events of one webhook that this process holds."""

    def __init__(
        self, name: str, feed: JetStreamGuardFeed, post: Post, *, webhook: Webhook, backoff: Backoff, prefix: str
    ) -> None:
        self._name = name
        self._feed = feed
        self._post = post
        self._webhook = webhook
        self._backoff = backoff
        self._prefix = prefix
        self._held: dict[int, HeldEvent] = {}
        self._told: OrderedDict[str, None] = OrderedDict()
        self._next = 0.0

    async def run(self, graveyard: Graveyard, *, beat: float) -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._heartbeat, beat)
                while True:
                    await self._collect()
                    await self._tell(graveyard)
                    self._next = anyio.current_time() + self._webhook.every
        finally:
            with anyio.move_on_after(1.0, shield=True):
                await _each(tuple(self._held.values()), HeldEvent.release)

    async def _collect(self) -> None:
        """Until there is something to tell, and it is time to."""
        while not self._held or anyio.current_time() < self._next:
            left = self._next - anyio.current_time()
            if len(self._held) >= _HELD:
                await anyio.sleep(left)
                continue
            try:
                wait = min(left, _WAIT_SECONDS) if self._held else _WAIT_SECONDS
                for event in await self._feed.pull(batch=_BATCH, wait=wait):
                    await self._take(event)
            except BusError as error:
                log.warning("cannot read what guards say, trying again", error=str(error))
                await anyio.sleep(_RETRY_SECONDS)

    async def _take(self, event: HeldEvent) -> None:
        if wanted(event.event, self._webhook.on) and _alert(event).id not in self._told:
            self._held[event.sequence] = event
        else:
            await _each((event,), HeldEvent.acknowledge)

    async def _tell(self, graveyard: Graveyard) -> None:
        """Post what is held, until it is taken or has been refused too often."""
        events = tuple(self._held.values())
        told = digest([_alert(event) for event in events], prefix=self._prefix)
        attempt, refusals = 0, 0
        while True:
            attempt += 1
            answer = await self._post(told)
            refusals += answer.kind == "refused"
            given_up = refusals >= self._backoff.refusals
            if answer.kind == "taken" or (given_up and await self._buried(graveyard, told, answer.why)):
                break
            pause = self._backoff.pause(attempt, told.id, retry_after=answer.retry_after)
            log.warning("an alert was not taken", id=told.id, why=answer.why, attempt=attempt, again_in=round(pause, 1))
            await anyio.sleep(pause)
        if answer.kind == "taken":
            log.info("alerts sent", id=told.id, alerts=told.count, attempt=attempt)
        for event in events:
            self._told[_alert(event).id] = None
            del self._held[event.sequence]
        await _each(events, HeldEvent.acknowledge)
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)

    async def _buried(self, graveyard: Graveyard, told: Digest, why: str) -> bool:
        log.error("alerts were refused and are given up", id=told.id, alerts=told.count, why=why)
        message = f"the webhook {self._name!r} answered with {why}"
        try:
            await graveyard.bury(("-", "-"), told.id, "alert_refused", message, told.body)
        except BusError as error:
            log.warning("cannot keep what was refused, trying again", error=str(error))
            return False
        return True

    async def _heartbeat(self, every: float) -> None:
        while True:
            await anyio.sleep(every)
            await _each(tuple(self._held.values()), HeldEvent.progress)


def _alert(event: HeldEvent) -> Alert:
    return Alert(event.tenant, event.event)


async def _each(events: Sequence[HeldEvent], do: Callable[[HeldEvent], Awaitable[None]]) -> None:
    """What is lost with the bus is delivered again: then it is known, or posted with the same id."""
    try:
        for event in events:
            await do(event)
    except BusError as error:
        log.warning("the bus is away, alerts may come twice", error=str(error))
