"""Pure: the setups of the claims model. ``PROTOCOL`` must hold.

``LARGE`` are bounds of the same protocol that take longer than a test may; ``python -m tests.model --full`` runs them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from callboard.bus.messages import RunClaimed, RunCreated, RunSuspended, Wait
from callboard.supervisors.dispatch import Duty, PublishResume

from .claims_bus import signal
from .claims_world import DutiesRule, Rules, Setup, owed, task_of
from .journals import AT, record

NOTHING: Final = ((),)
"""Wait for no signal."""
ONE: Final = Setup("")
FAMILY: Final = Setup("", waits=(NOTHING, NOTHING), kids=((1,), ()), signals=(), redeliveries=0, dispatcher_crashes=1)
HANG: Final = replace(FAMILY, waits=(NOTHING, (("X",),)), hangs=True, kills=(0,))
TWINS: Final = replace(FAMILY, waits=(NOTHING,) * 3, kids=((1, 2), (), ()), crashes=0, dispatcher_crashes=0)
LINE: Final = replace(HANG, waits=(NOTHING, NOTHING, (("X",),)), kids=((1,), (2,), ()), crashes=0, dispatcher_crashes=0)
# entered where it gets interesting: suspended@2, A@3 and B@4 arrived, both resume tasks are in the queue, C may come
TWO_RESUMES: Final = replace(
    ONE,
    waits=((("A", "C"), ("A", "B", "D")),),
    signals=((0, "C"),),
    start=(
        record("o1", RunCreated(agent="agent", at=AT), RunClaimed(task=1)),
        record("o1", RunSuspended(waits=((Wait(kind="signal", name="A"), Wait(kind="signal", name="C")),))),
        signal("A"),
        signal("B"),
    ),
    queue=frozenset({task_of(0, 3), task_of(0, 4)}),
)


def setup(name: str, base: Setup = ONE, **changes: Any) -> Setup:
    return replace(base, name=name, **changes)


def rules(**changes: Any) -> Rules:
    return replace(Rules(), **changes)


# ---- an option that the design leaves open: the protocol must hold with it too
def resume_for_every_signal(asked: DutiesRule) -> tuple[Duty, ...]:
    """Resumes without looking at what the run waits for, or whether it is suspended at all."""
    signals = any(event.type in {"signal.received", "child.finished", "run.released"} for event in asked.record.events)
    return (PublishResume(asked.sequence),) if signals else owed(asked)


PROTOCOL: Final = (
    setup("one run, one signal, a duplicate", duplicates=1, dispatcher_crashes=1),
    setup("one run, one signal, the duplicate window ends", dispatcher_crashes=1, expiry=True),
    setup("one run, two resumes in flight", TWO_RESUMES),
    setup("one run, two crashes, two redeliveries", crashes=2, redeliveries=2),
    setup("one run, three workers", workers=3),
    setup("one run, two lost answers", lost=2),
    setup("one run, two stale reads", stale=2, dispatcher_crashes=1),
    setup(
        "one run, two dispatchers, a signal sent twice", dispatchers=2, repeats=1, redeliveries=0, dispatcher_crashes=1
    ),
    setup("one run, killed", kills=(0,), dispatcher_crashes=1),
    setup("one run, killed, a duplicate, in few records", kills=(0,), duplicates=1, together=True),
    setup("one run, a resume for every signal", rules=rules(duties=resume_for_every_signal)),
    setup("one run, reads before it claims", rules=rules(starts="reads_first"), duplicates=1),
    setup(
        "one run, all signals of a group",
        waits=((("A", "B"),),),
        signals=((0, "A"), (0, "B")),
        redeliveries=0,
        dispatcher_crashes=1,
    ),
    setup(
        "one run, one of two groups",
        waits=((("A", "C"), ("B",)),),
        signals=((0, "A"), (0, "B")),
        redeliveries=0,
        dispatcher_crashes=1,
    ),
    setup("one run, its owner hands over", drains=1),
    setup("one run, hands over twice", drains=2, redeliveries=0, crashes=0),
    setup("one run, hands over, killed", drains=1, kills=(0,), redeliveries=0),
    setup("one run, its task is lost and swept", losses=1, sweeps=True, redeliveries=0),
    setup("one run, swept too early", sweeps=True, early=1, redeliveries=0),
    setup(
        "one run, one task per run, a refused resume is retried",
        rules=rules(one_task_per_run="refused_is_retried"),
        dispatcher_crashes=1,
    ),
    setup("a child", FAMILY),
    setup("a child, in few records, a redelivery", FAMILY, together=True, redeliveries=1),
    setup("a child, killed by an outsider", FAMILY, kills=(1,), dispatcher_crashes=0),
    setup("a child, killed by an outsider, no worker crashes", FAMILY, kills=(1,), crashes=0),
    setup("a child, the duplicate window ends", FAMILY, expiry=True, dispatcher_crashes=0),
    setup("a child, its parent hands over", FAMILY, drains=1, crashes=0, dispatcher_crashes=0),
    setup("two children", TWINS, dispatcher_crashes=1),
    setup("two children, in few records, a crash", TWINS, together=True, crashes=1),
    setup("a hanging child, its parent is killed", HANG),
    setup("a hanging child, its parent fails", HANG, kills=(), fails=(0,)),
    setup(
        "a hanging child, its parent is killed, orphans are checked",
        HANG,
        rules=rules(orphans="before"),
        dispatcher_crashes=0,
    ),
    setup(
        "a hanging child, its parent is killed, orphans are checked twice",
        HANG,
        rules=rules(orphans="before_and_after"),
        dispatcher_crashes=0,
    ),
    setup("a hanging child, its parent is killed, a stale read", HANG, stale=1, crashes=0),
    setup("a hanging grandchild, the first of the line is killed", LINE),
    setup("a hanging grandchild, in few records, a crash", LINE, together=True, crashes=1),
)

LARGE: Final = (
    setup("large: one run, two resumes in flight, a duplicate", TWO_RESUMES, duplicates=1),
    setup(
        "large: one run, two dispatchers, a signal sent twice, the duplicate window ends",
        dispatchers=2,
        repeats=1,
        redeliveries=0,
        dispatcher_crashes=1,
        expiry=True,
    ),
    setup("large: one run, killed, a duplicate", kills=(0,), duplicates=1, dispatcher_crashes=1),
    setup(
        "large: one run, three workers, two crashes, two redeliveries, a duplicate, a lost answer, in few records",
        workers=3,
        crashes=2,
        redeliveries=2,
        duplicates=1,
        lost=1,
        together=True,
    ),
    setup("large: one run, its owner hands over, the dispatcher crashes", drains=1, dispatcher_crashes=1),
    setup(
        "large: one run, its task is lost and swept, swept too early", losses=1, sweeps=True, early=1, redeliveries=0
    ),
    setup(
        "large: one run, one signal, a duplicate, the duplicate window ends",
        duplicates=1,
        dispatcher_crashes=1,
        expiry=True,
    ),
    setup("large: a child, killed by an outsider", FAMILY, kills=(1,)),
    setup("large: a child, a redelivery", FAMILY, redeliveries=1),
    setup("large: two children, a crash", TWINS, crashes=1, dispatcher_crashes=1),
    setup("large: a hanging child, its parent is killed, a redelivery", HANG, redeliveries=1),
    setup("large: a hanging child, its parent is killed, orphans are checked", HANG, rules=rules(orphans="before")),
    setup(
        "large: a hanging child, its parent is killed, orphans are checked twice",
        HANG,
        rules=rules(orphans="before_and_after"),
    ),
)
