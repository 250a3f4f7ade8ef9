"""Shell: a branch of a function that waits until its run is not paused any more."""

from __future__ import annotations

import math
from typing import Final

import anyio

from callboard.actors.owner import Owner
from callboard.actors.parking import Parking
from callboard.actors.pauses import LOOK_SECONDS, alarm, announced, in_force, waits
from callboard.actors.state import arrived
from callboard.clock import Clock

HELD_SECONDS: Final = 2.0
"""What is over within so many seconds is waited out on the worker; longer waits hold none."""


async def until_go(owner: Owner, parking: Parking, clock: Clock) -> None:
    """Return when effects may start. If no branch holds the worker, the play is left and the run suspended."""
    while pauses := in_force(owner.view, clock.now()):
        timer = alarm(pauses)
        left = math.inf if timer is None else (timer.at - clock.now()).total_seconds()
        if announced(owner.view) or left <= HELD_SECONDS:
            with parking.holding():
                await anyio.sleep(min(left, LOOK_SECONDS))
            continue
        if timer is not None and timer.timer not in owner.view.timers:
            owner.defer(timer)
        with anyio.move_on_after(left):
            await parking.park(waits(pauses)[0], lambda wait: arrived(owner.view, wait))
