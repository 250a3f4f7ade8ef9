"""Alerts on a real bus, posted to a real HTTP server on loopback."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from callboard.actors.actor import running
from callboard.bus import storage
from callboard.bus.bus import Bus, open_bus
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.server import embedded_server
from callboard.config.alerts import Alerts
from callboard.guards.alerts.alerting import alerts_child
from callboard.guards.alerts.digest import Backoff, signature
from tests.guards.alerts.receiver import Answer, Receiver, receiving
from tests.support.bus import bus_url, fresh_bus

SECRET = "a-secret-of-the-webhook"
SOON = Backoff(first=0.01, longest=0.05)
T0 = datetime(2026, 11, 21, tzinfo=UTC)


def to(receiver: Receiver, *, every: float = 0.01, timeout: float = 10.0, **more) -> Alerts:
    hook = {"url": receiver.url, "secret": SECRET, "every": every, "timeout": timeout, **more}
    return Alerts.model_validate({"webhooks": {"ops": hook}})


def kill(number: int, **fields) -> GuardEvent:
    return GuardEvent(id=f"k{number}", at=T0, guard="loop", action="kill", reason="round in circles", **fields)


@asynccontextmanager
async def alone() -> AsyncIterator[Bus]:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="alerts") as bus:
        yield bus


@asynccontextmanager
async def alerting(bus: Bus, alerts: Alerts, **more) -> AsyncIterator[None]:
    """On a connection of its own."""
    async with (
        open_bus(bus_url(), subjects=bus.connection.subjects, name="alerting") as own,
        running(alerts_child(own, alerts, **{"backoff": SOON, **more})),
    ):
        yield


async def _consumer(bus: Bus) -> dict:
    stream = bus.connection.subjects.stream("GUARDS")
    return await storage.api(bus.connection, f"CONSUMER.INFO.{stream}.alerts_ops", {})


BEFORE_A_REDELIVERY = 12
"""Seconds. The server delivers again what was not acknowledged after 15."""


async def everything_is_acknowledged(bus: Bus, *, within: float = 30) -> None:
    with anyio.fail_after(within):
        while True:
            info = await _consumer(bus)
            if not info["num_pending"] and not info["num_ack_pending"]:
                return
            await anyio.lowlevel.checkpoint()


async def test_a_kill_is_posted_signed_and_a_warning_is_not() -> None:
    async with alone() as bus, receiving() as receiver, alerting(bus, to(receiver)):
        warning = GuardEvent(id="w", at=T0, guard="loop", action="warn", reason="hm")
        await bus.guard_log.publish("acme", warning)
        await bus.guard_log.publish("acme", kill(1, run="r1"))
        (post,) = await receiver.until(1)
        await everything_is_acknowledged(bus, within=BEFORE_A_REDELIVERY)
    assert (post.path, post.id) == ("/hook", "acme.loop.k1")
    assert [alert["run"] for alert in post.told["alerts"]] == ["r1"]
    signed = post.headers["callboard-signature"]
    assert signed == signature(SECRET, post.body, int(signed[2 : signed.index(",")]))
    assert SECRET not in str(post)


async def test_what_is_not_taken_is_posted_again_with_the_same_id_until_it_is() -> None:
    async with alone() as bus, receiving() as receiver:
        late = anyio.Event()
        slow, throttled = Answer(200, after=late), Answer(429, {"Retry-After": "0"})
        receiver.answers = [Answer(500), Answer(0), throttled, slow, Answer(503), Answer(200)]
        async with alerting(bus, to(receiver, timeout=1.0)):
            await bus.guard_log.publish("acme", kill(1))
            posts = await receiver.until(6)
            await everything_is_acknowledged(bus)
        late.set()
    assert {post.id for post in posts} == {"acme.loop.k1"}
    assert len({post.body for post in posts}) == 1


async def test_a_refused_alert_is_given_up_logged_and_kept_in_the_graveyard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with alone() as bus, receiving() as receiver:
        receiver.answers = [Answer(400), Answer(404), Answer(302, {"Location": "http://127.0.0.1:1/steal"})]
        async with alerting(bus, to(receiver)):
            await bus.guard_log.publish("acme", kill(1))
            await receiver.until(3)
            await everything_is_acknowledged(bus)
            await bus.guard_log.publish("acme", kill(2))
            await receiver.until(4)
            await everything_is_acknowledged(bus)
        (letter,) = await bus.graveyard.letters()
    assert [post.id for post in receiver.posts] == ["acme.loop.k1"] * 3 + ["acme.loop.k2"]
    assert (letter.reason, letter.subject, letter.message) == (
        "alert_refused", "acme.loop.k1", "the webhook 'ops' answered with status 302",
    )  # fmt: skip
    assert "alerts were refused and are given up" in caplog.text
    assert SECRET not in caplog.text
    assert receiver.url not in caplog.text


async def test_many_alerts_within_the_interval_are_one_post() -> None:
    async with alone() as bus, receiving() as receiver, alerting(bus, to(receiver, every=2.0)):
        await bus.guard_log.publish("acme", kill(0))
        await receiver.until(1)
        async with anyio.create_task_group() as group:
            for number in range(1, 41):
                group.start_soon(bus.guard_log.publish, "acme", kill(number))
        first, second = await receiver.until(2)
        await everything_is_acknowledged(bus)
    assert (first.told["count"], second.told["count"]) == (1, 40)
    assert second.told["counts"] == {"loop.kill": 40}
    assert second.id.startswith("digest.")


async def test_the_same_event_stored_twice_is_told_once() -> None:
    async with alone() as bus, receiving() as receiver, alerting(bus, to(receiver)):
        subject = bus.connection.subjects.guard("acme", "loop", "kill")
        body = kill(1).model_dump_json().encode()
        for _ in range(3):
            await storage.publish(bus.connection, subject, body, headers={})
        await receiver.until(1)
        await bus.guard_log.publish("acme", kill(2))
        await receiver.until_told({"acme.loop.k1", "acme.loop.k2"})
        await everything_is_acknowledged(bus)
    assert [alert["id"] for post in receiver.posts for alert in post.told["alerts"]].count("acme.loop.k1") == 1


async def test_a_process_that_ends_before_the_answer_leaves_the_alert_to_the_next() -> None:
    async with alone() as bus, receiving() as receiver:
        never = anyio.Event()
        receiver.answers = [Answer(after=never)]
        async with alerting(bus, to(receiver)):
            await bus.guard_log.publish("acme", kill(1))
            await receiver.until(1)
        async with alerting(bus, to(receiver)):
            with anyio.fail_after(BEFORE_A_REDELIVERY):  # the first one has given it back
                await receiver.until(2)
            await everything_is_acknowledged(bus)
        never.set()
    assert [post.id for post in receiver.posts] == ["acme.loop.k1"] * 2


async def test_a_process_that_dies_is_replaced_by_another_that_shares_the_webhook() -> None:
    async with alone() as bus, receiving() as receiver:
        never = anyio.Event()
        receiver.answers = [Answer(after=never)]
        async with (
            open_bus(bus_url(), subjects=bus.connection.subjects, name="doomed") as own,
            running(alerts_child(own, to(receiver), backoff=SOON, ack_wait=1.0)),
        ):
            await bus.guard_log.publish("acme", kill(1))
            await receiver.until(1)
            await own.connection.close()  # from here on it can say nothing, as after kill -9
            async with alerting(bus, to(receiver), ack_wait=1.0):
                await receiver.until(2)
                await everything_is_acknowledged(bus)
        never.set()
    assert [post.id for post in receiver.posts] == ["acme.loop.k1"] * 2


async def test_no_alert_is_lost_while_processes_come_and_go_and_the_receiver_fails() -> None:
    ids = {f"acme.loop.k{number}" for number in range(60)}
    async with alone() as bus, receiving() as receiver:
        async with alerting(bus, to(receiver)):
            pass  # the consumer is there from now on
        receiver.answers = [Answer(status) for status in (500, 204, 0, 204, 503, 429, 204) * 3]
        for number in range(0, 60, 20):
            async with alerting(bus, to(receiver)), alerting(bus, to(receiver)):
                for each in range(number, number + 20):
                    await bus.guard_log.publish("acme", kill(each))
                await receiver.until(len(receiver.posts) + 1)
        async with alerting(bus, to(receiver)):
            await everything_is_acknowledged(bus)
    assert sum(post.told["count"] for post in receiver.posts) >= 60
    listed = {alert["id"] for post in receiver.posts for alert in post.told["alerts"]}
    assert listed == ids


async def test_a_new_webhook_is_not_told_of_the_past() -> None:
    async with alone() as bus, receiving() as receiver:
        await bus.guard_log.publish("acme", kill(1))
        async with alerting(bus, to(receiver)):
            await bus.guard_log.publish("acme", kill(2))
            await receiver.until(1)
            await everything_is_acknowledged(bus)
    assert [post.id for post in receiver.posts] == ["acme.loop.k2"]


async def test_what_is_no_guard_event_is_buried_and_stops_nothing() -> None:
    async with alone() as bus, receiving() as receiver, alerting(bus, to(receiver)):
        prefix = bus.connection.subjects.prefix
        good = kill(9).model_dump_json().encode()
        for subject, body in (
            ("guard.acme.loop.kill", b"no json"),
            ("guard.acme.loop", good),
            ("guard.acme.loop.warn", good),
        ):
            await storage.publish(bus.connection, f"{prefix}.{subject}", body, headers={})
        await bus.guard_log.publish("acme", kill(1))
        await receiver.until(1)
        await everything_is_acknowledged(bus)
        letters = await bus.graveyard.letters()
    assert [letter.reason for letter in letters] == ["bad_shape", "bad_subject", "bad_subject"]


async def test_alerts_outlive_the_bus(tmp_path: Path) -> None:
    """It is away while an alert is posted."""
    async with (
        receiving() as receiver,
        embedded_server(tmp_path, durability="relaxed") as server,
        open_bus(server.url, name="bus") as bus,
        open_bus(server.url, name="alerting") as own,
    ):
        gate = anyio.Event()
        receiver.answers = [Answer(after=gate)]
        async with running(alerts_child(own, to(receiver), ack_wait=1.0, backoff=SOON)):
            await bus.guard_log.publish("acme", kill(1))
            await receiver.until(1)
            await server.kill()
            gate.set()
            await server.restart()
            await bus.guard_log.publish("acme", kill(2))
            await receiver.until_told({"acme.loop.k1", "acme.loop.k2"})
            await everything_is_acknowledged(bus)
    assert {alert["id"] for post in receiver.posts for alert in post.told["alerts"]} == {"acme.loop.k1", "acme.loop.k2"}
