"""Pure: the supervision tree (OTP): child specs as data, and one function from an event to decisions.

``begin`` decides the first starts; ``react`` takes what happened and decides what to do. A child's ``life`` counts its
starts, so that a late word about an earlier life changes nothing. ``one_for_one`` says that children do not depend on
each other: they start and stop together. With the other strategies a child depends on the earlier ones: they start one
after the other, each when the one before is ready, and stop in reverse order, each when the one after has ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from callboard.errors import Bug

Restart = Literal["permanent", "transient", "temporary"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
Reason = Literal["normal", "error"]
Mode = Literal["up", "stopping", "failing", "over"]
Phase = Literal["waiting", "starting", "running", "condemned", "stopping", "stalled", "ended"]
"""``waiting`` to be started; ``condemned`` to be stopped when its turn comes; ``ended`` for good. The rest is live."""

LIVE: Final[frozenset[Phase]] = frozenset({"starting", "running", "condemned", "stopping", "stalled"})


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A child: whether it comes back (``transient``: only after an error), and its deadlines in seconds."""

    name: str
    restart: Restart = "permanent"
    shutdown: float = 5.0
    ready_within: float = 30.0


@dataclass(frozen=True, slots=True)
class SupervisorSpec:
    """Children in start order. More than ``max_restarts`` within ``window`` seconds is a failure of the supervisor.

    The n-th restart within the window waits ``backoff * 2**(n - 1)`` seconds, at most ``max_backoff``.
    """

    children: tuple[ChildSpec, ...]
    strategy: Strategy = "one_for_one"
    max_restarts: int = 3
    window: float = 5.0
    backoff: float = 0.05
    max_backoff: float = 2.0

    def __post_init__(self) -> None:
        names = [child.name for child in self.children]
        if len(set(names)) < len(names):
            raise Bug(f"the children are {names!r}: give each its own name")


@dataclass(frozen=True, slots=True)
class Started:
    """The child is ready."""

    child: str
    life: int


@dataclass(frozen=True, slots=True)
class Exited:
    """The child has ended, by itself or because it was stopped. ``at`` is in seconds of a monotonic clock."""

    child: str
    life: int
    reason: Reason
    at: float


@dataclass(frozen=True, slots=True)
class Stalled:
    """The child is live but shows no progress: as good as crashed, once it has been stopped."""

    child: str
    life: int
    at: float


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Somebody wants the whole supervisor to end."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start the child after ``after`` seconds. It counts as live from now on, so it may be stopped before."""

    child: str
    life: int
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the child and report its exit."""

    child: str
    life: int


@dataclass(frozen=True, slots=True)
class Escalate:
    """All children have ended because the supervisor gave up."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """All children have ended and none is to be started: on request, or because all are done."""


Event = Started | Exited | Stalled | StopRequested
Decision = Start | Stop | Escalate | Finished


@dataclass(frozen=True, slots=True)
class Child:
    """Where one child is. ``life`` is the number of its starts so far."""

    spec: ChildSpec
    phase: Phase = "waiting"
    life: int = 0


@dataclass(frozen=True, slots=True)
class Tree:
    """The state of one supervisor. ``restarts`` are the instants of those within the window."""

    spec: SupervisorSpec
    children: tuple[Child, ...]
    mode: Mode = "up"
    restarts: tuple[float, ...] = ()
    delay: float = 0.0
    reason: str = ""

    @property
    def ready(self) -> bool:
        """Whether all children are running or done."""
        return self.mode == "up" and all(child.phase in ("running", "ended") for child in self.children)


Reaction = tuple[Tree, tuple[Decision, ...]]


def begin(spec: SupervisorSpec) -> Reaction:
    """The first state of a supervisor and its first decisions."""
    return _plan(Tree(spec, tuple(Child(child) for child in spec.children)))


def react(tree: Tree, event: Event) -> Reaction:
    """What to do about ``event``. Unknown children, earlier lives and anything after the end change nothing."""
    if tree.mode == "over":
        return tree, ()
    match event:
        case StopRequested():
            return _plan(_close(tree, "stopping", "") if tree.mode == "up" else tree)
        case Started() | Exited() | Stalled():
            index = _live(tree, event.child, event.life)
        case _:
            assert_never(event)
    if index is None:
        return tree, ()
    child = tree.children[index]
    match event:
        case Started():
            return _plan(_set(tree, {index}, "running")) if child.phase == "starting" else (tree, ())
        case Stalled():
            if child.phase not in ("starting", "running"):
                return tree, ()
            return _set(tree, {index}, "stalled"), (Stop(child.spec.name, child.life),)
        case Exited():
            return _plan(_exit(tree, index, event))
        case _:
            assert_never(event)


def _live(tree: Tree, name: str, life: int) -> int | None:
    for index, child in enumerate(tree.children):
        if child.spec.name == name:
            return index if child.life == life and child.phase in LIVE else None
    return None


def _set(tree: Tree, indices: Iterable[int], phase: Phase) -> Tree:
    children = list(tree.children)
    for index in indices:
        children[index] = replace(children[index], phase=phase)
    return replace(tree, children=tuple(children))


def _exit(tree: Tree, index: int, event: Exited) -> Tree:
    """Record the end of a live child; if nobody asked for it and it is to come back, that is a restart."""
    child = tree.children[index]
    asked = child.phase == "stopping"
    failed = event.reason == "error" or child.phase == "stalled"
    keep = child.spec.restart
    if tree.mode != "up" or keep == "temporary" or (keep == "transient" and not failed and not asked):
        return _set(tree, {index}, "ended")
    tree = _set(tree, {index}, "waiting")
    return tree if child.phase in ("condemned", "stopping") else _restart(tree, index, event.at)


def _restart(tree: Tree, index: int, at: float) -> Tree:
    """Count a restart; condemn the children that go down with it, or give up."""
    spec = tree.spec
    restarts = (*(then for then in tree.restarts if at - then <= spec.window), at)
    if len(restarts) > spec.max_restarts:
        name = tree.children[index].spec.name
        reason = f"{name!r} ended, restart {len(restarts)} in {spec.window} s: max_restarts is {spec.max_restarts}"
        return _close(tree, "failing", reason)
    delay = min(spec.backoff * 2 ** min(len(restarts) - 1, 62), spec.max_backoff)
    tree = replace(tree, restarts=restarts, delay=delay)
    match spec.strategy:
        case "one_for_one":
            return tree
        case "one_for_all":
            return _condemn(tree, 0)
        case "rest_for_one":
            return _condemn(tree, index + 1)
        case _:
            assert_never(spec.strategy)


def _condemn(tree: Tree, first: int) -> Tree:
    """All live children from ``first`` on are to be stopped; those that are being stopped count as asked to."""
    later = range(first, len(tree.children))
    tree = _set(tree, [i for i in later if tree.children[i].phase == "stalled"], "stopping")
    return _set(tree, [i for i in later if tree.children[i].phase in ("starting", "running")], "condemned")


def _close(tree: Tree, mode: Mode, reason: str) -> Tree:
    """Bring everything down, for good."""
    waiting = [index for index, child in enumerate(tree.children) if child.phase == "waiting"]
    return _condemn(_set(replace(tree, mode=mode, reason=reason), waiting, "ended"), 0)


def _plan(tree: Tree) -> Reaction:
    """The decisions that bring the children where they should be, as far as their order allows now."""
    tree, stops = _stops(tree)
    tree, starts = _starts(tree)
    if any(child.phase != "ended" for child in tree.children):
        return tree, (*stops, *starts)
    end: Decision = Escalate(tree.reason) if tree.mode == "failing" else Finished()
    return replace(tree, mode="over"), (end,)


def _stops(tree: Tree) -> tuple[Tree, tuple[Stop, ...]]:
    turn = [index for index, child in reversed(tuple(enumerate(tree.children))) if child.phase == "condemned"]
    if tree.spec.strategy != "one_for_one":
        busy = any(child.phase == "stopping" for child in tree.children)
        turn = [] if busy else turn[:1]
    stops = tuple(Stop(tree.children[index].spec.name, tree.children[index].life) for index in turn)
    return _set(tree, turn, "stopping"), stops


def _starts(tree: Tree) -> tuple[Tree, tuple[Start, ...]]:
    turn = [index for index, child in enumerate(tree.children) if child.phase == "waiting"]
    if tree.spec.strategy != "one_for_one":
        busy = any(child.phase in LIVE - {"running"} for child in tree.children)
        turn = [] if busy else turn[:1]
    children, starts, delay = list(tree.children), list[Start](), tree.delay
    for index in turn:
        child = children[index] = replace(children[index], phase="starting", life=children[index].life + 1)
        starts.append(Start(child.spec.name, child.life, delay))
        delay = 0.0
    return replace(tree, children=tuple(children), delay=delay), tuple(starts)
