"""Guards that a worker asks, in real runs on a real bus."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from hypothesis import given

from callboard.actors.fold import EMPTY
from callboard.actors.function import worker
from callboard.actors.gate import Ask, Gates, Grant
from callboard.actors.passage import answer_of
from callboard.actors.worker import Worker
from callboard.bus.bus import Bus, open_bus
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.guard_words import Action, Mode
from callboard.bus.messages import ModelRequested, RunKilled, RunResumed, ToolRequested
from callboard.bus.subjects import RunKey
from callboard.clock import SystemClock
from callboard.config.spec import AgentSpec
from callboard.errors import BusUnreachable, ToolError
from callboard.guards.hosted import Hosted
from callboard.guards.kit import Guard, Seen, Verdict
from callboard.guards.reducer_gate import ReducerGates
from callboard.guards.speaking import speaking
from callboard.tools.tool import tool
from tests.support.bus import bus_url
from tests.support.fleet import Fleet, fleet, function, ports, scripted
from tests.support.journals import few, journals

CLOCK = SystemClock()
KEY = RunKey("t1", "r1")


class Limit(Guard[int]):
    """Says ``action`` of every call of ``what`` beyond the first ``most``."""

    name = "limit"
    gates = True

    def __init__(self, action: Action, most: int = 0, *, what: str = "book", seconds: float | None = None) -> None:
        self.action, self.most, self.what, self.seconds = action, most, what, seconds

    def start(self, run: RunKey) -> int:
        return 0

    def observe(self, state: int, seen: Seen) -> tuple[int, Sequence[Verdict]]:
        event = seen.event
        named = event.tool if isinstance(event, ToolRequested) else "model" if isinstance(event, ModelRequested) else ""
        if named != self.what:
            return state, ()
        if state < self.most:
            return state + 1, ()
        return state + 1, (Verdict(self.action, f"{self.what} {state + 1} times", seconds=self.seconds),)


def hosted(guard: Guard[Any], mode: Mode = "enforce") -> Hosted:
    return Hosted(guard.name, lambda _: (guard, mode))


@tool(effect="at_most_once")
def book() -> str:
    """Book it."""
    return "booked"


def booking(turns: int, name: str = "a", **more: Any):
    """An agent that books ``turns`` times, then says that it is done."""
    return scripted(
        name, *({"tools": [{"name": "book"}]} for _ in range(turns)), {"text": "done"}, tools=(book,), **more
    )


@asynccontextmanager
async def gated(board: Fleet, make: Callable[[Bus, Any], Gates]) -> AsyncIterator[Worker]:
    """A worker with gates, on a connection of its own."""
    async with (
        open_bus(bus_url(), subjects=board.subjects, name="gated") as own,
        speaking(own.guard_log) as say,
        Worker(board.agents, replace(ports(own), gates=make(own, say)), name="gated") as worker,
    ):
        yield worker


def reducers(*guards: Hosted) -> Callable[[Bus, Any], Gates]:
    return lambda bus, say: ReducerGates(guards, bus.journals, say, CLOCK)


async def events_of(board: Fleet, count: int = 1) -> list[GuardEvent]:
    """What guards said; they say it behind the back of the run."""
    with anyio.fail_after(20):
        while len(found := [event for _, event in await board.bus.guard_log.events()]) < count:
            await board.bus.connection.barrier()
    return found


async def test_a_denied_tool_call_never_starts_and_the_model_reads_why():
    async with fleet(booking(3), workers=0) as board, gated(board, reducers(hosted(Limit("deny", 1)))):
        over = await board.over(await board.submit("a", "go"))
        assert over.outcome == "completed"
        calls = [call for call in over.calls.values() if call.kind == "tool"]
        assert [(call.problem and call.problem.kind, call.result.value) for call in calls] == [
            (None, "booked"), ("denied", None), ("denied", None)]  # fmt: skip
        assert calls[1].problem.message == "book 2 times"
        said = await events_of(board, 2)
        assert [(event.guard, event.action, event.acted, event.call) for event in said] == [
            ("limit", "deny", True, call.call) for call in calls[1:]]  # fmt: skip


async def test_the_second_of_two_calls_of_one_turn_is_judged_with_the_first_in_mind():
    twice = scripted("a", {"tools": [{"name": "book"}, {"name": "book"}]}, {"text": "done"}, tools=(book,))
    async with fleet(twice, workers=0) as board, gated(board, reducers(hosted(Limit("deny", 1)))):
        over = await board.over(await board.submit("a", "go"))
        calls = sorted((call for call in over.calls.values() if call.kind == "tool"), key=lambda call: call.call)
        assert [call.problem and call.problem.kind for call in calls] == [None, "denied"]


async def test_a_run_whose_model_call_is_denied_ends_as_what_its_guard_says():
    async with fleet(booking(3), workers=0) as board, gated(board, reducers(hosted(Limit("deny", 2, what="model")))):
        over = await board.over(await board.submit("a", "go"))
        assert (over.outcome, over.terminal.guard, over.terminal.problem.kind) == ("failed", "limit", "denied")
        assert sum(call.kind == "model" for call in over.calls.values()) == 2


async def test_a_gate_that_says_kill_ends_the_run_before_the_effect_starts():
    async with fleet(booking(3), workers=0) as board, gated(board, reducers(hosted(Limit("kill", 1)))):
        key = await board.submit("a", "go")
        over = await board.over(key)
        assert isinstance(over.terminal, RunKilled)
        assert (over.terminal.guard, over.terminal.reason) == ("limit", "book 2 times")
        assert sum(call.kind == "tool" for call in over.calls.values()) == 1
        receipt = await board.kill(key)
        assert (receipt.outcome, receipt.in_doubt, receipt.settled_at is not None) == ("killed", (), True)
        assert [event.action for event in await events_of(board)] == ["kill"]


async def test_a_gate_that_is_asked_again_before_its_kill_is_noticed_kills_no_second_time():
    thrice = scripted("a", {"tools": [{"name": "book"}] * 3}, loop=True, tools=(book,))
    async with fleet(thrice, workers=0) as board, gated(board, reducers(hosted(Limit("kill", 1)))):
        key = await board.submit("a", "go")
        assert (await board.over(key)).outcome == "killed"
        await board.until(key, lambda state: state.settled)
        entries = await board.bus.journals.read(key)
        kills = [event for entry in entries for event in entry.record.events if isinstance(event, RunKilled)]
        assert [kill.guard for kill in kills] == ["limit"]


async def test_a_throttled_effect_waits_and_then_starts():
    async with fleet(booking(2), workers=0) as board, gated(board, reducers(hosted(Limit("throttle", 1, seconds=0.3)))):
        over = await board.over(await board.submit("a", "go"))
        first, second = (call for call in over.calls.values() if call.kind == "tool")
        assert (over.outcome, first.problem, second.problem) == ("completed", None, None)
        (said,) = await events_of(board)
        entries = await board.bus.journals.read(RunKey("default", said.run))
        stored = {entry.sequence: entry.at for entry in entries}
        assert (stored[second.sequence] - stored[first.sequence]).total_seconds() > 0.29


async def test_a_throttled_effect_waits_no_longer_than_the_deadline():
    slow = hosted(Limit("throttle", seconds=3_600))
    async with fleet(booking(1, deadline=0.5), workers=0) as board, gated(board, reducers(slow)):
        over = await board.over(await board.submit("a", "go"))
        assert over.terminal.problem.kind == "deadline"


async def test_a_gate_that_says_pause_holds_the_run_before_the_effect_until_somebody_resumes_it_and_then_once():
    async with fleet(booking(2), workers=0) as board, gated(board, reducers(hosted(Limit("pause")))):
        key = await board.submit("a", "go")
        for booked in range(2):
            state = await board.until(key, lambda now, booked=booked: now.suspended and len(booked_in(now)) == booked)
            assert (state.pauses["guard-limit"].guard, state.pauses["guard-limit"].until) == ("limit", None)
            await board.signal(key, RunResumed(name="guard-limit"))
        assert len(booked_in(await board.over(key))) == 2
        assert [event.action for event in await events_of(board, 2)] == ["pause", "pause"]


async def test_a_pause_of_a_gate_that_ends_by_itself_lets_the_effect_start():
    async with fleet(booking(1), workers=0) as board, gated(board, reducers(hosted(Limit("pause", seconds=0.3)))):
        over = await board.over(await board.submit("a", "go"))
        assert (over.outcome, over.claims, len(booked_in(over))) == ("completed", 1, 1)
        assert over.pauses["guard-limit"].until is not None


def booked_in(state: Any) -> list[Any]:
    return [call for call in state.calls.values() if call.kind == "tool"]


async def test_in_shadow_everything_starts_and_is_only_said():
    async with fleet(booking(2), workers=0) as board, gated(board, reducers(hosted(Limit("kill"), "shadow"))):
        over = await board.over(await board.submit("a", "go"))
        assert over.outcome == "completed"
        assert all(call.problem is None for call in over.calls.values())
        assert [(event.action, event.acted, event.mode) for event in await events_of(board, 2)] == [
            ("kill", False, "shadow")] * 2  # fmt: skip


async def test_a_denied_step_raises_and_the_function_goes_on():
    @worker("f")
    async def twice(task, run):
        out = []
        for _ in range(2):
            try:
                out.append(await run.step("book", lambda: "booked"))
            except ToolError as error:
                out.append(error.kind)
        return out

    async with fleet(function(twice), workers=0) as board, gated(board, reducers(hosted(Limit("deny", 1)))):
        over = await board.over(await board.submit("f", "go"))
        assert over.terminal.result.value == ["booked", "denied"]


async def test_a_step_that_was_denied_is_denied_on_every_play():
    @worker("f")
    async def cautious(task, run):
        try:
            return await run.step("book", lambda: "booked")
        except ToolError as error:
            await run.sleep(2.5)
            return error.kind

    async with fleet(function(cautious), workers=0) as board:
        async with gated(board, reducers(hosted(Limit("deny")))):
            key = await board.submit("f", "go")
            await board.until(key, lambda state: state.suspended)
        async with gated(board, reducers()):
            over = await board.over(key)
        assert (over.claims, over.terminal.result.value) == (2, "denied")


async def test_a_worker_that_takes_over_judges_with_all_that_was_before_it():
    reached, free = anyio.Event(), anyio.Event()

    @tool(effect="idempotent")
    async def hang() -> str:
        """Wait until it is let go."""
        reached.set()
        await free.wait()
        return "hung"

    code = scripted(
        "a",
        {"tools": [{"name": "book"}]},
        {"tools": [{"name": "hang"}]},
        {"tools": [{"name": "book"}]},
        {"text": "done"},
        tools=(book, hang),
    )
    gates = reducers(hosted(Limit("deny", 1)))
    async with fleet(code, workers=0) as board:
        async with gated(board, gates) as first:
            key = await board.submit("a", "go")
            await reached.wait()
            await board.drain(first)
            free.set()
        async with gated(board, gates):
            over = await board.over(key)
        assert over.claims == 2
        tools = [call.problem and call.problem.kind for call in over.calls.values() if call.kind == "tool"]
        assert tools == [None, None, "denied"]


async def test_a_guard_that_cannot_be_made_is_a_guard_that_fails():
    def broken(spec: AgentSpec):
        raise ValueError("no such threshold")

    async with fleet(booking(1), workers=0) as board:
        async with gated(board, reducers(Hosted("limit", broken))):
            assert (await board.over(await board.submit("a", "go"))).outcome == "completed"
        async with gated(board, reducers(Hosted("limit", broken, "closed"))):
            over = await board.over(await board.submit("a", "go"))
        assert (over.terminal.guard, over.terminal.problem.kind) == ("limit", "denied")
        assert "no such threshold" in (await events_of(board, 2))[0].reason


# ---- without a bus ------------------------------------------------------------------------------------------------
class Cautious(Guard[int]):
    """What it says depends on all that it has seen."""

    name = "cautious"
    gates = True

    def start(self, run: RunKey) -> int:
        return 0

    def observe(self, state: int, seen: Seen) -> tuple[int, Sequence[Verdict]]:
        state = (state * 31 + len(seen.event.type) + seen.sequence) % 1_009
        return state, (Verdict("deny" if state % 2 else "warn", str(state)),)


class Silent(Guard[None]):
    """Not asked in the worker."""

    name = "silent"

    def start(self, run: RunKey) -> None:
        return None

    def observe(self, state: None, seen: Seen) -> tuple[None, Sequence[Verdict]]:
        return None, (Verdict("deny", "never"),)


@dataclass
class Ear:
    heard: list[GuardEvent] = field(default_factory=list)

    def __call__(self, tenant: str, event: GuardEvent) -> None:
        self.heard.append(event)


def admit(gate: Any, call: str) -> Any:
    return anyio.run(answer_of, gate, Ask(KEY, AgentSpec(name="a"), EMPTY, "tool", call, 1, "book"))


@few
@given(journals)
def test_it_makes_no_difference_when_a_gate_is_asked_for_the_first_time(entries):
    ear = Ear()
    gates = ReducerGates([hosted(Cautious(), "shadow"), hosted(Silent())], None, ear, CLOCK)  # type: ignore[arg-type]
    early, late = gates.enter(KEY), gates.enter(KEY)
    assert admit(early, "t0") == Grant()
    for entry in entries:
        early.folded(entry.sequence, entry.record)
        late.folded(entry.sequence, entry.record)
    ear.heard.clear()
    admit(early, "t1")
    admit(late, "t1")
    assert {event.guard for event in ear.heard} <= {"cautious"}
    half = len(ear.heard) // 2
    assert [event.reason for event in ear.heard[:half]] == [event.reason for event in ear.heard[half:]]


async def test_what_is_said_while_the_bus_is_away_holds_nobody(caplog):
    away, stored = anyio.Event(), []

    class Log:
        async def publish(self, tenant: str, event: GuardEvent) -> None:
            if event.id == "lost":
                away.set()
                raise BusUnreachable("away")
            stored.append((tenant, event.id))

    def event(name: str) -> GuardEvent:
        return GuardEvent(id=name, at=CLOCK.now(), guard="g", action="deny", reason="no")

    with anyio.fail_after(10):
        async with speaking(Log()) as say:  # type: ignore[arg-type]
            say("t", event("lost"))
            await away.wait()
            say("t", event("kept"))
    assert stored == [("t", "kept")]


async def test_a_guard_that_says_too_much_loses_its_last_words():
    never = anyio.Event()

    class Stuck:
        async def publish(self, tenant: str, event: GuardEvent) -> None:
            await never.wait()

    event = GuardEvent(id="x", at=CLOCK.now(), guard="g", action="deny", reason="no")
    with anyio.fail_after(10):
        async with speaking(Stuck()) as say:  # type: ignore[arg-type]
            for _ in range(1_100):
                say("t", event)
