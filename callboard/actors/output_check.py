"""Shell: an answer is checked in a thread of its own: the validators of a class are the user's code, and may hang."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from typing import Final

import anyio

from callboard.actors.code import AgentCode, Ports
from callboard.actors.commands import CheckOutput
from callboard.actors.contents import pack, unpack
from callboard.actors.decide import decide
from callboard.actors.effects import within_deadline
from callboard.actors.output import Checked, Fit, checked, failure, rejected
from callboard.actors.owner import Owner
from callboard.bus.messages import OutputRejected, RunCompleted, RunFailed
from callboard.config.spec import AgentSpec
from callboard.config.times import duration
from callboard.errors import BusError
from callboard.log import get_logger
from callboard.tools.context import ToolContext
from callboard.tools.threads import run_in_thread

log = get_logger(__name__)
CHECK_SECONDS: Final = 10.0
"""What the check of one answer may take."""
_AT_FAULT: Final = "the validators of the class are at fault, not the answer: let them raise ValueError, and soon"


async def check_output(owner: Owner, command: CheckOutput, *, spec: AgentSpec, code: AgentCode, ports: Ports) -> bool:
    """Check the last answer, and leave what comes of it as a fact. Returns whether that ended the run.

    The run keeps its schema: a class that has another one by now does not judge its answers.
    """
    await owner.flush()  # the answer is paid for, and what follows may end this process
    text = "".join([str(await unpack(part, ports.blobs)) for part in command.parts])
    model = code.output if code.spec.output == spec.output else None
    verdict = await _verdict(owner, command, partial(checked, text, spec.output or {}, model), ports)
    if decide(owner.view, spec, ports.clock.now(), run=owner.key) != command:
        return False  # a note came meanwhile, or the time is over
    if not isinstance(verdict, OutputRejected):
        return await owner.conclude(verdict)
    owner.defer(verdict)
    return False


async def _verdict(
    owner: Owner, command: CheckOutput, work: Callable[[], Checked], ports: Ports
) -> OutputRejected | RunCompleted | RunFailed:
    seconds, key = within_deadline(owner, CHECK_SECONDS, ports), owner.key
    context = ToolContext(run=key.run, tenant=key.tenant, call=command.call, key="", deadline=seconds)
    try:
        with anyio.move_on_after(seconds):
            found = await run_in_thread(work, tool="output", context=context)
            if isinstance(found, Fit):
                return RunCompleted(result=await pack(found.data, ports.blobs))
            return rejected(command, found)
    except BusError:
        raise
    except (Exception, SystemExit) as error:  # whatever it raises must not end its worker
        log.exception("the check of an answer crashed", run=key.run, call=command.call)
        reason = "".join(traceback.format_exception_only(error)).strip()[:1_000]
        return failure(command, "output_check_failed", f"the check of its answer raised {reason}", hint=_AT_FAULT)
    late = f"the check of its answer took longer than {duration(seconds)}"
    return failure(command, "output_check_failed", late, hint=_AT_FAULT)
