"""Shell: what fills the prompt caches of providers when workers start: a run like every other, one for all workers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from callboard.actors.code import AgentCode
from callboard.actors.fold import replay
from callboard.actors.prefix import head_of
from callboard.bus.bus import Bus
from callboard.bus.codec import run_key
from callboard.bus.messages import Task
from callboard.bus.subjects import RunKey, TaskAddress
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.errors import BusError
from callboard.log import get_logger

log = get_logger(__name__)
WINDOW: Final = 300.0
"""Seconds that a provider keeps a prompt which nobody reads: workers that start within them warm it once."""
_ASKED: Final = "Answer with one word: ready."
"""What such a run asks. Nobody reads the answer, and most providers are not even asked for one."""
_TENANT: Final = "default"


async def warm_caches(bus: Bus, agents: Mapping[str, AgentCode], *, now: datetime) -> None:
    """Submit a run for each agent whose first model is to be warm, and is not. What the bus refuses is left out."""
    window = int(now.timestamp() // WINDOW)
    for name, code in agents.items():
        choice = code.spec.model
        if choice is None or not choice.warm:
            continue
        where = TaskAddress(_TENANT, name, "high")
        last, task = (Task(input=_ASKED, key=_key(choice, code.spec, each), warm=True) for each in (window - 1, window))
        run = run_key(where, task, sequence=0, stored_at=now).run
        try:
            if not await _is_recent(bus, run_key(where, last, sequence=0, stored_at=now), now):
                await bus.tasks.publish(TaskAddress(_TENANT, name, "high", run), task)
        except BusError as error:
            log.warning("the prompt cache stays cold", agent=name, error=str(error))


async def _is_recent(bus: Bus, key: RunKey, now: datetime) -> bool:
    """Did the run of the window before begin so late that its cache is warm yet?"""
    created = replay(await bus.journals.read(key)).created
    return created is not None and (now - created.at).total_seconds() < WINDOW


def _key(choice: ModelChoice, spec: AgentSpec, window: int) -> str:
    """The same for all workers with the same prompt in the same window: the tasks with it are one run."""
    parts = (*head_of(choice, spec), str(window))
    return f"warm-{hashlib.sha256('/'.join(parts).encode()).hexdigest()[:32]}"
