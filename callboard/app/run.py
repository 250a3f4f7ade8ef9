"""Shell: one run, seen from outside: follow it, wait for it, write to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final, Literal, assert_never, overload

import anyio
from pydantic import JsonValue

from callboard.actors.contents import unpack
from callboard.actors.fold import EMPTY, replay
from callboard.actors.kill import Killer
from callboard.actors.pauses import in_force
from callboard.actors.receipt import Receipt
from callboard.actors.state import RunState
from callboard.app.run_event import After, RunEvent, TextEvent, run_events
from callboard.app.text_events import events_with_text
from callboard.bus.bus import Bus
from callboard.bus.deltas import ModelDelta
from callboard.bus.messages import (
    Content,
    Record,
    RunCompleted,
    RunFailed,
    RunKilled,
    RunPaused,
    RunResumed,
    RunSteered,
    SignalReceived,
    ToolResolved,
)
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.errors import RunFailed as RunFailedError
from callboard.errors import RunKilled as RunKilledError

PERSON: Final = "person"
"""The name of the pause that people make."""


class Run:
    """A run by its id. Made by a ``Board``; holds nothing, costs nothing, and need not exist yet."""

    def __init__(self, bus: Bus, key: RunKey, *, by: str) -> None:
        self.key = key
        self._bus = bus
        self._by = by

    def __repr__(self) -> str:
        return f"Run({str(self.key)!r})"

    @property
    def id(self) -> str:
        """The run's id, unique in its tenant."""
        return self.key.run

    @property
    def tenant(self) -> str:
        """The run's tenant."""
        return self.key.tenant

    async def result(self, timeout: float | None = None) -> JsonValue:
        """Wait for the end and return the result.

        Raises ``RunFailed``, ``RunKilled``, or ``TimeoutError`` after ``timeout`` seconds; the run goes on then.
        """
        with anyio.fail_after(timeout):
            state = EMPTY
            async with self._bus.watch.follow(self.key) as entries:
                async for entry in entries:
                    state = replay((entry,), state)
                    if state.terminal is not None:
                        return await self._outcome(state.terminal)
        raise AssertionError("a journal is followed until its terminal")

    @overload
    def events(self, after: After = 0) -> AsyncGenerator[RunEvent]: ...

    @overload
    def events(
        self, after: After = 0, *, tokens: Literal[True] | ModelDelta
    ) -> AsyncGenerator[RunEvent | TextEvent]: ...

    def events(
        self, after: After = 0, *, tokens: bool | ModelDelta = False
    ) -> AsyncGenerator[RunEvent] | AsyncGenerator[RunEvent | TextEvent]:
        """What happened and what happens, in order, once each; ends with the run.

        ``after``: the last event that you have had; or a sequence, all of whose events you have had.

        With ``tokens`` also the text of answers, as it grows: each ``model.responded`` comes behind the whole of its
        text. Whoever comes back hands in the last piece that it got (a ``ModelDelta``), and gets what is behind it.
        Close it (``aclosing``) to leave early.
        """
        if tokens is False:
            return self._events(after)
        return events_with_text(self._bus, self.key, after=after, last=None if tokens is True else tokens)

    async def _events(self, after: After) -> AsyncGenerator[RunEvent]:
        state = EMPTY
        async with self._bus.watch.follow(self.key) as entries:
            async for entry in entries:
                state = replay((entry,), state)
                for event in run_events(entry, after=after):
                    yield event
                if state.terminal is not None:
                    return

    async def history(self) -> tuple[Stored, ...]:
        """The journal as it is now; empty if no worker has taken up the run yet."""
        return tuple(await self._bus.journals.read(self.key))

    async def state(self) -> RunState:
        """The fold of the journal as it is now."""
        return replay(await self.history())

    async def kill(self, reason: str) -> Receipt:
        """End the run and everything that it spawned; the receipt says what is certain. Fine to repeat."""
        killer = Killer(self._bus.journals, self._bus.watch, self._bus.clock)
        return await killer.kill(self.key, reason=reason, by=self._by)

    async def steer(self, text: str) -> None:
        """Leave a note that the agent reads before its next turn."""
        await self._signal(RunSteered(text=text, by=self._by))

    async def pause(self, reason: str = "") -> None:
        """Let none of its effects start any more until ``resume``. What runs ends; its children wait too."""
        await self._signal(RunPaused(name=PERSON, reason=reason, by=self._by))

    async def resume(self) -> tuple[str, ...]:
        """End all its pauses, those of guards too. Returns their names: none if it was not paused."""
        names = tuple(pause.name for pause in in_force(await self.state(), self._bus.clock.now()))
        for name in names:
            await self._signal(RunResumed(name=name, by=self._by))
        return names

    async def send(self, name: str, value: JsonValue = None) -> None:
        """Send the signal that the run waits for, or will wait for, by ``name``. The first one of a name counts."""
        await self._signal(SignalReceived(name=name, value=value, by=self._by))

    async def resolve(self, call: str, decision: Literal["done", "retry", "fail"], value: JsonValue = None) -> None:
        """Say what became of a call in doubt: it is ``done`` with ``value`` as its result, may ``retry``, or failed."""
        await self._signal(ToolResolved(call=call, decision=decision, value=value, by=self._by))

    async def content(self, content: Content) -> JsonValue:
        """The whole of what an event carries, also when it lies in the object store."""
        return await unpack(content, self._bus.blobs)

    async def _outcome(self, terminal: RunCompleted | RunFailed | RunKilled) -> JsonValue:
        match terminal:
            case RunCompleted(result=result):
                return await self.content(result)
            case RunFailed(problem=problem):
                hint = f" ({problem.hint})" if problem.hint else ""
                raise RunFailedError(self.id, problem.kind, f"{problem.kind}: {problem.message}{hint}")
            case RunKilled(reason=reason, by=by):
                raise RunKilledError(self.id, reason, by)
            case _:
                assert_never(terminal)

    async def _signal(self, event: RunSteered | RunPaused | RunResumed | SignalReceived | ToolResolved) -> None:
        clock = self._bus.clock
        await self._bus.journals.signal(self.key, Record(id=clock.new_id(), at=clock.now(), events=(event,)))
