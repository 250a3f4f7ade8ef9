"""Shell: carries out what the supervision tree decides: starts children, stops them in order, reports their ends.

A child is an async callable ``run(ready)`` that sets ``ready`` when it is ready and runs until it ends: an actor's
``run``, an OS process (``process_child``), or another ``supervisor``. A restart calls it again, so it must make its
state anew: ``lambda ready: Counter().run(ready)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import assert_never

import anyio
from anyio import CancelScope, create_memory_object_stream, create_task_group, get_cancelled_exc_class
from anyio.abc import TaskGroup

from callboard.actors.actor import Run, sole
from callboard.clock import Clock, SystemClock
from callboard.errors import Bug, CallboardError
from callboard.log import get_logger
from callboard.supervisors import tree
from callboard.supervisors.tree import (
    ChildSpec,
    Escalate,
    Exited,
    Finished,
    Reason,
    Stalled,
    Start,
    Started,
    Stop,
    StopRequested,
    SupervisorSpec,
)

OnEvent = Callable[[tree.Event | tree.Decision], None]
_log = get_logger("callboard.supervisor")


class SupervisionFailed(CallboardError):
    """The children ended more often than the supervisor may restart them. ``errors``: the last one of each child."""

    def __init__(self, reason: str, errors: Mapping[str, BaseException]) -> None:
        shown = "; ".join(f"{child}: {error!r}" for child, error in errors.items())
        super().__init__(f"{reason} (last errors: {shown or 'none'})")
        self.reason = reason
        self.errors = errors


def supervisor(
    spec: SupervisorSpec, children: Mapping[str, Run], *, on_event: OnEvent | None = None, clock: Clock | None = None
) -> Run:
    """A supervisor as a child: nest it, have it ``running``, or ``supervise``.

    It is ready when all children are; it returns when all are done for good, raises ``SupervisionFailed`` when it
    gives up, and on cancellation stops the children in order before it ends. A child that does not end when it is
    cancelled is logged after its ``shutdown`` and holds the supervisor: only a process of its own can be ended against
    its will. ``on_event`` hears each event and decision, and must neither block nor raise.
    """
    names = {child.name for child in spec.children}
    if names != set(children):
        raise Bug(f"the spec has the children {sorted(names)!r}, the callables are {sorted(children)!r}: give both")

    async def run(ready: anyio.Event) -> None:
        await _Shell(spec, children, on_event or _ignore, clock or SystemClock()).run(ready)

    return run


async def supervise(
    spec: SupervisorSpec, children: Mapping[str, Run], *, on_event: OnEvent | None = None, clock: Clock | None = None
) -> None:
    """Run a ``supervisor`` until it ends."""
    await supervisor(spec, children, on_event=on_event, clock=clock)(anyio.Event())


def _ignore(_: tree.Event | tree.Decision) -> None:
    """Hear nothing."""


class _Life:
    """A live child: how to cancel it, and how to see that it has ended."""

    def __init__(self) -> None:
        self.scope = CancelScope()
        self.ended = anyio.Event()


class _Shell:
    """One run of a supervisor."""

    def __init__(self, spec: SupervisorSpec, children: Mapping[str, Run], on_event: OnEvent, clock: Clock) -> None:
        self._spec = spec
        self._specs = {child.name: child for child in spec.children}
        self._children = children
        self._on_event = on_event
        self._clock = clock
        self._lives: dict[tuple[str, int], _Life] = {}
        self._errors: dict[str, BaseException] = {}
        self._events, self._inbox = create_memory_object_stream[tree.Event](math.inf)
        self._tasks: TaskGroup
        self._failure: BaseException | None = None

    async def run(self, ready: anyio.Event) -> None:
        """Until the tree is over. The loop is shielded, so that a cancellation becomes a stop in order."""
        try:
            with self._events, self._inbox:
                async with create_task_group() as host:
                    host.start_soon(self._stop_when_cancelled)
                    host.start_soon(self._loop, ready, host.cancel_scope)
        except BaseExceptionGroup as group:
            self._failure = sole(group)
        if self._failure is not None:
            raise self._failure

    async def _stop_when_cancelled(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self._events.send_nowait(StopRequested())

    async def _loop(self, ready: anyio.Event, host: CancelScope) -> None:
        with CancelScope(shield=True):
            async with create_task_group() as self._tasks:
                state, decisions = tree.begin(self._spec)
                self._carry_out(decisions)
                while state.mode != "over":
                    if state.ready:
                        ready.set()
                    event = await self._inbox.receive()
                    self._on_event(event)
                    state, decisions = tree.react(state, event)
                    self._carry_out(decisions)
        host.cancel()

    def _carry_out(self, decisions: Sequence[tree.Decision]) -> None:
        for decision in decisions:
            self._on_event(decision)
            match decision:
                case Start():
                    self._start(decision)
                case Stop(child, life):
                    self._tasks.start_soon(self._stop, self._specs[child], life)
                case Escalate(reason):
                    _log.error("supervisor gives up", reason=reason)
                    self._failure = SupervisionFailed(reason, self._errors)
                    self._failure.__cause__ = next(reversed(self._errors.values()), None)
                case Finished():
                    pass
                case _:
                    assert_never(decision)

    def _start(self, start: Start) -> None:
        if start.life > 1:
            reason = repr(self._errors[start.child]) if start.child in self._errors else "ended normally"
            _log.warning("child restarts", child=start.child, life=start.life, after=start.after, reason=reason)
        life = self._lives[start.child, start.life] = _Life()
        self._tasks.start_soon(self._live, start, life)

    async def _live(self, start: Start, life: _Life) -> None:
        """One life of a child, whose end is always reported: also that of a child that ends as if cancelled."""
        error: BaseException | None = None
        try:
            with life.scope:
                await anyio.sleep(start.after)
                async with create_task_group() as tasks:
                    ready = anyio.Event()
                    tasks.start_soon(self._await_ready, start, ready)
                    await self._children[start.child](ready)
                    tasks.cancel_scope.cancel()
        except get_cancelled_exc_class() as stray:
            if self._tasks.cancel_scope.cancel_called:
                raise
            error = stray
        except ExceptionGroup as group:
            error = sole(group)
        self._report(start, life, error)

    def _report(self, start: Start, life: _Life, error: BaseException | None) -> None:
        self._errors.pop(start.child, None)
        reason: Reason = "normal"
        if error is not None:
            reason, self._errors[start.child] = "error", error
            _log.error("child failed", child=start.child, life=start.life, reason=repr(error))
        del self._lives[start.child, start.life]
        life.ended.set()
        self._tell(Exited(start.child, start.life, reason, self._clock.monotonic()))

    async def _await_ready(self, start: Start, ready: anyio.Event) -> None:
        within = self._specs[start.child].ready_within
        with anyio.move_on_after(within) as deadline:
            await ready.wait()
        if deadline.cancelled_caught:
            _log.error("child is not ready in time", child=start.child, life=start.life, within=within)
            self._tell(Stalled(start.child, start.life, self._clock.monotonic()))
        else:
            self._tell(Started(start.child, start.life))

    async def _stop(self, child: ChildSpec, life: int) -> None:
        if (live := self._lives.get((child.name, life))) is None:
            return
        live.scope.cancel()
        with anyio.move_on_after(child.shutdown) as deadline:
            await live.ended.wait()
        if deadline.cancelled_caught:
            _log.error("child does not stop", child=child.name, life=life, shutdown=child.shutdown)

    def _tell(self, event: tree.Event) -> None:
        self._events.send_nowait(event)
