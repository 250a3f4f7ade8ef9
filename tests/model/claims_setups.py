"""Pure: the setups of the claims model. ``PROTOCOL`` must hold, each of ``MUTANTS`` must be refuted.

``LARGE`` are bounds of the same protocol that take longer than a test may; ``python -m tests.model --full`` runs them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from callboard.actors.claim import Claim, ClaimVerdict, Spent, TaskClaim, judge
from callboard.actors.state import RunState
from callboard.bus.messages import RunClaimed, RunCreated, RunSuspended, Wait
from callboard.supervisors.dispatch import Duty, KillChild, PublishResume, TellParent, concerns

from .claims import signal
from .claims_world import DutiesRule, Rules, Setup, family_of, owed, task_of
from .explore import STUCK
from .journals import AT, record

NOTHING: Final = ((),)
"""Wait for no signal."""
ONE: Final = Setup("")
FAMILY: Final = Setup(
    "", waits=(NOTHING, NOTHING), kids=((1,), ()), signals=(), redeliveries=0, dispatcher_crashes=1
)  # fmt: skip
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


# ---- options: weaker or stronger than the product where the design leaves it open; the protocol must hold with them too
def resume_for_every_signal(asked: DutiesRule) -> tuple[Duty, ...]:
    """Resumes without looking at what the run waits for, or whether it is suspended at all."""
    signals = any(event.type in {"signal.received", "child.finished", "run.released"} for event in asked.record.events)
    return (PublishResume(asked.sequence),) if signals else owed(asked)


PROTOCOL: Final = (
    setup("one run, one signal, a duplicate, the duplicate window ends", duplicates=1, dispatcher_crashes=1, expiry=True),
    setup("one run, two resumes in flight", TWO_RESUMES, duplicates=1),
    setup("one run, two crashes, two redeliveries", crashes=2, redeliveries=2),
    setup("one run, three workers", workers=3),
    setup("one run, two lost answers", lost=2),
    setup("one run, two stale reads", stale=2, dispatcher_crashes=1),
    setup("one run, two dispatchers, a signal sent twice", dispatchers=2, repeats=1, redeliveries=0, dispatcher_crashes=1, expiry=True),
    setup("one run, killed", kills=(0,), dispatcher_crashes=1),
    setup("one run, killed, a duplicate, in few records", kills=(0,), duplicates=1, dispatcher_crashes=1, together=True),
    setup("one run, a resume for every signal", rules=rules(duties=resume_for_every_signal)),
    setup("one run, reads before it claims", rules=rules(starts="reads_first"), duplicates=1),
    setup("one run, all signals of a group", waits=((("A", "B"),),), signals=((0, "A"), (0, "B")), redeliveries=0, dispatcher_crashes=1),
    setup("one run, one of two groups", waits=((("A", "C"), ("B",)),), signals=((0, "A"), (0, "B")), redeliveries=0, dispatcher_crashes=1),
    setup("one run, its owner hands over", drains=1),
    setup("one run, hands over twice, in few records", drains=2, together=True, dispatcher_crashes=1),
    setup("one run, hands over, killed, in few records", drains=1, together=True, kills=(0,), dispatcher_crashes=1),
    setup("one run, its task is lost and swept", losses=1, sweeps=True, redeliveries=0),
    setup("one run, swept too early, in few records", losses=1, sweeps=True, early=1, redeliveries=0, together=True),
    setup("one run, one task per run, a refused resume is retried", rules=rules(one_task_per_run="refused_is_retried"), dispatcher_crashes=1),
    setup("a child", FAMILY),
    setup("a child, in few records, a redelivery", FAMILY, together=True, redeliveries=1),
    setup("a child, killed by an outsider", FAMILY, kills=(1,)),
    setup("a child, the duplicate window ends", FAMILY, expiry=True, dispatcher_crashes=0),
    setup("a child, its parent hands over, in few records", FAMILY, drains=1, together=True, dispatcher_crashes=0),
    setup("two children", TWINS, dispatcher_crashes=1),
    setup("two children, in few records, a crash", TWINS, together=True, crashes=1),
    setup("a hanging child, its parent is killed", HANG),
    setup("a hanging child, its parent is killed, a redelivery", HANG, redeliveries=1, crashes=0),
    setup("a hanging child, its parent fails", HANG, kills=(), fails=(0,)),
    setup("a hanging child, its parent is killed, orphans are checked", HANG, rules=rules(orphans="before"), dispatcher_crashes=0),
    setup("a hanging child, its parent is killed, orphans are checked twice", HANG, rules=rules(orphans="before_and_after"), dispatcher_crashes=0),
    setup("a hanging child, its parent is killed, a stale read", HANG, stale=1, crashes=0),
    setup("a hanging grandchild, the first of the line is killed", LINE),
    setup("a hanging grandchild, in few records, a crash", LINE, together=True, crashes=1),
)  # fmt: skip

LARGE: Final = (
    setup("large: one run, killed, a duplicate", kills=(0,), duplicates=1, dispatcher_crashes=1),
    setup("large: one run, three workers, two crashes, two redeliveries, a duplicate, a lost answer, in few records",
          workers=3, crashes=2, redeliveries=2, duplicates=1, lost=1, together=True),
    setup("large: one run, its owner hands over, the dispatcher crashes", drains=1, dispatcher_crashes=1),
    setup("large: one run, its task is lost and swept, swept too early", losses=1, sweeps=True, early=1, redeliveries=0),
    setup("large: a child, a redelivery", FAMILY, redeliveries=1),
    setup("large: two children, a crash", TWINS, crashes=1, dispatcher_crashes=1),
    setup("large: a hanging child, its parent is killed, orphans are checked", HANG, rules=rules(orphans="before")),
    setup("large: a hanging child, its parent is killed, orphans are checked twice", HANG, rules=rules(orphans="before_and_after")),
)  # fmt: skip


# ---- wrong rules: each is the product's function with one line changed
def the_suspended_task_wakes(state: RunState, task: TaskClaim) -> ClaimVerdict:
    if state.terminal is None and state.suspended and task.task == state.task:
        return Claim(creates=False)
    return judge(state, task)


def an_original_wakes(state: RunState, task: TaskClaim) -> ClaimVerdict:
    if state.terminal is None and state.suspended and not task.resume and task.task != state.task:
        return Claim(creates=False)
    return judge(state, task)


def any_resume_wakes(state: RunState, task: TaskClaim) -> ClaimVerdict:
    if state.terminal is None and state.suspended and task.resume and task.task != state.task:
        return Claim(creates=False)
    return judge(state, task)


def nobody_takes_over(state: RunState, task: TaskClaim) -> ClaimVerdict:
    running = state.owner and not state.suspended and state.terminal is None
    return Spent() if running else judge(state, task)


def any_task_takes_over(state: RunState, task: TaskClaim) -> ClaimVerdict:
    running = state.owner and not state.suspended and state.terminal is None
    return Claim(creates=False) if running else judge(state, task)


def a_release_does_not_wake(state: RunState, task: TaskClaim) -> ClaimVerdict:
    return Spent() if state.suspended and task.resume == state.suspended else judge(state, task)


def nobody_tells_the_parent(state: RunState, task: TaskClaim) -> ClaimVerdict:
    verdict = judge(state, task)
    return Spent() if isinstance(verdict, Spent) else verdict


def parent_by_header_only(asked: DutiesRule) -> tuple[Duty, ...]:
    killed = any(event.type == "run.killed" for event in asked.record.events)
    return tuple(duty for duty in owed(asked) if not (killed and isinstance(duty, TellParent)))


def no_cascade(asked: DutiesRule) -> tuple[Duty, ...]:
    return tuple(duty for duty in owed(asked) if not isinstance(duty, KillChild))


def a_failure_kills_no_children(asked: DutiesRule) -> tuple[Duty, ...]:
    return owed(asked) if asked.state.outcome == "killed" else no_cascade(asked)


def every_group_must_arrive(asked: DutiesRule) -> tuple[Duty, ...]:
    here = {f"{kind}/{name}" for kind in ("signal",) for name in asked.state.signals}
    all_here = all(f"{wait.kind}/{wait.name}" in here for group in asked.state.waits for wait in group)
    return owed(asked) if all_here else ()


def children_do_not_concern(events: tuple[str, ...] | None, family: str) -> bool:
    return concerns(events, family) and events != ("child.finished",)


def releases_do_not_concern(events: tuple[str, ...] | None, family: str) -> bool:
    return concerns(events, family) and events != ("run.released",)


def parents_have_no_family(state: RunState) -> str:
    """Forgets that a run may end while its children have not."""
    return "none" if state.created is not None and state.created.parent is None else ""


def children_have_no_family(state: RunState) -> str:
    """Forgets the parent."""
    return "none" if not state.unfinished else family_of(state)


R1: Final = "R1"
R2: Final = "R2"
MUTANTS: Final = (
    (setup("the suspended task claims again", rules=rules(judge=the_suspended_task_wakes)), R1),
    (setup("the suspended task claims again: the run is lost", rules=rules(judge=the_suspended_task_wakes), at_rest=False), STUCK),
    (setup("an original task wakes a run", rules=rules(judge=an_original_wakes), duplicates=1), R1),
    (setup("a resume for an older signal wakes a run", TWO_RESUMES, rules=rules(judge=any_resume_wakes)), R1),
    (setup("the owner's task does not take over", rules=rules(judge=nobody_takes_over)), R1),
    (setup("any task takes over", rules=rules(judge=any_task_takes_over), duplicates=1), "TWO-OWNERS"),
    (setup("a release does not wake", rules=rules(judge=a_release_does_not_wake), drains=1), STUCK),
    (setup("the task is acknowledged after the claim", rules=rules(acknowledges="after_claim")), R1),
    (setup("a fenced worker acknowledges", rules=rules(fenced="acknowledges")), R1),
    (setup("the owner appends without expectation", rules=rules(owner_appends="plain")), "NOT-THE-OWNER"),
    (setup("the suspension is appended without expectation", rules=rules(owner_appends="plain_suspension"), redeliveries=0), STUCK),
    (setup("an original task claims without expectation", rules=rules(starts="blind_and_plain"), duplicates=1), "TWO-OWNERS"),
    (setup("a resumed worker reads any old journal", rules=rules(worker_reads="anything"), stale=1), R2),
    (setup("the dispatcher reads any old journal", rules=rules(dispatcher_reads="anything"), stale=1), R2),
    (setup("the dispatcher acknowledges first", rules=rules(dispatcher_acknowledges="first"), dispatcher_crashes=1), R2),
    (setup("the dispatcher waits for every group", rules=rules(duties=every_group_must_arrive), waits=((("A",), ("B",)),)), R2),
    (setup("the feed leaves out releases", rules=rules(concerns=releases_do_not_concern), drains=1), R2),
    (setup("a hand-over without a release", rules=rules(hands_over="only_acknowledges"), drains=1), R1),
    (setup("a hand-over acknowledges before it releases", rules=rules(hands_over="acknowledges_first"), drains=1), R1),
    (setup("a lost task is never swept", losses=1, at_rest=False), STUCK),
    (setup("one task per run, a refused resume is taken for done", rules=rules(one_task_per_run="refused_is_done")), R2),
    (setup("a new owner does not publish its children again", FAMILY, rules=rules(children="published_once")), STUCK),
    (setup("the parent suspends before its children are published", FAMILY, rules=rules(suspends="at_once")), STUCK),
    (setup("the feed leaves out finished children", FAMILY, rules=rules(concerns=children_do_not_concern)), R2),
    (setup("a child's terminal says that it has no family", FAMILY, rules=rules(family=children_have_no_family)), STUCK),
    (setup("nobody tells the parent of a child killed in the queue", FAMILY, rules=rules(judge=nobody_tells_the_parent), kills=(1,), crashes=0), STUCK),
    (setup("a killed child's parent is not told", FAMILY, rules=rules(duties=parent_by_header_only), kills=(1,), crashes=0), STUCK),
    (setup("the task of a killed child is removed", FAMILY, kills=(1,), removes_killed=True, crashes=0), STUCK),
    (setup("the end of a run does not reach its children", HANG, rules=rules(duties=no_cascade)), STUCK),
    (setup("... nor if orphans are checked twice", HANG, rules=rules(duties=no_cascade, orphans="before_and_after"), crashes=0), STUCK),
    (setup("a failure does not reach the children", HANG, rules=rules(duties=a_failure_kills_no_children), kills=(), fails=(0,)), STUCK),
    (setup("a failed parent's terminal says that it has no family", HANG, rules=rules(family=parents_have_no_family), kills=(), fails=(0,)), STUCK),
    (setup("the dispatcher kills the children of an old journal", HANG, rules=rules(dispatcher_reads="anything"), stale=1, crashes=0), STUCK),
    (setup("the dispatcher acknowledges before the children are killed", HANG, rules=rules(dispatcher_acknowledges="first"), crashes=0), STUCK),
)  # fmt: skip
