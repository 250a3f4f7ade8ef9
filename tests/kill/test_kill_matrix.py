"""Kill a run wherever it can be, with real processes: the receipt is true, and nothing starts after it is settled."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from callboard.actors.receipt import Receipt
from callboard.bus.server import embedded_server
from callboard.bus.subjects import RunKey
from tests.chaos.starts import read_starts
from tests.chaos.zygote import Zygote, zygote
from tests.kill.stage import WITHIN, Stage, killed_on_its_intent, stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def forks() -> Iterator[Zygote]:
    with zygote() as made:
        yield made


async def test_a_run_killed_before_its_task_exists_never_starts(forks: Zygote, tmp_path: Path) -> None:
    async with stage(forks, tmp_path) as board:
        receipt = await board.kill(RunKey("default", "r"))
        assert (receipt.outcome, receipt.settled_by, receipt.in_doubt) == ("killed", "never_started", ())
        key = await board.submit("quick")
        await board.judge()
        assert (await board.state(key)).created is None
        assert not read_starts(tmp_path)


async def test_a_run_killed_in_the_queue_never_starts(forks: Zygote, tmp_path: Path) -> None:
    async with stage(forks, tmp_path, worker=False) as board:
        key = await board.submit("quick")
        receipt = await board.kill(key)
        assert (receipt.outcome, receipt.settled_by) == ("killed", "never_started")
        board.worker()
        await board.judge()
        assert (await board.state(key)).created is None
        assert not read_starts(tmp_path)


async def test_a_kill_in_a_model_call_is_settled_by_the_owner(forks: Zygote, tmp_path: Path) -> None:
    async with stage(forks, tmp_path) as board:
        key = await board.submit("in_model")
        await board.started()
        receipt = await board.killed_by_owner(key)
        assert receipt.in_doubt == ()
        await board.judge()


async def test_a_kill_in_an_async_tool_says_that_the_call_is_in_doubt(forks: Zygote, tmp_path: Path) -> None:
    async with stage(forks, tmp_path) as board:
        key = await board.submit("in_async")
        await board.started(2)
        receipt = await board.killed_by_owner(key)
        assert receipt.in_doubt == ("m1.0",)
        await board.judge()


async def test_a_kill_in_a_thread_tool_stops_the_thread(forks: Zygote, tmp_path: Path) -> None:
    async with stage(forks, tmp_path) as board:
        key = await board.submit("in_thread")
        await board.started(2)
        receipt = await board.killed_by_owner(key)
        assert receipt.in_doubt == ("m1.0",)
        last = (tmp_path / "r.alive").read_text()
        await board.judge()
        assert (tmp_path / "r.alive").read_text() == last
        assert receipt.running == ()


async def test_a_kill_in_a_subprocess_tool_leaves_no_process_behind(forks: Zygote, tmp_path: Path) -> None:
    async with stage(forks, tmp_path) as board:
        key = await board.submit("in_shell")
        await board.started(2)
        with anyio.fail_after(WITHIN):
            while not (group := _text(tmp_path / "r.group")):  # noqa: ASYNC110 - a file says nothing
                await anyio.sleep(0.01)
        os.killpg(int(group), 0)
        receipt = await board.killed_by_owner(key)
        assert receipt.in_doubt == ("m1.0",)
        assert not _living(int(group))
        await board.judge()


@pytest.mark.parametrize("agent", ["patient", "asker"])
async def test_a_run_killed_while_it_waits_is_settled_at_once(agent: str, forks: Zygote, tmp_path: Path) -> None:
    async with stage(forks, tmp_path) as board:
        key = await board.submit(agent)
        await board.until(key, lambda state: state.suspended)
        receipt = await board.kill(key)
        assert (receipt.outcome, receipt.settled_by, receipt.in_doubt) == ("killed", "suspended", ())
        assert receipt.settled_at == receipt.accepted_at
        await board.judge()
        assert not [start for start in read_starts(tmp_path) if start.call == "after#1"]


async def test_a_run_killed_while_a_person_is_asked_says_what_is_in_doubt(forks: Zygote, tmp_path: Path) -> None:
    async with stage(forks, tmp_path, worker=False) as board:
        doomed = board.worker("doomed")
        key = await board.submit("in_critical")
        await board.started(2)
        doomed.kill()
        await doomed.gone()
        board.worker()
        await board.until(key, lambda state: state.suspended)
        receipt = await board.kill(key)
        assert (receipt.outcome, receipt.in_doubt) == ("killed", ("m1.0",))
        await board.judge()
        assert len(read_starts(tmp_path)) == 2


async def test_runs_killed_while_their_worker_is_frozen_do_nothing_when_it_thaws(forks: Zygote, tmp_path: Path) -> None:
    async with stage(forks, tmp_path, worker=False) as board:
        frozen = board.worker()
        keys = [await board.submit("stepper", f"r{number}") for number in range(8)]
        for key in keys:
            await board.until(key, lambda state: len(state.calls) > 2)
        frozen.freeze()
        receipts: list[Receipt] = []

        async def kill(key: RunKey) -> None:
            receipts.append(await board.kill(key))

        async with anyio.create_task_group() as killers:
            for key in keys:
                killers.start_soon(kill, key)
        assert {receipt.outcome for receipt in receipts} == {"killed"}
        assert {receipt.settled_by for receipt in receipts} <= {"window", "suspended"}
        ended = {key: (await board.state(key)).entries for key in keys}
        frozen.thaw()
        await board.judge()
        for key in keys:
            late = (await board.bus.journals.read(key))[ended[key] :]
            assert {event.type for entry in late for event in entry.record.events} <= {
                "run.settled",
                "tool.late_result",
            }


@pytest.mark.parametrize("write", [1, 3, 5])
async def test_a_worker_frozen_on_its_intent_does_not_start_what_was_killed_meanwhile(
    write: int, forks: Zygote, tmp_path: Path
) -> None:
    async with stage(forks, tmp_path, worker=False) as board:
        await killed_on_its_intent(board, write)


async def test_a_kill_survives_the_death_of_the_server(forks: Zygote, tmp_path: Path) -> None:
    async with (
        embedded_server(tmp_path / "server") as server,
        stage(forks, tmp_path, url=server.url) as board,
        anyio.create_task_group() as group,
    ):
        key = await board.submit("in_async")
        await board.started(2)
        await server.kill()
        group.start_soon(board.kill, key)
        await anyio.lowlevel.checkpoint()
        await server.start()
        state = await board.until(key, lambda state: state.settled)
        assert state.outcome == "killed"
        await server.kill()
        await server.start()
        await board.judge()
        assert [receipt.outcome for receipt in board.receipts] == ["killed"]
        assert (await board.state(key)).outcome == "killed"


async def test_a_kill_ends_the_whole_tree_of_children(forks: Zygote, tmp_path: Path) -> None:
    async with stage(forks, tmp_path) as board:
        key = await board.submit("family")
        with anyio.fail_after(WITHIN):
            while not (leaves := await _leaves(board, key)):  # noqa: ASYNC110 - two generations below
                await anyio.sleep(0.02)
        await board.started(2)
        receipt = await board.kill(key)
        assert receipt.outcome == "killed"
        for leaf in leaves:
            assert (await board.state(leaf)).outcome == "killed"
        at = receipt.settled_at.timestamp() if receipt.settled_at else 0
        await board.judge()
        assert not [start for start in read_starts(tmp_path) if start.at > at]


async def test_a_plain_publish_from_any_client_is_a_kill(forks: Zygote, tmp_path: Path) -> None:
    async with stage(forks, tmp_path) as board:
        key = await board.submit("in_async")
        await board.started(2)
        await _publish(board.role.urls[0], f"{board.role.prefix}.run.default.r", b'{"type":"run.killed","by":"netcat"}')
        state = await board.until(key, lambda state: state.settled)
        assert state.outcome == "killed"
        await board.judge()


async def test_two_kills_at_once_both_get_a_true_receipt(forks: Zygote, tmp_path: Path) -> None:
    async with stage(forks, tmp_path) as board:
        key = await board.submit("in_async")
        await board.started(2)
        async with anyio.create_task_group() as killers:
            for _ in range(2):
                killers.start_soon(board.kill, key)
        assert [receipt.outcome for receipt in board.receipts] == ["killed", "killed"]
        await board.judge()


async def test_a_kill_after_the_end_says_that_it_came_too_late(forks: Zygote, tmp_path: Path) -> None:
    async with stage(forks, tmp_path) as board:
        key = await board.submit("quick")
        await board.until(key, lambda state: state.terminal)
        receipt = await board.kill(key)
        assert (receipt.outcome, receipt.killed, receipt.in_doubt) == ("completed", False, ())
        await board.judge()


async def _leaves(board: Stage, key: RunKey) -> list[RunKey]:
    """The grandchildren, once both are under way."""
    (child,) = (await board.state(key)).children or (None,)
    below = (await board.state(RunKey("default", child))).children if child else ()
    leaves = [RunKey("default", each) for each in below]
    states = [await board.state(leaf) for leaf in leaves]
    return leaves if len(leaves) == 2 and all(state.owner for state in states) else []


async def _publish(url: str, subject: str, payload: bytes) -> None:
    """What a client in any language does, with nothing but a socket."""
    host, _, port = url.removeprefix("nats://").partition(":")
    async with await anyio.connect_tcp(host, int(port)) as client:
        await client.receive()
        await client.send(
            b'CONNECT {"verbose":false}\r\nPUB %s %d\r\n%s\r\nPING\r\n' % (subject.encode(), len(payload), payload)
        )
        while b"PONG" not in await client.receive():
            pass


def _text(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


def _living(group: int) -> list[str]:
    """The processes of a group that are no zombies."""
    stats = (stat.read_text().rpartition(")")[2].split() for stat in Path("/proc").glob("[0-9]*/stat"))
    return [state for state, _, its_group, *_ in stats if int(its_group) == group and state not in "ZX"]
