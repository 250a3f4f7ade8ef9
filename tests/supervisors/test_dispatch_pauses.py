"""A pause holds the whole tree below it, whatever the order, the repetition and the delay of the news."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.actors.fold import replay
from callboard.actors.inherited import handed_down as at_birth
from callboard.actors.state import RunState
from callboard.bus.messages import (
    ChildSpawned,
    Parent,
    Record,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunPaused,
    RunResumed,
)
from callboard.bus.ports import Stored
from callboard.supervisors.dispatch import HandDown, concerns, handed_down
from tests.support.journals import T0, claimed, journal

ROOT = "r0"


@dataclass
class Tree:
    """A run and what it spawned, their journals, and the entries that no dispatcher has acknowledged yet."""

    journals: dict[str, list[Stored]] = field(default_factory=dict)
    above: dict[str, str] = field(default_factory=dict)
    unborn: list[str] = field(default_factory=list)
    pending: list[tuple[str, int]] = field(default_factory=list)
    last: int = 0

    def append(self, run: str, *events: object, owner: str = "") -> None:
        self.last += 1
        record = Record(id=f"i{self.last}", owner=owner, events=events)
        self.journals.setdefault(run, []).append(Stored(self.last, record, at=T0))
        if concerns(tuple(event.type for event in events), ""):
            self.pending.append((run, self.last))

    def create(self, run: str) -> None:
        parent = Parent(run=self.above[run]) if run in self.above else None
        self.append(run, RunCreated(agent="a", at=T0, parent=parent), RunClaimed(task=self.last), owner="o")

    def state(self, run: str) -> RunState:
        return replay(self.journals[run])

    def pick(self, n: int) -> str:
        runs = [run for run in self.journals if self.state(run).created]
        return runs[n % len(runs)]

    def spawn(self, run: str) -> None:
        child = f"r{len(self.above) + 1}"
        self.above[child] = run
        self.append(run, ChildSpawned(child=child, call=child, agent="a"), owner="o")
        self.unborn.append(child)

    def bear(self, n: int, unseen: int) -> None:
        """The owner of the parent publishes the task; it may have missed the last ``unseen`` entries."""
        child = self.unborn.pop(n % len(self.unborn))
        parent = self.above[child]
        entries = self.journals[parent]
        spawned = next(
            at for at, each in enumerate(entries) if any(getattr(e, "child", "") == child for e in each.record.events)
        )
        state = replay(entries[: max(spawned + 1, len(entries) - unseen)])
        if pauses := at_birth(parent, state, state.pauses.values()):
            self.append(child, *pauses)
        self.create(child)

    def deliver(self, n: int, unseen: int, *, again: bool) -> None:
        """A dispatcher handles an entry, by a journal without its last ``unseen`` entries. ``again``: and dies."""
        at = n % len(self.pending)
        run, sequence = self.pending[at] if again else self.pending.pop(at)
        entries = self.journals[run]
        until = max(next(at for at, each in enumerate(entries, 1) if each.sequence == sequence), len(entries) - unseen)
        before = replay(each for each in entries if each.sequence < sequence)
        record = next(each.record for each in entries if each.sequence == sequence)
        for duty in handed_down(run, sequence, record, before, replay(entries[:until])):
            self.append(duty.child, duty.event)

    def settle(self) -> None:
        while self.unborn or self.pending:
            if self.unborn:
                self.bear(0, 0)
            else:
                self.deliver(0, 0, again=False)

    def paused(self, run: str) -> bool:
        return bool(self.state(run).pauses)


def tree() -> Tree:
    new = Tree()
    new.create(ROOT)
    return new


def apply(board: Tree, op: str, n: int, m: int, *, flag: bool) -> None:
    run = board.pick(n)
    match op:
        case "pause":
            board.append(run, RunPaused(name="xy"[m % 2]))
        case "resume":
            board.append(run, RunResumed(name="xy"[m % 2]))
        case "go":
            for name in board.state(run).pauses:
                board.append(run, RunResumed(name=name))
        case "spawn":
            board.spawn(run)
        case "bear" if board.unborn:
            board.bear(n, m)
        case "deliver" if board.pending:
            board.deliver(n, m, again=flag)
        case _:
            pass


def steps(*ops: str, size: int = 12) -> st.SearchStrategy[list[tuple[str, int, int, bool]]]:
    small = st.integers(0, 5)
    return st.lists(st.tuples(st.sampled_from(ops), small, small, st.booleans()), min_size=size, max_size=40)


many = settings(max_examples=60, deadline=None)


def own(board: Tree, run: str) -> bool:
    return any(pause.parent is None for pause in board.state(run).pauses.values())


@many
@given(steps("pause", "resume", "spawn", "spawn", "bear", "deliver", "deliver"))
def test_a_run_is_paused_exactly_while_it_or_one_above_it_is(ops):
    board = tree()
    for op, n, m, flag in ops:
        apply(board, op, n, m, flag=flag)
    board.settle()
    for run in board.journals:
        above = run in board.above and board.paused(board.above[run])
        assert board.paused(run) == (own(board, run) or above), run


@many
@given(steps("pause", "resume", "go", "spawn", "spawn", "bear", "deliver", "deliver"))
def test_when_every_run_was_told_to_go_on_nobody_is_held(ops):
    board = tree()
    for op, n, m, flag in ops:
        apply(board, op, n, m, flag=flag)
    board.settle()
    for run in sorted(board.journals, key=lambda run: int(run[1:])):
        for name in board.state(run).pauses:
            board.append(run, RunResumed(name=name))
        board.settle()
    assert not any(board.paused(run) for run in board.journals)


@many
@given(steps("pause", "spawn", "spawn", "bear", "deliver"), st.integers(0, 5), st.lists(st.integers(0, 99)))
def test_who_was_told_to_go_on_is_not_held_again_by_old_news(ops, n, again):
    board = tree()
    for op, k, m, flag in ops:
        apply(board, op, k, m, flag=flag)
    old = list(board.pending)
    board.settle()
    run = board.pick(n)
    for name in board.state(run).pauses:
        board.append(run, RunResumed(name=name))
    board.settle()
    board.pending = [old[k % len(old)] for k in again] if old else []
    board.settle()
    assert not board.paused(run)


def test_old_news_of_a_pause_does_not_reach_a_child_that_came_after_its_end():
    board = tree()
    board.append(ROOT, RunPaused(name="x"))
    board.append(ROOT, RunResumed(name="x"))
    board.deliver(1, 0, again=False)
    board.spawn(ROOT)
    board.settle()
    assert not board.paused("r1")


def duties_of(entries: tuple[Stored, ...]) -> tuple[HandDown, ...]:
    last = entries[-1]
    return handed_down("r1", last.sequence, last.record, replay(entries[:-1]), replay(entries))


def spawned(child: str) -> ChildSpawned:
    return ChildSpawned(child=child, call=child, agent="b")


def test_a_pause_goes_to_the_unfinished_children_under_a_name_of_its_own_and_its_end_follows_it():
    pause = RunPaused(name="person", reason="look", by="ada")
    entries = journal(claimed(), (spawned("c1"), spawned("c2")), pause)
    first, second = duties_of(entries)
    assert (first.child, second.child) == ("c1", "c2")
    assert (first.event.parent, first.event.reason, first.event.by) == ("r1", "look", "ada")
    assert first.event.name != "person"
    over = journal(claimed(), (spawned("c1"), spawned("c2")), pause, RunResumed(name="person", by="bob"))
    assert [duty.event for duty in duties_of(over)] == [RunResumed(name=first.event.name, by="bob", parent="r1")] * 2


def test_what_comes_from_above_goes_further_down_as_it_is():
    pause = RunPaused(name="above-1", parent="r0")
    (duty,) = duties_of(journal(claimed(), spawned("c1"), pause))
    assert duty.event == pause
    for end in (RunResumed(name="above-1", parent="r0"), RunResumed(name="above-1", by="ada")):
        (duty,) = duties_of(journal(claimed(), spawned("c1"), pause, end))
        assert isinstance(duty.event, RunResumed)
        assert (duty.event.name, bool(duty.event.parent)) == ("above-1", True)


def test_a_run_that_is_over_and_an_entry_that_does_not_validate_hand_nothing_down():
    entries = journal(claimed(), spawned("c1"), RunPaused(name="x"), RunCompleted())
    assert handed_down("r1", 3, entries[2].record, replay(entries[:2]), replay(entries)) == ()
    assert handed_down("r1", 3, None, replay(entries[:2]), replay(entries[:3])) == ()


def test_the_end_of_a_pause_that_nobody_knows_is_handed_to_nobody():
    assert duties_of(journal(claimed(), spawned("c1"), RunResumed(name="unheard-of"))) == ()
