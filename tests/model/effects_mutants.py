"""Pure: wrong rules for the effects model, each with one thing changed, and the property that refutes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from callboard.actors.fold import fold
from callboard.actors.receipt import SettledBy
from callboard.actors.state import RunState
from callboard.bus.messages import Record

from .effects_setups import SMALL, TOGETHER, rules, setup
from .programs import agent, function


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
    (setup("the owner appends without expectation", rules=PLAIN, kills=False), "FENCED-WROTE"),
    (setup("the owner of a killed run appends without expectation", workers=1, rules=PLAIN), "RECORDED-AFTER-THE-END"),
    (setup("effects without intents", rules=rules(intents=False)), "EFFECT-WITHOUT-INTENT"),
    (
        setup(
            "an open step that must not run twice is run again", program=function("s1", "s2", looks_for_doubts=False)
        ),
        TWICE,
    ),
    (setup("a kill is a core message only", rules=rules(kill="hint")), LATE),
    (setup("the receipt of a kill does not fold", rules=rules(receipt="blind")), "TWO-OUTCOMES"),
    (setup("the last terminal wins", rules=rules(fold=the_last_terminal_wins)), "TWO-OUTCOMES"),
    (setup("a kill is settled when it is accepted, no window", rules=rules(settled="accepted", window="none")), LATE),
    (setup("a kill is settled when it is accepted", rules=rules(settled="accepted")), LATE),
    (setup("effects have no start window", rules=rules(window="none")), LATE),
    (setup("an own intent after a lost answer opens a new window", rules=rules(window="from_answer")), LATE),
    (
        setup("the process pauses between the check of the window and the start", rules=rules(start="after_a_pause")),
        LATE,
    ),
    (setup("no answer is taken for stored", TOGETHER, rules=rules(no_answer="assume_stored")), "EFFECT-WITHOUT-INTENT"),
    (setup("a refused append is repeated without folding", rules=rules(refused="repeat")), "RECORDED-AFTER-THE-END"),
    (
        setup(
            "an owner forgets what it started when an answer is lost",
            TOGETHER,
            program=agent(("pay", "mail")),
            rules=rules(memory="lost"),
        ),
        TWICE,
    ),
    (
        setup(
            "the last owner settles a kill while an earlier one may still start",
            CONFIRMING,
            rules=rules(early=the_last_owner_settles),
        ),
        LATE,
    ),
    (
        setup(
            "a fenced worker settles a kill", CONFIRMING, rules=rules(early=the_last_owner_settles, confirms="anybody")
        ),
        LATE,
    ),
)
