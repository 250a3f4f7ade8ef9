"""Shell: a closed guard whose only process is killed, until its runs start no effect any more, and until they go on."""

from __future__ import annotations

import time
from collections.abc import Sequence

import anyio

from bench.child import child
from bench.deployment import Deployment, publish_all
from bench.stats import Row, Target, percentile, with_unit
from callboard.bus.subjects import RunKey
from callboard.guards.hosted import Hosted
from callboard.guards.kit import Guard, Seen, Verdict

PAUSED = Target("at most", 2.0, "s")
RUNS = 20
_QUIET = 1.0
"""Seconds without an effect after which a deployment of runs that tick four times a second is quiet."""
_WITHIN = 30.0


class Watcher(Guard[int]):
    """Looks on. Runs that have it wait for it."""

    name = "watcher"
    missing = "closed"

    def start(self, run: RunKey) -> int:  # noqa: ARG002 - the same for every run
        return 0

    def observe(self, state: int, seen: Seen) -> tuple[int, Sequence[Verdict]]:  # noqa: ARG002 - it says nothing
        return state + 1, ()


CLOSED = (Hosted("watcher", lambda _: (Watcher(), "enforce"), missing="closed"),)
"""What the roles ``watcher`` and ``watched`` host."""


class _Effects:
    """The effects that start, whenever they do."""

    def __init__(self) -> None:
        self.last = 0.0
        """When the last one started (monotonic seconds)."""
        self.resumed: dict[str, float] = {}
        """By run: when its first one started since ``forget``."""
        self._changed = anyio.Event()

    def __call__(self, line: str) -> None:
        """A line of the worker."""
        what, run, at = line.split()
        if what == "tick":
            self.last = int(at) / 1e9
            self.resumed.setdefault(run, self.last)
            changed, self._changed = self._changed, anyio.Event()
            changed.set()

    def forget(self) -> None:
        """What started until now does not count."""
        self.resumed.clear()

    async def of_all(self) -> float:
        """When every run had started one. Raises ``TimeoutError``."""
        with anyio.fail_after(_WITHIN):
            while len(self.resumed) < RUNS:
                await self._changed.wait()
        return max(self.resumed.values())

    async def quiet(self) -> None:
        """Return when none has started for a while. Raises ``TimeoutError``."""
        silent = False
        with anyio.fail_after(_WITHIN):
            while not silent:
                with anyio.move_on_after(_QUIET) as silence:
                    await self._changed.wait()
                silent = silence.cancelled_caught


async def guard_deaths(here: Deployment, durability: str, *, times: int) -> list[Row]:
    """``RUNS`` runs start four effects a second each; ``times`` times their guard is killed, and started again."""
    effects, paused, went_on = _Effects(), list[float](), list[float]()
    async with child("watched", here.url, "watched", heard=effects):
        for number in range(times + 1):
            async with child("watcher", here.url, f"watcher-{number}") as guard:
                back = time.monotonic()
                if number:
                    went_on.append(await effects.of_all() - back)
                else:
                    await publish_all(lambda: here.board.submit("tick", None), RUNS)
                    await effects.of_all()
                guard.kill()
                died = time.monotonic()
                await effects.quiet()
                paused.append(effects.last - died)
                effects.forget()
    return [
        _row(f"a closed guard killed to the last effect of its {RUNS} runs", durability, paused, PAUSED),
        _row(f"its process is ready again to the first effect of the last of {RUNS} runs", durability, went_on, PAUSED),
    ]


def _row(case: str, durability: str, took: list[float], target: Target) -> Row:
    middle, worst = percentile(took, 50), max(took)
    return Row(
        f"{case}, p50 / max: {len(took)} times",
        durability,
        f"{with_unit(middle, 's')} / {with_unit(worst, 's')}",
        target=target,
        judged=worst,
        raw={"seconds": list(took)},
    )
