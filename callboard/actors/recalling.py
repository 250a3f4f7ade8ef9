"""Shell: results of a run out of its own journal: what was taken out of a model's context is still there."""

from __future__ import annotations

from pydantic import JsonValue

from callboard.actors.contents import unpack
from callboard.actors.conversation import outcome_of
from callboard.actors.identity import child_id
from callboard.actors.owner import Owner
from callboard.bus.messages import ModelResponded
from callboard.bus.ports import Blobs
from callboard.errors import ToolError


async def earlier_result(owner: Owner, blobs: Blobs, call: str) -> JsonValue:
    """The whole result of a call of the run, a delegation's too. Raises ``ToolError`` if there is none."""
    state, run = owner.view, owner.key.run
    turns = (turn for turn in state.turns if isinstance(turn, ModelResponded))
    asked = next((each for turn in turns for each in turn.tool_calls if each.id == call), None)
    if asked is None:
        raise ToolError("unknown_call", f"there is no call {call!r}: the id stands where its result was")
    outcome = outcome_of(state, asked, run)
    if outcome.is_error:
        return outcome.content
    finished = state.finished.get(child_id(run, call))
    return await unpack(state.calls[call].result if finished is None else finished.result, blobs)
