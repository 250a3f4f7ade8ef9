import json
import logging
import math
import socket
from asyncio import all_tasks
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.bus.client import Connection, connect
from callboard.bus.connection import encode, parse_headers
from callboard.bus.server import EmbeddedServer, embedded_server
from callboard.errors import BusError, BusRefused, BusUnreachable, ConfigError, InvalidMessage
from tests.support.bus import bus_url, fresh_bus
from tests.support.wire import configured_server, silent_server, talking_server


class Inbox:
    """Collects what is delivered and wakes who waits for it."""

    def __init__(self) -> None:
        self.messages = []
        self._changed = anyio.Event()

    def deliver(self, message) -> None:
        self.messages.append(message)
        self._changed.set()
        self._changed = anyio.Event()

    async def wait_for(self, count: int):
        with anyio.fail_after(20):
            while len(self.messages) < count:
                await self._changed.wait()
        return self.messages


@asynccontextmanager
async def own_server(tmp_path):
    """A server that a test may kill, and a connection to it."""
    async with (
        embedded_server(tmp_path, durability="relaxed") as server,
        connect(server.url, name="test") as connection,
    ):
        yield server, connection


async def back(connection: Connection, server: EmbeddedServer) -> None:
    """Kill the server, start it again, and wait until the connection is back."""
    again = anyio.Event()
    with connection.on_reconnect(again.set):
        await server.kill()
        await server.start()
        with anyio.fail_after(10):
            await again.wait()


async def works(connection: Connection) -> bool:
    """Request, publish and subscription all still work: the client is not deaf."""
    inbox, subject = Inbox(), connection.new_inbox()
    async with connection.subscribe(subject, inbox.deliver):
        await connection.barrier()
        await connection.publish(subject, b"ping")
        (message,) = await inbox.wait_for(1)
    answer = await connection.request("$JS.API.INFO", timeout=5)
    return message.payload == b"ping" and "config" not in json.loads(answer.payload)


# --- messages


async def test_a_message_arrives_with_its_headers_in_their_own_case():
    async with fresh_bus() as bus:
        inbox, subject = Inbox(), bus.new_inbox()
        async with bus.subscribe(subject, inbox.deliver):
            await bus.publish(subject, b"x", headers={"Nats-Thing": "1: 2", "nats-thing": "", "Ü".encode().hex(): "ü"})
            (message,) = await inbox.wait_for(1)
    assert (message.subject, message.payload, message.reply) == (subject, b"x", "")
    assert message.headers == {"Nats-Thing": "1: 2", "nats-thing": "", "c39c": "ü"}


async def test_a_request_gets_the_answer_of_the_responder():
    async with fresh_bus() as bus, connect(bus_url(), name="responder") as responder:
        asked = Inbox()
        async with responder.subscribe("svc.*", asked.deliver, queue="q"), anyio.create_task_group() as tasks:
            await responder.barrier()

            async def answer() -> None:
                (message,) = await asked.wait_for(1)
                await responder.publish(message.reply, b"42", headers={"A": "b"})

            tasks.start_soon(answer)
            reply = await bus.request("svc.one", b"?", headers={"H": "v"}, timeout=5)
    assert (reply.payload, reply.headers) == (b"42", {"A": "b"})
    assert asked.messages[0].headers == {"H": "v"}


async def test_a_request_is_on_its_way_before_its_answer_is_waited_for():
    async with fresh_bus() as bus, connect(bus_url(), name="responder") as responder:
        asked = Inbox()
        async with responder.subscribe("svc.*", asked.deliver), anyio.create_task_group() as tasks:
            await responder.barrier()

            async def answer() -> None:
                for message in reversed(await asked.wait_for(2)):
                    await responder.publish(message.reply, message.subject.encode())

            tasks.start_soon(answer)
            with bus.requested("svc.one", timeout=20) as one:
                two = await bus.request("svc.two", timeout=20)
                assert ((await one()).payload, two.payload) == (b"svc.one", b"svc.two")


async def test_a_queue_group_gets_each_message_once():
    async with fresh_bus() as bus:
        first, second, subject = Inbox(), Inbox(), bus.new_inbox()
        async with bus.subscribe(subject, first.deliver, queue="q"), bus.subscribe(subject, second.deliver, queue="q"):
            for _ in range(100):
                await bus.publish(subject, b"")
            await bus.barrier()
        assert len(first.messages) + len(second.messages) == 100


async def test_request_many_collects_until_done_and_keeps_the_last():
    async with fresh_bus() as bus:
        stream, prefix = bus.subjects.stream("RUNS"), bus.subjects.prefix
        for n in range(3):
            await bus.request(f"{prefix}.run.t.r", b"%d" % n, timeout=5)
        ask = json.dumps({"batch": 10, "seq": 1, "next_by_subj": f"{prefix}.run.t.r"}).encode()
        replies = await bus.request_many(
            f"$JS.API.DIRECT.GET.{stream}", ask, timeout=5, done=lambda reply: reply.headers.get("Status") == "204"
        )
    assert [reply.payload for reply in replies] == [b"0", b"1", b"2", b""]


async def test_a_raising_done_reaches_the_caller_and_not_the_read_loop():
    async with fresh_bus() as bus:
        with pytest.raises(ZeroDivisionError):
            await bus.request_many("$JS.API.INFO", b"", timeout=5, done=lambda reply: 1 / 0 > 1)
        assert await works(bus)


async def test_after_the_context_of_a_subscription_nothing_is_delivered():
    async with fresh_bus() as bus:
        inbox, subject = Inbox(), bus.new_inbox()
        async with bus.subscribe(subject, inbox.deliver):
            pass
        await bus.publish(subject, b"late")
        await bus.barrier()
        assert inbox.messages == []


async def test_after_a_barrier_the_next_message_of_another_connection_is_never_missed():
    async with fresh_bus() as bus, connect(bus_url(), name="other") as other:
        for _ in range(300):
            inbox, subject = Inbox(), bus.new_inbox()
            async with bus.subscribe(subject, inbox.deliver):
                await bus.barrier()
                await other.publish(subject, b"next")
                await inbox.wait_for(1)
                assert len(inbox.messages) == 1


async def test_a_thousand_subscriptions_cost_no_task_each():
    async with fresh_bus() as bus, AsyncExitStack() as stack:
        before, inbox, head = len(all_tasks()), Inbox(), bus.new_inbox()
        for n in range(1_000):
            await stack.enter_async_context(bus.subscribe(f"{head}.{n}", inbox.deliver))
        assert len(all_tasks()) == before
        for n in range(1_000):
            await bus.publish(f"{head}.{n}", b"")
        await inbox.wait_for(1_000)


# --- the traps


async def test_a_cancelled_barrier_or_request_leaves_the_client_alive():
    async with fresh_bus() as bus:
        for _ in range(100):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await bus.barrier()
            with anyio.move_on_after(0.0001):
                await bus.request("$JS.API.INFO", timeout=5)
        assert await works(bus)


async def test_a_flush_of_nats_py_that_is_cancelled_before_its_pong_leaves_the_client_alive():
    async with fresh_bus() as bus:
        for _ in range(20):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await bus._client.rtt()
        await bus.barrier()
        assert await works(bus)
        assert bus._client.stats["reconnects"] == 0


async def test_a_publish_loop_under_back_pressure_can_be_cancelled():
    async with fresh_bus() as bus:
        for _ in range(20):
            published = 0
            with anyio.fail_after(20), anyio.move_on_after(0.01) as scope:
                while True:
                    await bus.publish("nobody.listens", bytes(100_000))
                    published += 1
                    if published % 100 == 0:
                        await anyio.lowlevel.checkpoint()
            assert scope.cancelled_caught
        assert await works(bus)


async def test_a_server_that_does_not_read_makes_publish_wait_and_the_wait_can_be_cancelled():
    async with silent_server() as url, connect(url, name="test") as connection:
        with anyio.fail_after(10), anyio.move_on_after(1) as scope:
            while True:
                await connection.publish("a", bytes(500_000))
        assert scope.cancelled_caught


async def test_what_a_deliver_raises_is_logged_and_the_subscription_goes_on(caplog):
    async with fresh_bus() as bus:
        inbox, subject = Inbox(), bus.new_inbox()

        def deliver(message) -> None:
            inbox.deliver(message)
            raise ValueError("a faulty callback")

        async with bus.subscribe(subject, deliver):
            with caplog.at_level(logging.ERROR, logger="callboard"):
                for _ in range(3):
                    await bus.publish(subject, b"x")
                await inbox.wait_for(3)
        assert [record.message for record in caplog.records] == [f"deliver failed for a message on {subject!r}"] * 3
        assert await works(bus)


async def test_a_raising_call_on_reconnect_does_not_stop_the_others_or_the_client(tmp_path, caplog):
    async with own_server(tmp_path) as (server, connection):

        def fails() -> None:
            raise ValueError("a faulty callback")

        with connection.on_reconnect(fails), caplog.at_level(logging.CRITICAL, logger="callboard"):
            await back(connection, server)
            await back(connection, server)
        assert await works(connection)


@pytest.mark.parametrize("headers", [None, {"A": "b"}])
async def test_what_is_above_max_payload_is_refused_headers_included_and_the_client_lives(headers):
    async with fresh_bus() as bus:
        fits = bus.max_payload - (len(encode("a", b"", headers=headers, reply="", limit=10_000)) if headers else 0)
        for too_much in (bytes(bus.max_payload), bytes(bus.max_payload - 5)) if headers else (bytes(fits + 1),):
            with pytest.raises(BusError, match="max_payload") as refused:
                await bus.publish("a", too_much, headers=headers)
            assert not refused.value.retryable
        await bus.publish("a", bytes(fits), headers=headers)
        assert await works(bus)


@pytest.mark.parametrize(
    "subject", ["", " ", "a b", "a\r\nPUB x 0\r\n", "a..b", ".a", "a.", "a.*", "a.>", "a\x00b", "\ud800"]
)
async def test_a_subject_that_is_not_one_literal_is_refused_before_anything_is_sent(subject):
    async with fresh_bus() as bus:
        with pytest.raises(InvalidMessage):
            await bus.publish(subject, b"")
        with pytest.raises(InvalidMessage):
            await bus.request(subject, b"", timeout=5)
        if "*" not in subject and ">" not in subject:
            with pytest.raises(InvalidMessage):
                async with bus.subscribe(subject, print):
                    pass
        assert await works(bus)


async def test_a_subject_that_is_longer_than_a_control_line_is_refused_and_one_that_just_fits_is_not():
    async with fresh_bus() as bus:
        with pytest.raises(InvalidMessage, match="too long"):
            await bus.publish("a" * 4_096, b"")
        await bus.publish("a" * 4_030, b"x", headers={"A": "b"})
        assert await works(bus)


@pytest.mark.parametrize("headers", [{"A": "b\r\nC: d"}, {"A\r\nB": "c"}, {"A:": "b"}, {"": "b"}, {"A": "\ud800"}])
async def test_a_header_cannot_smuggle_another_line(headers):
    async with fresh_bus() as bus:
        with pytest.raises(InvalidMessage, match="header"):
            await bus.publish("a", b"", headers=headers)


async def test_nobody_listening_is_told_at_once_and_may_be_retried():
    async with fresh_bus() as bus:
        with anyio.fail_after(20), pytest.raises(BusUnreachable, match=r"nobody answers on 'no\.one'") as failed:
            await bus.request("no.one", timeout=60)
        assert failed.value.retryable


async def test_no_answer_in_time_is_a_retryable_error_and_not_a_timeout_error():
    async with fresh_bus() as bus:
        subject = bus.new_inbox()
        async with bus.subscribe(subject, lambda message: None):
            with pytest.raises(BusUnreachable, match="no answer") as failed:
                await bus.request(subject, timeout=0.05)
        assert failed.value.retryable
        assert not bus._waiting


async def test_a_permission_violation_is_the_answer_to_the_waiting_request(tmp_path):
    user = '{user: u, password: p, permissions: {publish: {deny: ["Secret.>"]}}}'
    async with (
        configured_server(tmp_path, f"authorization: {{ users: [{user}] }}") as address,
        connect(f"nats://u:p@{address}", name="test") as connection,
    ):
        with anyio.fail_after(20), pytest.raises(BusRefused, match=r"no publish to 'secret\.stuff'"):
            await connection.request("Secret.Stuff", timeout=60)
        await connection.barrier()


# --- the server comes and goes


async def test_after_a_crash_of_the_server_requests_subscriptions_and_barriers_work_again(tmp_path):
    async with own_server(tmp_path) as (server, connection):
        inbox = Inbox()
        async with connection.subscribe("there.before", inbox.deliver):
            await back(connection, server)
            await connection.barrier()
            await connection.publish("there.before", b"after")
            await inbox.wait_for(1)
        assert await works(connection)


async def test_a_request_under_way_when_the_server_dies_fails_at_once(tmp_path):
    async with (
        own_server(tmp_path) as (server, connection),
        connection.subscribe("silent", lambda message: None),
        anyio.create_task_group() as tasks,
    ):

        async def ask() -> None:
            with anyio.fail_after(20), pytest.raises(BusUnreachable, match="went away") as failed:
                await connection.request("silent", timeout=60)
            assert failed.value.retryable

        tasks.start_soon(ask)
        await connection.barrier()
        await server.kill()


async def test_a_request_while_the_server_is_away_is_sent_when_it_is_back(tmp_path):
    async with own_server(tmp_path) as (server, connection):
        await server.kill()
        await gone(connection)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.start)
            assert (await connection.request("$JS.API.INFO", timeout=10)).payload


async def test_a_request_that_was_never_sent_says_so_and_is_never_sent(tmp_path):
    async with own_server(tmp_path) as (server, connection):
        inbox = Inbox()
        async with connection.subscribe("late", inbox.deliver):
            await server.kill()
            await gone(connection)
            with pytest.raises(BusUnreachable, match="was not sent"):
                await connection.request("late", timeout=0.05)
            await server.start()
            await connection.barrier(10)
            await connection.publish("late", b"last")
            assert [message.payload for message in await inbox.wait_for(1)] == [b"last"]


async def test_publishes_while_the_server_is_away_are_bounded(tmp_path):
    async with own_server(tmp_path) as (server, connection):
        await server.kill()
        await gone(connection)
        for _ in range(20):
            await connection.publish("a", bytes(100_000))
        with pytest.raises(BusUnreachable, match="away"):
            await connection.publish("a", bytes(100_000))
        await server.start()
        await connection.barrier(10)
        assert await works(connection)


async def gone(connection: Connection) -> None:
    with anyio.fail_after(20):
        while connection.is_connected:
            await anyio.lowlevel.checkpoint()


async def test_closing_with_something_unsent_while_the_server_is_away_is_silent(tmp_path):
    async with own_server(tmp_path) as (server, connection):
        await server.kill()
        await gone(connection)
        await connection.publish("a", b"kept for it")
    with pytest.raises(BusUnreachable):
        await connection.publish("a", b"")


async def test_what_was_published_last_is_sent_before_the_connection_closes():
    inbox = Inbox()
    async with connect(bus_url(), name="hears") as hears, hears.subscribe("said.last", inbox.deliver):
        await hears.barrier()
        async with connect(bus_url(), name="says") as says:
            await says.publish("said.last", b"x" * 100_000)
        assert len((await inbox.wait_for(1))[0].payload) == 100_000


async def test_a_subscription_made_while_the_server_is_away_works_when_it_is_back(tmp_path):
    async with own_server(tmp_path) as (server, connection):
        await server.kill()
        await gone(connection)
        inbox = Inbox()
        async with connection.subscribe("made.away", inbox.deliver):
            await server.start()
            await connection.barrier(10)
            await connection.publish("made.away", b"x")
            await inbox.wait_for(1)
            await connection.barrier()
            assert len(inbox.messages) == 1


async def test_a_subscription_that_has_ended_does_not_come_back_with_the_server(tmp_path):
    async with own_server(tmp_path) as (server, connection):
        inbox = Inbox()
        async with connection.subscribe("ended", inbox.deliver):
            pass
        await back(connection, server)
        with pytest.raises(BusUnreachable, match="nobody answers"):
            await connection.request("ended", timeout=5)
        assert inbox.messages == []


async def test_a_protocol_error_leads_to_a_reconnect_and_not_to_a_deaf_client():
    async with talking_server(b"-ERR \r\n") as url, connect(url, name="test") as connection:
        again = anyio.Event()
        with connection.on_reconnect(again.set), anyio.fail_after(20):
            await connection.publish("say.something.strange", b"")
            await again.wait()


async def test_a_closed_connection_ends_what_waits_and_refuses_what_comes():
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(connect(bus_url(), name="test"))
        subject = connection.new_inbox()
        await stack.enter_async_context(connection.subscribe(subject, lambda message: None))
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                with pytest.raises(BusUnreachable, match="closed"):
                    await connection.request(subject, timeout=60)

            tasks.start_soon(ask)
            await connection.barrier()
            await stack.aclose()
            await connection.closed()
        for call in (connection.request("a", timeout=1), connection.publish("a", b""), connection.barrier()):
            with pytest.raises(BusUnreachable):
                await call
        assert not connection.is_connected


# --- connecting


async def test_no_server_is_unreachable_and_the_message_names_the_url_and_what_to_do():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        url = f"nats://user:hidden@{address}"
        with pytest.raises(BusUnreachable) as failed:
            async with connect(url, name="test", timeout=0.4):
                pass
    text = str(failed.value)
    assert address in text
    assert "callboard up" in text
    assert "CALLBOARD_URL" in text
    assert "hidden" not in text


async def test_wrong_credentials_are_refused_and_not_shown(tmp_path):
    async with configured_server(tmp_path, "authorization: { user: u, password: p }") as address:
        with pytest.raises(BusRefused, match="credentials") as failed:
            async with connect(f"nats://u:wrong@{address}", name="test", timeout=1.5):
                pass
    assert "wrong" not in str(failed.value)


async def test_a_url_that_is_none_is_the_users_to_mend():
    with pytest.raises(ConfigError, match="url"):
        async with connect("nats://[", name="test"):
            pass


async def test_a_server_that_is_too_old_is_refused_with_both_versions():
    async with talking_server(version="2.10.0") as url:
        with pytest.raises(BusRefused, match=r"2\.10\.0.*2\.12\.0"):
            async with connect(url, name="test"):
                pass


async def test_a_server_without_jetstream_is_refused():
    async with talking_server(jetstream=False) as url:
        with pytest.raises(BusRefused, match="no JetStream"):
            async with connect(url, name="test", timeout=1.0):
                pass


async def test_a_server_that_accepts_and_says_nothing_is_unreachable():
    async with silent_server(greets=False) as url:
        with pytest.raises(BusUnreachable):
            async with connect(url, name="test", timeout=0.2):
                pass


async def test_the_connection_knows_its_server():
    async with fresh_bus() as bus:
        assert bus.server_version >= (2, 12, 0)
        assert bus.max_payload >= 512 * 1024
        assert bus.is_connected


# --- the codec


@given(st.binary(max_size=200))
def test_parsing_a_header_block_never_raises(block):
    parse_headers(b"NATS/1.0" + block)


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z0-9-]{1,20}", fullmatch=True),
        st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"]), max_size=50).map(str.strip),
        min_size=1,
    )
)
def test_headers_survive_the_wire(headers):
    command = encode("a", b"payload", headers=headers, reply="", limit=math.inf)
    control, _, rest = command.partition(b"\r\n")
    head = int(control.split()[2])
    assert parse_headers(rest[:head]) == headers
    assert rest[head:] == b"payload\r\n"


def test_an_inline_status_becomes_headers():
    assert parse_headers(b"NATS/1.0 404 No Messages\r\nA: b\r\n\r\n") == {
        "Status": "404",
        "Description": "No Messages",
        "A": "b",
    }
