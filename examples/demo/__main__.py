"""`make demo`: a run survives the `kill -9` of its worker without repeating a step, then a runaway is killed.

Everything is real: a nats-server, a supervisor, two worker processes, SIGKILL. Only the model is scripted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from rich.console import Console
from rich.table import Table

from callboard import Board, Run, connect

HERE = Path(__file__).parent
LATEST_START = 60.0
out = Console(highlight=False)


async def main() -> int:
    with tempfile.TemporaryDirectory(prefix="callboard-demo-") as folder:
        data, ledger = Path(folder) / "data", Path(folder) / "ledger.txt"
        out.rule("[bold]callboard demo[/] · a nats-server, a supervisor and two workers are starting")
        async with deployment(data, ledger) as board:
            survived = await a_worker_dies(board, ledger)
            stopped = await a_runaway_is_killed(board)
    out.rule("[green]both held[/]" if survived and stopped else "[red]something did not hold[/]")
    return 0 if survived and stopped else 1


@asynccontextmanager
async def deployment(data: Path, ledger: Path) -> AsyncIterator[Board]:
    """`callboard up` with two workers, and a client."""
    process, log = start(data, ledger)
    try:
        with anyio.move_on_after(LATEST_START) as starting:
            while not (data / "callboard-server.json").exists():
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


def start(data: Path, ledger: Path) -> tuple[subprocess.Popen[bytes], Path]:
    argv = [sys.executable, "-m", "callboard", "up", str(HERE / "agents.yaml"), "--workers", "2", "--data", str(data)]
    log = data.parent / "up.log"
    with log.open("wb") as lines:
        environment = {**os.environ, "DEMO_LEDGER": str(ledger)}
        return subprocess.Popen(argv, stdout=lines, stderr=lines, env=environment), log


async def a_worker_dies(board: Board, ledger: Path) -> bool:
    out.print("\n[bold]1. A worker is killed in the middle of a run.[/] Four bills, each to be paid once.\n")
    run = await board.submit("clerk", "pay the bills")
    owners: list[str] = []
    paid = 0
    async for entry in run.events():
        match entry.event.type:
            case "run.claimed":
                owners.append(entry.event.worker)
                out.print(f"   [cyan]{entry.event.worker}[/] has the run")
            case "model.responded" if entry.event.text.value:
                out.print(f"   model   {entry.event.text.value}")
            case "tool.returned":
                paid += 1
                out.print(f"   tool    {entry.event.result.value}")
                if paid == 2:
                    kill_nine(owners[-1])
            case "run.completed":
                out.print(f"   [green]done[/]    {entry.event.result.value}")
    starts = payments(ledger)
    once = sorted(starts) == ["phone", "power", "rent", "water"]
    verdict = "[green]each bill was paid once[/]" if once else f"[red]paid: {starts}[/]"
    out.print(f"\n   {len(owners)} workers, {len(starts)} payments started: {verdict}")
    return once and len(set(owners)) > 1


def payments(ledger: Path) -> list[str]:
    return [line.split()[1] for line in ledger.read_text(encoding="utf-8").splitlines()]


def kill_nine(worker: str) -> None:
    pid = int(worker.rpartition("-")[2])
    out.print(f"   [red]kill -9 {pid}[/]   (the task is delivered to another worker within 2 s)")
    os.kill(pid, signal.SIGKILL)


async def a_runaway_is_killed(board: Board) -> bool:
    out.print("\n[bold]2. A runaway is killed.[/] It would look at the same thing 10,000 times.\n")
    run = await board.submit("runaway", "look")
    await looked(run, times=5)
    receipt = await run.kill("it goes round in circles")
    table = Table(box=None, show_header=False, padding=(0, 3))
    for name, value in receipt.as_json().items():
        table.add_row(f"[dim]{name}[/]", f"[bold]{value}[/]" if name in {"outcome", "settled_by"} else str(value))
    out.print("   the receipt:")
    out.print(table)
    return receipt.killed and receipt.settled_at is not None


async def looked(run: Run, *, times: int) -> None:
    seen = 0
    async for entry in run.events():
        if entry.event.type == "tool.returned":
            seen += 1
            out.print(f"   look no. {seen}: {entry.event.result.value}")
            if seen == times:
                return


if __name__ == "__main__":
    sys.exit(anyio.run(main))
