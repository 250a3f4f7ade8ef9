"""Runs wait for their closed guards, on a real bus; what a guard process would say is said by the test."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio

from callboard.actors.worker import Worker
from callboard.bus.bus import open_bus
from callboard.bus.guard_messages import GuardEvent, Pulse
from callboard.bus.guard_words import Missing, Mode
from callboard.bus.subjects import RunKey
from callboard.clock import SystemClock
from callboard.guards.holds import holding
from callboard.guards.hosted import Hosted
from callboard.guards.kit import Guard, Seen, Verdict
from callboard.guards.sidecar.partitions import PARTITIONS
from callboard.guards.speaking import speaking
from callboard.tools.tool import tool
from tests.support.bus import bus_url
from tests.support.fleet import Fleet, fleet, ports, scripted

CLOCK = SystemClock()
FAR = 10**9


class Strict(Guard[None]):
    """Closed."""

    name = "strict"
    missing = "closed"

    def start(self, run: RunKey) -> None:
        return None

    def observe(self, state: None, seen: Seen) -> tuple[None, Sequence[Verdict]]:
        return None, ()


def strict(missing: Missing = "closed", mode: Mode = "enforce") -> Hosted:
    class Made(Strict):
        pass

    Made.missing = missing
    return Hosted("strict", lambda _: (Made(), mode))


@tool(effect="pure")
def look() -> str:
    """Look."""
    return "seen"


@tool(effect="critical")
def pay() -> str:
    """Pay."""
    return "paid"


def turns(name: str, count: int):
    return [{"tools": [{"name": name}]} for _ in range(count)] + [{"text": "done"}]


def agents():
    return scripted("a", *turns("look", 6), tools=(look,)), scripted(
        "p", *turns("look", 1)[:1], *turns("pay", 1), tools=(look, pay)
    )


@asynccontextmanager
async def held(board: Fleet, *hosted: Hosted) -> AsyncIterator[Worker]:
    """A worker whose runs wait for ``hosted``."""
    async with (
        open_bus(bus_url(), subjects=board.subjects, name="held") as own,
        speaking(own.guard_log) as say,
        holding(own.connection, hosted, say, CLOCK, worker="w1") as holds,
        Worker(board.agents, replace(ports(own), gates=holds), name="w1") as worker,
    ):
        await own.connection.barrier()
        yield worker


class Heart:
    """Pulses as a guard process does, for all partitions, up to ``watermark``; None: it is dead."""

    def __init__(self, board: Fleet, watermark: int | None = FAR) -> None:
        self.board, self.watermark = board, watermark

    async def beat(self) -> None:
        connection = self.board.bus.connection
        while True:
            for partition in range(PARTITIONS if self.watermark is not None else 0):
                pulse = Pulse(
                    guard="strict", replica="r1", partition=partition, partitions=PARTITIONS, watermark=self.watermark
                )
                await connection.publish(
                    connection.subjects.pulse("strict", partition), pulse.model_dump_json().encode()
                )
            await anyio.sleep(0.1)


async def said(board: Fleet, count: int) -> list[tuple[str, GuardEvent]]:
    with anyio.fail_after(20):
        while len(found := list(await board.bus.guard_log.events())) < count:
            await board.bus.connection.barrier()
    return found


def intents(state: Any) -> int:
    return len(state.calls)


async def test_a_run_whose_closed_guard_is_missing_starts_nothing_until_it_is_there_and_says_so():
    async with fleet(*agents(), workers=0) as board, anyio.create_task_group() as group, held(board, strict()):
        key = await board.submit("a", "go")
        (_, pause), *_ = await said(board, 1)
        assert (pause.guard, pause.action, pause.acted, pause.run) == ("strict", "pause", True, key.run)
        assert not await board.bus.journals.read(key)
        heart = Heart(board)
        group.start_soon(heart.beat)
        over = await board.over(key)
        assert over.outcome == "completed"
        assert [event.action for _, event in await said(board, 2)] == ["pause", "observe"]
        group.cancel_scope.cancel()


async def test_a_guard_that_dies_stops_its_runs_within_two_seconds_and_one_that_comes_back_lets_them_go_on():
    slow = scripted(
        "a", *({"tools": [{"name": "look"}], "delay": 0.2} for _ in range(15)), {"text": "done"}, tools=(look,)
    )
    async with fleet(slow, workers=0) as board, anyio.create_task_group() as group, held(board, strict()):
        heart = Heart(board)
        group.start_soon(heart.beat)
        key = await board.submit("a", "go")
        await board.until(key, intents)
        heart.watermark = None
        died = CLOCK.now()
        (_, pause), *_ = await said(board, 1)
        last = (await board.bus.journals.read(key))[-1]
        assert (last.at - died).total_seconds() < 2.5
        assert (await board.state(key)).terminal is None
        assert pause.sequence == last.sequence
        heart.watermark = FAR
        assert (await board.over(key, within=40)).outcome == "completed"
        group.cancel_scope.cancel()


async def test_a_run_gets_no_further_ahead_of_its_closed_guard_than_its_credit():
    async with fleet(*agents(), workers=0) as board, anyio.create_task_group() as group, held(board, strict()):
        heart = Heart(board, watermark=1)
        group.start_soon(heart.beat)
        key = await board.submit("a", "go")
        await said(board, 1)
        ahead = [entry for entry in await board.bus.journals.read(key) if entry.sequence > 1]
        assert len(ahead) == 9, "8 are allowed when the effect is asked for, and its own intent is the 9th"
        heart.watermark = FAR
        assert (await board.over(key)).outcome == "completed"
        group.cancel_scope.cancel()


async def test_before_a_critical_tool_the_guard_must_have_judged_all_but_one_entry():
    async with fleet(*agents(), workers=0) as board, anyio.create_task_group() as group, held(board, strict()):
        heart = Heart(board, watermark=1)
        group.start_soon(heart.beat)
        key = await board.submit("p", "go")
        (_, pause), *_ = await said(board, 1)
        assert pause.call == "m2.0"
        state = await board.state(key)
        assert [call.name for call in state.calls.values() if call.kind == "tool"] == ["look"]
        heart.watermark = FAR
        assert (await board.over(key)).outcome == "completed"
        group.cancel_scope.cancel()


async def test_a_held_run_can_be_killed_and_ends_at_its_deadline():
    code = scripted("a", {"text": "done"}), scripted("d", {"text": "done"}, deadline=0.5)
    async with fleet(*code, workers=0) as board, held(board, strict()):
        key = await board.submit("a", "go")
        await said(board, 1)
        receipt = await board.kill(key)
        assert (receipt.outcome, receipt.settled_at is not None) == ("killed", True)
        late = await board.over(await board.submit("d", "go"))
        assert late.terminal.problem.kind == "deadline"


async def test_runs_go_on_without_an_open_guard_and_say_so_once():
    async with fleet(*agents(), workers=0) as board, held(board, strict("open")):
        await anyio.sleep(1.6)  # a guard is missing only after 1.5 s without a pulse
        for _ in range(2):
            assert (await board.over(await board.submit("a", "go"))).outcome == "completed"
        ((tenant, event),) = await said(board, 1)
        assert (tenant, event.guard, event.action, event.acted) == ("_", "strict", "warn", False)
        assert "w1" in event.reason


async def test_a_guard_that_only_says_something_holds_nothing():
    async with fleet(*agents(), workers=0) as board, held(board, strict(mode="shadow")):
        assert (await board.over(await board.submit("a", "go"))).outcome == "completed"


async def test_runs_without_the_guard_are_not_held_and_a_guard_that_cannot_be_made_fails_as_it_says():
    def broken(spec: Any):
        raise ValueError("no")

    async with fleet(*agents(), workers=0) as board:
        async with held(board, Hosted("strict", lambda _: None, "closed"), Hosted("broken", broken)):
            assert (await board.over(await board.submit("a", "go"))).outcome == "completed"
        async with held(board, Hosted("broken", broken, "closed")):
            await board.submit("a", "go")
            assert (await said(board, 1))[-1][1].action == "pause"


async def test_what_is_no_pulse_and_other_partitions_are_not_heard():
    async with fleet(*agents(), workers=0) as board, held(board, strict()):
        connection = board.bus.connection
        odd = Pulse(guard="strict", replica="r1", partition=0, partitions=3, watermark=FAR)
        for payload in (b"{", odd.model_dump_json().encode()):
            await connection.publish(connection.subjects.pulse("strict", 0), payload)
        key = await board.submit("a", "go")
        await said(board, 1)
        assert not await board.bus.journals.read(key)
