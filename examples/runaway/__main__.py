"""`make runaway`: three agents misbehave, and what stops each of them, live.

Everything is real: a nats-server, a supervisor, a worker process, a guard process beside it. Only the models are
scripted. The same events come from `nats sub 'cb.guard.>'` or `callboard guards watch`.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from rich.console import Console

from callboard import Board, Run, connect
from callboard.bus.guard_messages import GuardEvent
from examples.runaway.screen import Screen, summary
from examples.runaway.story import Tale, judged, told

HERE = Path(__file__).parent
LATEST_START = 60.0
LONGEST = 60.0
CAP = 1.0
DOES = {
    "looper": "asks the same question for ever",
    "spender": "reads one more page, at $0.08 each",
    "hanger": "waits for a fax that does not come",
}


async def main() -> int:
    out = Console(highlight=False)
    out.rule("[bold]runaway[/] · a nats-server, a supervisor, a worker and a guard process are starting")
    with tempfile.TemporaryDirectory(prefix="callboard-runaway-") as folder:
        async with deployment(Path(folder)) as board:
            tales = {agent: Tale(agent, does) for agent, does in DOES.items()}
            with Screen(out, tales, cap=CAP) as screen:
                await watch(board, tales, screen)
    out.print(summary(list(tales.values())))
    for tale in tales.values():
        if tale.partial:
            out.print(f"\nWhat [bold]{tale.agent}[/] had is kept: [italic]{tale.partial}[/]")
    stopped = all(tale.end not in {"", "completed"} for tale in tales.values())
    out.rule("[green]all three were stopped[/]" if stopped else "[red]somebody still runs[/]")
    return 0 if stopped else 1


async def watch(board: Board, tales: dict[str, Tale], screen: Screen) -> None:
    """Start one run of each agent; follow them, and what the guards say, until all are over."""
    agents: dict[str, str] = {}

    def heard(message: object) -> None:
        event = GuardEvent.model_validate_json(message.payload)
        if event.run in agents:
            screen.judge(judged(event, agents))

    async def follow(agent: str, run: Run) -> None:
        began = anyio.current_time()
        async for entry in run.events():
            tales[agent] = told(tales[agent], entry.event, anyio.current_time() - began)
            screen.tell(tales[agent])

    connection = board.bus.connection
    async with connection.subscribe(f"{connection.subjects.prefix}.guard.>", heard):
        await connection.barrier()
        with anyio.move_on_after(LONGEST):
            async with anyio.create_task_group() as group:
                for agent in tales:
                    run = await board.submit(agent, "go")
                    agents[run.id] = agent
                    group.start_soon(follow, agent, run)


@asynccontextmanager
async def deployment(folder: Path) -> AsyncIterator[Board]:
    """`callboard up` with a worker and a guard process, and a client."""
    data, log = folder / "data", folder / "up.log"
    process = start(data, log)
    try:
        with anyio.move_on_after(LATEST_START) as starting:
            while b"up: " not in log.read_bytes():
                if process.poll() is not None:
                    raise SystemExit(f"`callboard up` ended early:\n{log.read_text()}")
                await anyio.sleep(0.05)
        if starting.cancelled_caught:
            raise SystemExit(f"`callboard up` is not up after {LATEST_START:g} s. It said:\n{log.read_text()}")
        async with connect(data_dir=data) as board:
            yield board
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def start(data: Path, log: Path) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "callboard", "up", str(HERE / "agents.yaml"), "--workers", "1", "--data", str(data)]
    with log.open("wb") as lines:
        return subprocess.Popen(argv, stdout=lines, stderr=lines)


if __name__ == "__main__":
    sys.exit(anyio.run(main))
