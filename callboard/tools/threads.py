"""Shell: sync functions in threads that can be stopped.

Each call has a daemon thread of its own: there is no pool to fill up, and none that holds the interpreter's exit. A
stop raises ``Stopped`` in the thread, again and again until it ends. Python delivers it between two bytecodes, so a
thread that sits in C code ends only when that call returns; it is given up after ``GRACE`` seconds, what it still
returns is dropped, and ``still_running`` names it for as long as it lives. The stop stays pending for it, so that it
does nothing more when the call returns. On Python 3.11 a tracer (a debugger, coverage) hangs while one is pending.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar, cast

import anyio

from callboard.tools.context import ToolContext

GRACE: Final = 1.0
"""Seconds that a stop waits for the thread."""
_COURTESY: Final = 0.05
"""Seconds in which a tool that polls ``cancelled()`` may end by itself."""
_SLOWEST: Final = 1.0
"""Seconds between two attempts on a thread that does not end."""
_CHECKS: Final = 10
"""Turns of an empty loop, each of which lets a pending exception in; one would do."""

T = TypeVar("T")


class Stopped(BaseException):  # no Exception, so that `except Exception` lets it out
    """Raised inside a tool's thread when its call is over."""


@dataclass(frozen=True, slots=True)
class Running:
    """A call whose thread could not be stopped."""

    run: str
    call: str
    tool: str


async def run_in_thread(work: Callable[[], T], *, tool: str, context: ToolContext) -> T:
    """Run ``work`` in a thread of its own. Cancelled, it stops the thread and waits up to ``GRACE`` for its end."""
    while True:
        thread = _ToolThread(work, tool=tool, context=context)
        thread.start()
        try:
            await thread.done.wait()
        except anyio.get_cancelled_exc_class():
            await thread.stop()
            raise
        if not thread.late:
            return cast("T", thread.result())
        assert context.window is not None
        await context.window.reopen()


def still_running(run: str | None = None) -> tuple[Running, ...]:
    """The calls (of ``run``, or all) that were given up and whose thread is still alive."""
    threads = [thread for thread in threading.enumerate() if isinstance(thread, _ToolThread) and thread.given_up]
    labels = [Running(thread.context.run, thread.context.call, thread.tool) for thread in threads]
    return tuple(label for label in labels if run is None or label.run == run)


class _ToolThread(threading.Thread):
    """One call. Subclasses ``Thread`` because ``threading.enumerate()`` is then the register of what is alive."""

    def __init__(self, work: Callable[[], object], *, tool: str, context: ToolContext) -> None:
        super().__init__(name=f"tool {tool}", daemon=True)
        self.tool = tool
        self.context = context
        self.given_up = False
        self.late = False
        """Did it get to run when the start window was over? Then it has not called the work."""
        self.done = anyio.Event()
        self._work = work
        self._variables = contextvars.copy_context()
        self._loop = asyncio.get_running_loop()
        self._outcome: tuple[object] | BaseException | None = None
        self._lock = threading.Lock()
        self._stopping = False
        self._stoppable = False

    def run(self) -> None:
        # A Stopped may still land between the end of the work and _close().
        with contextlib.suppress(Stopped):
            try:
                with self._lock:
                    if self._stopping:
                        return
                    self._stoppable = True
                if self.context.window is not None and not self.context.window.is_open():
                    self.late = True
                    return
                self._outcome = (self._variables.run(self._work),)
            except BaseException as error:  # noqa: BLE001  # handed to the caller by result()
                self._outcome = error
            finally:
                self._close()
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    self._loop.call_soon_threadsafe(self.done.set)

    def result(self) -> object:
        """What the work returned or raised; once."""
        outcome, self._outcome = self._outcome, None
        if isinstance(outcome, tuple):
            return outcome[0]
        assert outcome is not None
        raise outcome

    async def stop(self) -> None:
        """Stop the work. Returns when the thread is done, or has been given up."""
        self.context.stop.set()
        with self._lock:
            self._stopping = True
        threading.Thread(target=self._keep_stopping, name=f"stop {self.name}", daemon=True).start()
        with anyio.move_on_after(GRACE, shield=True):
            await self.done.wait()
        if not self.done.is_set():
            self.given_up = True
            where = {"run": self.context.run, "call": self.context.call, "tool": self.tool}
            self.context.log.warning("tool is still running, its thread cannot be stopped", **where)

    def _keep_stopping(self) -> None:
        pause = _COURTESY
        self.join(pause)
        while self.is_alive():
            with self._lock:
                if self._stoppable:
                    _raise_stopped(self.ident)
            self.join(pause)
            pause = min(pause * 1.1, _SLOWEST)

    def _close(self) -> None:
        """From here on nothing is raised in this thread; what is on its way already is let in and dropped.

        Taking it back (``SetAsyncExc`` with NULL) would leave the interpreter's pending flag set on Python 3.11: all
        calls in the process are then slower for good, and under a tracer they never return.
        """
        while True:
            try:
                with self._lock:
                    self._stoppable = False
                for _ in range(_CHECKS):
                    pass
            except Stopped:
                continue
            return


def _raise_stopped(ident: int | None) -> None:
    """Raise ``Stopped`` in the thread at its next bytecode that looks for it."""
    assert ident is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Stopped))
