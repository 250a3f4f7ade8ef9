"""Pure: what goes wrong, and when: drawn from a seed before anything starts, so that it can be played again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "kill worker", "freeze worker", "kill dispatcher", "freeze dispatcher", "kill guard", "freeze guard",
    "kill server", "kill run",
]  # fmt: skip
_WEIGHTS: dict[Kind, int] = {
    "kill worker": 8,
    "freeze worker": 6,
    "kill dispatcher": 3,
    "freeze dispatcher": 2,
    "kill guard": 4,
    "freeze guard": 3,
    "kill server": 2,
    "kill run": 18,
}


@dataclass(frozen=True)
class Fault:
    """At ``at`` seconds; ``pick`` (0 to 1) chooses whom; it is over after ``lasts`` seconds (not for a run)."""

    at: float
    kind: Kind
    pick: float
    lasts: float = 0.0

    def __str__(self) -> str:
        return f"{self.at:6.2f} s  {self.kind} ({self.pick:.2f}){f' for {self.lasts:.2f} s' if self.lasts else ''}"


def schedule(seed: int, seconds: float, *, ack_wait: float, down: float, gap: float) -> tuple[Fault, ...]:
    """Faults of ``seconds``, three a second, over by then; at last a worker, a dispatcher and a guard die.

    ``down``: the longest that a server is away; ``gap``: seconds that servers get between two deaths.
    """
    chance = random.Random(seed)
    faults = []
    at, server_again = 0.5, 0.0
    while at < seconds:
        kind = chance.choices(tuple(_WEIGHTS), tuple(_WEIGHTS.values()))[0]
        lasts = {
            "kill run": 0.0,
            "kill server": chance.uniform(0.02, down),
            "freeze worker": chance.choice((0.1, 0.5, ack_wait * 0.8, ack_wait * 1.3)),
            "freeze dispatcher": chance.choice((0.1, ack_wait * 0.8)),
            "freeze guard": chance.choice((0.1, 1.0, 2.0)),
        }.get(kind, chance.uniform(0.0, 0.5))
        server = kind == "kill server"
        if at + lasts < seconds - 0.2 and not (server and at < server_again):
            server_again = at + lasts + gap if server else server_again
            faults.append(Fault(at, kind, chance.random(), lasts))
        at += chance.uniform(0.05, 0.55)
    deaths = (
        Fault(seconds - 0.1, kind, chance.random(), 0.05) for kind in ("kill worker", "kill dispatcher", "kill guard")
    )
    return (*faults, *deaths)
