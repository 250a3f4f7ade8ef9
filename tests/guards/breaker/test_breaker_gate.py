"""The breakers of several workers on the real bus."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest

from callboard.actors.gate import Ending, Grant, Refusal
from callboard.actors.passage import answer_of, ended
from callboard.bus.subjects import RunKey
from callboard.config.guards import Breaker
from callboard.guards.breaker import circuit, gate
from callboard.guards.breaker.circuit import Circuit
from callboard.guards.breaker.names import line
from tests.guards.breaker.model_fleet import ASK
from tests.guards.breaker.stage import FAILED, GOOD, MODEL, TOOL, eventually, workers

CRASHED = Ending("failed", 0.1, error="tool_crashed")


async def test_the_failures_of_one_worker_protect_all_others():
    async with workers(4) as board:
        for at in range(4):
            assert isinstance(await board.call(at, GOOD), Grant)
        await board.fail(0)
        await board.until("open")  # how soon that is, the benchmark says
        answers = [await board.call(at, FAILED) for at in range(4)]
        assert all(isinstance(answer, Refusal) for answer in answers)


async def test_a_model_call_on_an_open_circuit_is_told_when_to_ask_again():
    async with workers(2) as board:
        await board.fail(0)
        await board.until("open")
        refusal = await board.call(1, GOOD)
        circuit = board.gates[1].circuit(MODEL)
        assert (refusal.guard, refusal.problem.kind, refusal.wrap_up) == ("breaker", "circuit_open", False)
        assert circuit.until <= refusal.retry_at <= circuit.until + timedelta(seconds=4.1), "a third of the 10 to 12 s"
        assert "p/m" in refusal.problem.message
        assert "failed several times in a row" in refusal.problem.message


async def test_a_tool_on_an_open_circuit_says_what_else_to_do_and_only_to_its_tenant():
    crashed = Ending("failed", 0.1, error="tool_crashed")
    async with workers(1) as board:
        await board.fail(0, ask=TOOL, ending=crashed)
        refusal = await board.call(0, GOOD, ask=TOOL)
        assert refusal.problem.kind == "circuit_open"
        assert "another way" in refusal.problem.hint
        others = TOOL._replace(key=RunKey("other", "r"))
        assert isinstance(await board.call(0, GOOD, ask=others), Grant)
        assert await board.events(1, tenant="t") == [("warn", "open")]


async def test_what_a_tool_refuses_by_itself_opens_nothing_and_neither_do_steps():
    async with workers(1) as board:
        for error in ("bad_arguments", "not_found", "bad_result", "tool_unavailable"):
            await board.fail(0, times=20, ask=TOOL, ending=Ending("failed", 0.1, error=error))
        step = ASK._replace(kind="step", name="s")
        await board.fail(0, times=20, ask=step, ending=Ending("failed", 0.1, error="step_raised"))
        assert isinstance(await board.call(0, GOOD, ask=TOOL), Grant)


async def test_of_100_that_ask_when_the_probe_is_due_one_goes_through():
    async with workers(4) as board:
        await board.fail(0)
        await board.until("open")
        board.pass_to_probe()
        answers = []

        async def one(at: int) -> None:
            answers.append(await answer_of(board.gates[at], ASK))

        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(one, number % 4)
        assert [type(answer) for answer in answers if isinstance(answer, Grant)] == [gate.Probe]
        assert sum(isinstance(answer, Refusal) for answer in answers) == 99


async def test_a_probe_that_goes_well_closes_the_circuit_for_all_and_each_change_is_said():
    async with workers(2) as board:
        await board.fail(0)
        await board.until("open")
        board.pass_to_probe()
        await board.call(1, GOOD)
        await board.until("ramp")
        board.clock.ahead += 4
        await board.call(0, GOOD)
        await board.until("closed")
        said = await board.events(4)
        assert sorted(said) == sorted(
            [("warn", "open"), ("observe", "half_open"), ("observe", "ramp"), ("observe", "closed")]
        )


async def test_the_lease_of_a_probe_is_renewed_while_its_call_runs(monkeypatch):
    monkeypatch.setattr(gate, "LEASE", 0.03)
    async with workers(2) as board:
        await board.fail(0)
        await board.until("open")
        board.pass_to_probe()
        answer = await answer_of(board.gates[0], ASK)
        assert isinstance(answer, gate.Probe)
        await board.until("half_open")
        first = board.gates[1].circuit(MODEL).until
        await eventually(lambda: board.gates[1].circuit(MODEL).until > first)
        await ended(board.gates[0], ASK, answer, FAILED)
        await board.until("open")
        assert board.gates[1].circuit(MODEL).trips == 2


async def test_two_workers_that_open_at_the_same_time_open_once():
    async with workers(2) as board:
        await board.fail(0, times=4)
        await board.fail(1, times=4)
        async with anyio.create_task_group() as group:
            group.start_soon(board.call, 0, FAILED)
            group.start_soon(board.call, 1, FAILED)
        await board.until("open")
        await board.until("open")
        assert board.gates[0].circuit(MODEL).trips == 1
        assert await board.events(1) == [("warn", "open")]


async def test_without_the_bucket_a_worker_has_its_own_breaker(monkeypatch):
    monkeypatch.setattr(gate, "_BUCKET_SECONDS", 0.05)
    async with workers(2) as board:
        stream = f"KV_{board.buses[0].connection.subjects.stream('STATE')}"
        await board.buses[0].connection.request(f"$JS.API.STREAM.DELETE.{stream}", timeout=5)
        await board.fail(0)
        assert isinstance(await board.call(0, GOOD), Refusal)
        assert isinstance(await board.call(1, GOOD), Grant)
        board.pass_to_probe()
        assert isinstance(await board.call(0, GOOD), gate.Probe)
        assert board.gates[0].circuit(MODEL).phase == "ramp"


async def test_the_value_of_a_circuit_that_makes_no_sense_is_a_closed_one():
    async with workers(1) as board:
        await board.buses[0].states.put(*MODEL.key, value=b"{")
        await board.fail(0)
        await board.until("open")


async def test_a_circuit_that_was_removed_by_hand_is_closed_when_the_probe_is_due():
    async with workers(1) as board:
        await board.fail(0)
        await board.events(1)
        subject = board.buses[0].connection.subjects.state(*MODEL.key)
        await board.buses[0].connection.request(subject, b"", headers={"KV-Operation": "DEL"}, timeout=5)
        board.pass_to_probe()
        assert type(await board.call(0, GOOD)) is Grant
        assert board.gates[0].circuit(MODEL) == Circuit()
        await board.fail(0)
        await board.until("open")


@pytest.mark.parametrize("mode", ["warn", "shadow"])
async def test_a_breaker_that_does_not_enforce_says_so_and_refuses_nothing(mode):
    async with workers(1, Breaker(mode=mode)) as board:
        await board.fail(0, times=20)
        await board.until("open")
        assert await board.events(1) == [("warn", "open")]
        (_, event), *_ = await board.buses[0].guard_log.events(guard="breaker")
        assert (event.acted, event.mode) == (False, mode)


async def test_a_worker_that_starts_knows_the_circuits_that_are_open():
    async with workers(1) as board:
        circuit = Circuit(phase="open", trips=1, cause="streak", until=board.clock.now() + timedelta(minutes=1))
        await board.buses[0].states.put(*MODEL.key, value=circuit.model_dump_json().encode())
        async with gate.breaker_gates(board.buses[0], Breaker(), worker="new") as fresh:
            await eventually(lambda: fresh.circuit(MODEL).phase == "open")
            assert isinstance(await answer_of(fresh, ASK), Refusal)


async def test_a_worker_forgets_tools_that_nobody_calls_and_the_bucket_forgets_what_is_closed(monkeypatch):
    monkeypatch.setattr(gate, "_SWEEP", 0.02)
    monkeypatch.setattr(circuit, "CLOSED_FOR", 1.0)
    async with workers(2) as board:
        asks = [TOOL._replace(name=f"tool {number}") for number in range(2_000)]
        for ask in asks:
            await board.call(0, GOOD, ask=ask)
        await board.fail(0, ask=asks[0], ending=CRASHED)
        await board.until("open", ask=asks[0])
        assert board.gates[0].size > 2_000
        board.clock.ahead += 2 * circuit.IDLE
        await eventually(lambda: board.gates[0].size <= 1)  # the open one, as the bucket has it
        assert isinstance(await board.call(1, GOOD, ask=asks[0]), Grant), "its probe was due"
        await board.until("ramp", ask=asks[0])
        board.clock.ahead += 5
        await board.call(1, GOOD, ask=asks[0])
        where = line(asks[0])

        async def gone() -> bool:
            return await board.buses[0].states.get(*where.key) is None

        with anyio.fail_after(20):
            while not await gone():  # noqa: ASYNC110 - nobody is told
                await anyio.sleep(0.05)
        board.clock.ahead += 2 * circuit.IDLE
        await eventually(lambda: board.gates[0].size == board.gates[1].size == 0)
        await board.fail(0, ask=asks[0], ending=CRASHED)
        await board.until("open", ask=asks[0])
