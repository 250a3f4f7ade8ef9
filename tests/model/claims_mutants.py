"""Pure: wrong rules for the claims model, each the product's function with one thing changed, and what refutes it."""

from __future__ import annotations

from typing import Final

from callboard.actors.claim import Claim, ClaimVerdict, Spent, TaskClaim, judge
from callboard.actors.state import RunState
from callboard.supervisors.dispatch import Duty, KillChild, TellParent, concerns

from .claims_setups import FAMILY, HANG, TWO_RESUMES, rules, setup
from .claims_world import DutiesRule, family_of, owed


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


STUCK: Final = "STUCK"
R1: Final = "R1"
R2: Final = "R2"
MUTANTS: Final = (
    (setup("the suspended task claims again", rules=rules(judge=the_suspended_task_wakes)), R1),
    (
        setup(
            "the suspended task claims again: the run is lost",
            rules=rules(judge=the_suspended_task_wakes),
            at_rest=False,
        ),
        STUCK,
    ),
    (setup("an original task wakes a run", rules=rules(judge=an_original_wakes), duplicates=1), R1),
    (setup("a resume for an older signal wakes a run", TWO_RESUMES, rules=rules(judge=any_resume_wakes)), R1),
    (setup("the owner's task does not take over", rules=rules(judge=nobody_takes_over)), R1),
    (setup("any task takes over", rules=rules(judge=any_task_takes_over), duplicates=1), "TWO-OWNERS"),
    (setup("a release does not wake", rules=rules(judge=a_release_does_not_wake), drains=1), R2),
    (setup("the task is acknowledged after the claim", rules=rules(acknowledges="after_claim")), R1),
    (setup("a fenced worker acknowledges", rules=rules(fenced="acknowledges")), R1),
    (setup("the owner appends without expectation", rules=rules(owner_appends="plain")), "NOT-THE-OWNER"),
    (
        setup(
            "the suspension is appended without expectation",
            rules=rules(owner_appends="plain_suspension"),
            redeliveries=0,
        ),
        STUCK,
    ),
    (
        setup("an original task claims without expectation", rules=rules(starts="blind_and_plain"), duplicates=1),
        "TWO-OWNERS",
    ),
    (setup("a resumed worker reads any old journal", rules=rules(worker_reads="anything"), stale=1), R2),
    (setup("the dispatcher reads any old journal", rules=rules(dispatcher_reads="anything"), stale=1), R2),
    (
        setup("the dispatcher acknowledges first", rules=rules(dispatcher_acknowledges="first"), dispatcher_crashes=1),
        R2,
    ),
    (
        setup(
            "the dispatcher waits for every group",
            rules=rules(duties=every_group_must_arrive),
            waits=((("A",), ("B",)),),
        ),
        R2,
    ),
    (setup("the feed leaves out releases", rules=rules(concerns=releases_do_not_concern), drains=1), R2),
    (setup("a hand-over without a release", rules=rules(hands_over="only_acknowledges"), drains=1), R1),
    (setup("a hand-over acknowledges before it releases", rules=rules(hands_over="acknowledges_first"), drains=1), R1),
    (setup("a lost task is never swept", losses=1, at_rest=False), STUCK),
    (
        setup("one task per run, a refused resume is taken for done", rules=rules(one_task_per_run="refused_is_done")),
        R2,
    ),
    (setup("a new owner does not publish its children again", FAMILY, rules=rules(children="published_once")), STUCK),
    (setup("the parent suspends before its children are published", FAMILY, rules=rules(suspends="at_once")), STUCK),
    (setup("the feed leaves out finished children", FAMILY, rules=rules(concerns=children_do_not_concern)), R2),
    (
        setup("a child's terminal says that it has no family", FAMILY, rules=rules(family=children_have_no_family)),
        STUCK,
    ),
    (
        setup(
            "nobody tells the parent of a child killed in the queue",
            FAMILY,
            rules=rules(judge=nobody_tells_the_parent),
            kills=(1,),
            crashes=0,
        ),
        STUCK,
    ),
    (
        setup(
            "a killed child's parent is not told",
            FAMILY,
            rules=rules(duties=parent_by_header_only),
            kills=(1,),
            crashes=0,
        ),
        STUCK,
    ),
    (setup("the task of a killed child is removed", FAMILY, kills=(1,), removes_killed=True, crashes=0), STUCK),
    (setup("the end of a run does not reach its children", HANG, rules=rules(duties=no_cascade)), STUCK),
    (
        setup(
            "... nor if orphans are checked twice",
            HANG,
            rules=rules(duties=no_cascade, orphans="before_and_after"),
            crashes=0,
        ),
        STUCK,
    ),
    (
        setup(
            "a failure does not reach the children",
            HANG,
            rules=rules(duties=a_failure_kills_no_children),
            kills=(),
            fails=(0,),
        ),
        STUCK,
    ),
    (
        setup(
            "a failed parent's terminal says that it has no family",
            HANG,
            rules=rules(family=parents_have_no_family),
            kills=(),
            fails=(0,),
        ),
        STUCK,
    ),
    (
        setup(
            "the dispatcher kills the children of an old journal",
            HANG,
            rules=rules(dispatcher_reads="anything"),
            stale=1,
            crashes=0,
        ),
        STUCK,
    ),
    (
        setup(
            "the dispatcher acknowledges before the children are killed",
            HANG,
            rules=rules(dispatcher_acknowledges="first"),
            crashes=0,
        ),
        STUCK,
    ),
)
