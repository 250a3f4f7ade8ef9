"""Shell: carries an agent's run on: ``decide``, do it, fold, again, until it ends or is suspended."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import anyio

from callboard.actors.code import AgentCode, Ports
from callboard.actors.commands import Backoff, CallModel, CallTools, CheckOutput, End, Suspend, Verify, Write
from callboard.actors.contents import unpack
from callboard.actors.decide import decide
from callboard.actors.effects import within_deadline
from callboard.actors.model_calls import call_model
from callboard.actors.output_check import check_output
from callboard.actors.owner import Owner
from callboard.actors.ownership import Paused
from callboard.actors.pauses import hold
from callboard.actors.prefix import Told
from callboard.actors.suspend import Idle, publish_children, suspend
from callboard.actors.tool_calls import call_tools, verify_calls
from callboard.actors.warming import warm_up
from callboard.config.spec import AgentSpec
from callboard.models.port import ChatModel


async def run_agent(
    owner: Owner, spec: AgentSpec, code: AgentCode, *, models: Sequence[ChatModel | None], ports: Ports, idle: Idle
) -> None:
    """Run until the terminal or the suspension is in the journal. ``models`` are those of ``spec.every_model``.

    None of them: this worker cannot ask it. Raises ``OwnershipLost``.
    """
    assert owner.view.created is not None
    given, told, decision = await unpack(owner.view.created.input, ports.blobs), Told(), decide
    if owner.view.created.warm:
        spec, decision = spec.model_copy(update={"fallbacks": ()}), warm_up
    while True:
        now = ports.clock.now()
        command = hold(decision(owner.view, spec, now, run=owner.key), owner.view, now)
        match command:
            case Write(events):
                owner.defer(*events)
            case CallModel():
                with suppress(Paused):
                    await call_model(owner, command, spec=spec, given=given, models=models, told=told, ports=ports)
            case CallTools():
                await publish_children(owner, ports=ports, idle=idle)  # they need not wait for the tools of their turn
                with suppress(Paused):
                    await call_tools(owner, command, spec=spec, code=code, ports=ports)
            case Verify(calls):
                await verify_calls(owner, calls, code=code, ports=ports)
            case Backoff(until):
                await owner.flush()
                left = max(0.0, (until - ports.clock.now()).total_seconds())
                await anyio.sleep(within_deadline(owner, left, ports))
            case Suspend() | CheckOutput() | End():
                if await _leaves(owner, command, spec=spec, code=code, ports=ports, idle=idle):
                    return


async def _leaves(
    owner: Owner, command: Suspend | CheckOutput | End, *, spec: AgentSpec, code: AgentCode, ports: Ports, idle: Idle
) -> bool:
    """Do what may be the last thing here. Returns whether it is; if not, something came in between."""
    match command:
        case Suspend(waits):
            return await suspend(owner, waits, ports=ports, idle=idle)
        case CheckOutput():
            return await check_output(owner, command, spec=spec, code=code, ports=ports)
        case End(event):
            return await owner.conclude(event)
