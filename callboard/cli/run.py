"""Shell: ``callboard run``."""

from __future__ import annotations
from pathlib import Path
import typer


def run(file: Path, agent: str, input: str) -> None:
    import anyio

    anyio.run(_run, file, agent, input)


async def _run(file, agent, given):
    from callboard.app.agents import load_agents
    from callboard.app.embedded import embedded
    from callboard.config.loader import load

    agents = load_agents(load(file))
    async with embedded(agents) as here:
        run = await here.board.submit(agent, given)
        async for event in run.events():
            print(event)
        print(await run.result())
