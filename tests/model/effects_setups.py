"""Pure: the setups of the effects model. ``PROTOCOL`` must hold, each of ``MUTANTS`` must be refuted.

``LARGE`` are bounds of the same protocol that take longer than a test may; ``python -m tests.model --full`` runs them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from callboard.actors.fold import fold
from callboard.actors.receipt import SettledBy
from callboard.actors.state import RunState
from callboard.bus.messages import Record

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
    setup("two workers, two idempotent steps", program=function("s1", "s2", effect="idempotent")),
    setup("two steps, in few records", TOGETHER),
    setup("two steps, a signal at any time, in few records", TOGETHER, signals=1),
    setup("one step, two signals at any time", SMALL, signals=2),
    setup("two steps, the owner confirms a kill, in few records", TOGETHER, confirms=True),
    setup("one step, the owner confirms a kill, three claims", SMALL, confirms=True, claims=3),
    setup("an agent with a tool, in few records", TOGETHER, program=agent(("pay",))),
    setup("an agent with two tools at once, no crash, in few records", TOGETHER, program=agent(("pay", "mail")), crashes=0),
    setup("three workers, one step, three claims, in few records", TOGETHER, program=function("s1"), workers=3, claims=3, crashes=2, lost=2),
    setup("three steps, three claims, in few records", TOGETHER, program=function("s1", "s2", "s3"), claims=3),
)  # fmt: skip

LARGE: Final = (
    setup("large: an agent with a tool", program=agent(("pay",))),
    setup("large: an agent with two tools at once, in few records", TOGETHER, program=agent(("pay", "mail"))),
    setup("large: two steps, a signal at any time", signals=1),
    setup("large: two steps, the owner confirms a kill", confirms=True),
    setup("large: three workers, one step, three claims", SMALL, workers=3, claims=3, crashes=2, lost=2),
    setup("large: three steps, three claims", program=function("s1", "s2", "s3"), claims=3),
)


# ---- wrong rules: the product's fold with one rule changed
def the_last_terminal_wins(state: RunState, sequence: int, entry: Record) -> RunState:
    if any(event.type in {"run.killed", "run.completed"} for event in entry.events):
        state = replace(state, terminal=None)
    return fold(state, sequence, entry)


def the_last_owner_settles(state: RunState) -> SettledBy | None:
    """Forgets that an earlier owner may be within the start window of its intent."""
    return "owner" if state.settled is not None else None


PLAIN: Final = rules(append="plain")
TWICE: Final = "EFFECT-TWICE"
LATE: Final = "EFFECT-AFTER-SETTLED"
CONFIRMING: Final = replace(SMALL, confirms=True)
MUTANTS: Final = (
    (setup("the owner appends without expectation", rules=PLAIN), "FENCED-WROTE"),
    (setup("the owner of a killed run appends without expectation", workers=1, rules=PLAIN), "RECORDED-AFTER-THE-END"),
    (setup("effects without intents", rules=rules(intents=False)), "EFFECT-WITHOUT-INTENT"),
    (setup("an open step that must not run twice is run again", program=function("s1", "s2", looks_for_doubts=False)), TWICE),
    (setup("a kill is a core message only", rules=rules(kill="hint")), LATE),
    (setup("the receipt of a kill does not fold", rules=rules(receipt="blind")), "TWO-OUTCOMES"),
    (setup("the last terminal wins", rules=rules(fold=the_last_terminal_wins)), "TWO-OUTCOMES"),
    (setup("a kill is settled when it is accepted, no window", rules=rules(settled="accepted", window="none")), LATE),
    (setup("a kill is settled when it is accepted", rules=rules(settled="accepted")), LATE),
    (setup("effects have no start window", rules=rules(window="none")), LATE),
    (setup("an own intent after a lost answer opens a new window", rules=rules(window="from_answer")), LATE),
    (setup("the process pauses between the check of the window and the start", rules=rules(start="after_a_pause")), LATE),
    (setup("no answer is taken for stored", rules=rules(no_answer="assume_stored")), "EFFECT-WITHOUT-INTENT"),
    (setup("a refused append is repeated without folding", rules=rules(refused="repeat")), "FENCED-WROTE"),
    (setup("an owner forgets what it started when an answer is lost", TOGETHER, program=agent(("pay", "mail")), rules=rules(memory="lost")), TWICE),
    (setup("the last owner settles a kill while an earlier one may still start", CONFIRMING, rules=rules(early=the_last_owner_settles)), LATE),
    (setup("a fenced worker settles a kill", CONFIRMING, rules=rules(early=the_last_owner_settles, confirms="anybody")), LATE),
)  # fmt: skip
