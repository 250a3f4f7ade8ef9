"""Pure: how one answer is sent: which chunks, and how it ends, with or without a fault."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from callboard.testing import anthropic_wire, chat_wire, responses_wire
from callboard.testing.faults import Fault, error_event, garbled
from callboard.testing.script import Answer, Call, Frame, Reply, Request


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent. ``begin``: whether the head of the answer is. ``whole``: whether the client has all of it then.

    ``ending``: ``stall`` lasts ``seconds``, or until the client leaves; then it is a ``drop``.
    """

    frames: Sequence[Frame]
    ending: Literal["end", "drop", "stall"] = "end"
    begin: bool = True
    whole: bool = True
    seconds: float | None = None


def changed(reply: Reply, fault: Fault | None) -> Reply:
    """The reply that a fault makes of it."""
    if fault is not None and fault.kind == "slow":
        return replace(reply, first=fault.seconds or 0.0)
    if fault is not None and fault.kind == "bad_arguments":
        calls = tuple(Call(call.name, call.wire_arguments[:-1] + ",", call.id) for call in reply.calls)
        return replace(reply, calls=calls)
    return reply


def plan(answer: Answer, request: Request, fault: Fault | None) -> Plan:
    """How ``answer`` is sent."""
    frames = _frames(answer, request)
    if fault is None or fault.kind not in {"drop", "truncate", "stall", "garble", "error_event"}:
        return Plan(frames)
    terminal = next(at for at, frame in enumerate(frames) if frame.terminal)
    at = terminal if fault.after is None else min(fault.after, terminal)
    if fault.kind == "drop" or fault.kind == "stall":  # noqa: PLR1714 - as a set, the type is not narrowed
        ending = fault.kind
        begin = fault.after is not None
        return Plan(frames[:at] if begin else (), ending, begin=begin, whole=False, seconds=fault.seconds)
    if fault.kind == "truncate":
        return Plan(frames[:at], whole=False)
    if fault.kind == "garble":
        return Plan([*frames[:at], garbled(frames[at]), *frames[at + 1 :]], whole=False)
    said = frames[at - 1].said if at else 0
    return Plan([*frames[:at], error_event(fault, request, number=at, said=said)], whole=False)


def _frames(answer: Answer, request: Request) -> list[Frame]:
    """The chunks; without streaming it is one, the body."""
    if not request.body.get("stream"):
        return [Frame(json.dumps(_whole(answer, request), ensure_ascii=False), said=answer.reply.size, terminal=True)]
    if request.wire == "anthropic":
        return [*anthropic_wire.stream(answer)]
    if request.wire == "openai":
        return [*responses_wire.stream(answer)]
    return [*chat_wire.stream(answer, request.body)]


def _whole(answer: Answer, request: Request) -> Mapping[str, Any]:
    if request.wire == "anthropic":
        return anthropic_wire.whole(answer)
    return responses_wire.whole(answer) if request.wire == "openai" else chat_wire.whole(answer)
