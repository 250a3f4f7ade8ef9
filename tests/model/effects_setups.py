"""Pure: the setups of the effects model. ``PROTOCOL`` must hold.

``LARGE`` are bounds of the same protocol that take longer than a test may; ``python -m tests.model --full`` runs them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from .effects_world import Rules, Setup
from .programs import agent, function

TWO_STEPS: Final = Setup("")
SMALL: Final = replace(TWO_STEPS, program=function("s1"))
TOGETHER: Final = replace(TWO_STEPS, together=True)


def setup(name: str, base: Setup = TWO_STEPS, **changes: Any) -> Setup:
    return replace(base, name=name, **changes)


def rules(**changes: Any) -> Rules:
    return replace(Rules(), **changes)


PROTOCOL: Final = (
    setup("two workers, two steps that must not run twice"),
    setup("two idempotent steps, in few records", TOGETHER, program=function("s1", "s2", effect="idempotent")),
    setup("two steps, in few records", TOGETHER),
    setup("two steps, a signal at any time, no crash, in few records", TOGETHER, signals=1, crashes=0),
    setup("one step, a signal at any time, no answer is lost", SMALL, signals=1, lost=0),
    setup("two steps, the owner confirms a kill, in few records", TOGETHER, confirms=True),
    setup("one step, the owner confirms a kill, three claims", SMALL, confirms=True, claims=3),
    setup("an agent with a tool, in few records", TOGETHER, program=agent(("pay",))),
    setup(
        "an agent with two tools at once, no crash, in few records",
        TOGETHER,
        program=agent(("pay", "mail")),
        crashes=0,
        misses=0,
    ),
    setup(
        "three workers, one step, three claims, in few records",
        TOGETHER,
        program=function("s1"),
        workers=3,
        claims=3,
        crashes=2,
        lost=2,
    ),
)

LARGE: Final = (
    setup("large: an agent with a tool", program=agent(("pay",))),
    setup("large: an agent with two tools at once, in few records", TOGETHER, program=agent(("pay", "mail"))),
    setup("large: two workers, two idempotent steps", program=function("s1", "s2", effect="idempotent")),
    setup("large: two steps, a signal at any time, in few records", TOGETHER, signals=1),
    setup("large: three steps, three claims, in few records", TOGETHER, program=function("s1", "s2", "s3"), claims=3),
    setup("large: one step, two signals at any time", SMALL, signals=2),
    setup("large: two steps, a signal at any time", signals=1),
    setup("large: two steps, the owner confirms a kill", confirms=True),
    setup("large: three workers, one step, three claims", SMALL, workers=3, claims=3, crashes=2, lost=2),
    setup("large: three steps, three claims", program=function("s1", "s2", "s3"), claims=3),
)
