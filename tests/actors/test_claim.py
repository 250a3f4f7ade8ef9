"""Claims: who may take a run, and which task is spent for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.claim import Claim, NotForUs, Spent, TaskClaim, judge
from callboard.actors.fold import EMPTY, replay
from callboard.bus.messages import Parent, Record, RunClaimed, RunCompleted, RunKilled, RunReleased, RunSuspended
from callboard.bus.ports import Stored
from tests.support.interpreter import legal_journals
from tests.support.journals import claimed, few, journal

PARENT = Parent(run="p1", call="t1")
tasks = st.builds(TaskClaim, task=st.integers(1, 3), parent=st.sampled_from((None, PARENT)))


def said(task: TaskClaim, *entries):
    return judge(replay(journal(*entries)), task)


# ---- properties ---------------------------------------------------------------------------------------------------
@few
@given(legal_journals)
def test_a_spent_task_stays_spent_whatever_the_journal_goes_on_with(entries):
    resumes = [TaskClaim(of + entry.sequence, resume=entry.sequence) for entry in entries for of in (100, 500)]
    held = [TaskClaim(1), TaskClaim(2), *resumes]  # those from 100 on have claimed, where that was legal
    spent: set[TaskClaim] = set()
    for cut in range(len(entries) + 1):
        state = replay(entries[:cut])
        for task in held:
            if task.resume > state.sequence:
                continue  # whoever holds it reads the journal up to its signal
            verdict = judge(state, task)
            assert task not in spent or isinstance(verdict, Spent)
            if isinstance(verdict, Spent):
                spent.add(task)


@few
@given(legal_journals, st.integers(1, 300), st.integers(0, 30))
def test_of_an_owned_run_only_the_task_of_the_last_claim_may_claim(entries, task, resume):
    state = replay(entries)
    if state.owns(state.owner) and state.owner:
        assert isinstance(judge(state, TaskClaim(task, resume)), Claim) == (task == state.task)


@few
@given(legal_journals, tasks)
def test_the_task_of_the_last_claim_takes_over(entries, task):
    state = replay(entries)
    if state.owner and state.owns(state.owner):
        assert judge(state, TaskClaim(state.task, parent=task.parent)) == Claim(creates=False)


@few
@given(legal_journals)
def test_a_resume_at_or_behind_the_suspension_claims_and_nothing_else_does(entries):
    state = replay(entries)
    if state.suspended and state.terminal is None:
        assert judge(state, TaskClaim(999, state.suspended)) == Claim(creates=False)
        assert judge(state, TaskClaim(999, state.sequence)) == Claim(creates=False)
        assert judge(state, TaskClaim(999, state.suspended - 1)) == Spent()
        assert judge(state, TaskClaim(state.task)) == Spent()
        assert judge(state, TaskClaim(999)) == Spent()


@few
@given(legal_journals, tasks)
def test_nobody_claims_a_run_that_is_over(entries, task):
    dead = replay([Stored(999, Record(id="k", events=(RunKilled(),)))], replay(entries))
    assert isinstance(judge(dead, task), Spent)


# ---- values -------------------------------------------------------------------------------------------------------
def test_an_original_task_starts_a_run_and_a_resume_does_not():
    assert judge(EMPTY, TaskClaim(1)) == Claim(creates=True)
    assert judge(EMPTY, TaskClaim(1, resume=1)) == Spent()


def test_a_signal_before_the_start_does_not_keep_an_original_from_starting():
    assert said(TaskClaim(1), RunReleased()) == Claim(creates=True)


def test_a_duplicate_of_the_original_is_spent():
    assert said(TaskClaim(2), claimed(task=1)) == Spent()


def test_the_task_that_was_suspended_never_claims_again():
    assert said(TaskClaim(1), claimed(task=1), RunSuspended()) == Spent()


def test_a_release_is_its_own_signal():
    assert said(TaskClaim(2, resume=2), claimed(task=1), RunReleased()) == Claim(creates=False)


def test_a_resume_is_spent_once_another_one_has_claimed():
    entries = (claimed(task=1), RunReleased(), ("o2", RunClaimed(task=2)))
    assert said(TaskClaim(3, resume=2), *entries) == Spent()
    assert said(TaskClaim(2, resume=2), *entries) == Claim(creates=False)


def test_only_a_run_that_ended_before_its_start_has_a_parent_to_tell():
    assert said(TaskClaim(1, parent=PARENT), RunKilled()) == Spent(tell=PARENT)
    assert said(TaskClaim(1, parent=PARENT), claimed(), RunCompleted()) == Spent()


def test_a_journal_of_a_newer_version_is_left_to_a_newer_worker_unless_it_is_over():
    newer = Stored(1, Record(v=3, id="n", owner="o1", events=claimed()))
    assert judge(replay([newer]), TaskClaim(1)) == NotForUs(3)
    assert judge(replay([newer, Stored(2, Record(id="k", events=(RunKilled(),)))]), TaskClaim(1)) == Spent()
