"""Shell: function workers. A plain async function whose steps are recorded once; it is played again after a takeover.

Steps are keyed by name and occurrence (the second ``fetch`` is ``fetch#2``): code between steps may run again, a
recorded step never does. No determinism rules beyond distinct names for steps that run at the same time.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
from pydantic import JsonValue

from callboard.actors.code import AgentCode, Body, Ports, WorkerFunction
from callboard.actors.contents import pack, unpack
from callboard.actors.decide import doubts, limit_reached
from callboard.actors.groups import first
from callboard.actors.owner import Owner
from callboard.actors.ownership import OwnershipLost
from callboard.actors.run_context import RunContext
from callboard.actors.suspend import Idle, suspend
from callboard.bus.messages import Problem, RunCompleted, RunFailed, Wait
from callboard.config.guards import FUNCTION_GUARDS
from callboard.config.spec import AgentSpec, Limits
from callboard.errors import BusError, CallboardError, ConfigError, RunKilled, ToolError
from callboard.log import get_logger
from callboard.tools.execute import is_cancelled, json_value

log = get_logger(__name__)


def worker(name: str, *, description: str = "", limits: Limits | None = None) -> Callable[[Body], WorkerFunction]:
    """Make the decorated ``async def f(task, run)`` the code of the agent ``name``. Raises ``ConfigError``."""
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance] - @worker without parentheses
        raise ConfigError("@worker needs the agent's name: write @worker('code_review')")

    def decorate(body: Body) -> WorkerFunction:
        try:
            spec = AgentSpec(
                name=name,
                kind="function",
                description=description or (body.__doc__ or ""),
                limits=limits or Limits(),
                guards=FUNCTION_GUARDS,
            )
        except ValueError as error:
            raise ConfigError(f"@worker name is {name!r}: use 1 to 64 letters, digits, '_' or '-'") from error
        return WorkerFunction(spec, body)

    return decorate


async def run_function(owner: Owner, spec: AgentSpec, code: AgentCode, *, ports: Ports, idle: Idle) -> None:
    """Play the function until the terminal or the suspension is in the journal. Raises ``OwnershipLost``."""
    assert owner.view.created is not None
    assert code.function is not None
    given = await unpack(owner.view.created.input, ports.blobs)
    owner.defer(*doubts(owner.view))
    while True:
        ended = await _play(owner, code.function, given, spec=spec, ports=ports, idle=idle)
        match ended:
            case RunCompleted() | RunFailed():
                while not await owner.conclude(ended):
                    pass  # a signal came in between: it is folded, and does not change how the function ended
                return
            case waits:
                if await suspend(owner, waits, ports=ports, idle=idle):
                    return


async def _play(
    owner: Owner, function: WorkerFunction, given: JsonValue, *, spec: AgentSpec, ports: Ports, idle: Idle
) -> RunCompleted | RunFailed | tuple[tuple[Wait, ...], ...]:
    run = RunContext(owner, spec=spec, ports=ports, idle=idle)
    ended: RunCompleted | RunFailed | None = None
    if over := limit_reached(owner.view, ports.clock.now()):
        return over.event
    with anyio.move_on_after(run.seconds_left):
        async with run.playing():
            ended = await _call(function, given, run, ports)
    if ended is not None:
        return ended
    over = limit_reached(owner.view, ports.clock.now())
    return over.event if over else run.parked


async def _call(function: WorkerFunction, given: JsonValue, run: RunContext, ports: Ports) -> RunCompleted | RunFailed:
    try:
        value = json_value(await function(given, run))
        return RunCompleted(result=await pack(value, ports.blobs))
    except BusError:
        raise
    except anyio.get_cancelled_exc_class() as error:
        if is_cancelled():
            raise
        return RunFailed(problem=_problem(error))
    except (Exception, SystemExit) as error:
        leaf = first(error)
        if isinstance(leaf, OwnershipLost | BusError):
            raise leaf from error
        log.exception("function failed", run=run.id)
        return RunFailed(problem=_problem(leaf))


def _problem(error: BaseException) -> Problem:
    match error:
        case ToolError():
            return Problem(kind=error.kind, message=str(error)[:4_000])
        case RunKilled():
            return Problem(kind="child_killed", message=str(error)[:4_000])
        case CallboardError():
            return Problem(kind=_snake(type(error).__name__), message=str(error)[:4_000])
        case _:
            return Problem(kind="function_raised", message=f"{type(error).__name__}: {error}"[:4_000])


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
