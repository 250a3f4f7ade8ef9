"""Each request of a run begins with the one before it, on each wire: prompt caches work by construction."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.actors.conversation import conversation
from callboard.actors.fold import replay
from callboard.actors.prefix import Told, prefix_of
from callboard.bus.codec import decode_record, encode
from callboard.bus.messages import (
    Content,
    ModelRequested,
    ModelResponded,
    Problem,
    RunSteered,
    ToolCall,
    ToolInDoubt,
    ToolRequested,
    ToolResolved,
    ToolReturned,
)
from callboard.bus.ports import Stored
from callboard.config.spec import AgentSpec, ModelChoice, ToolSpec
from callboard.models.anthropic.wire import body_of
from callboard.models.openai import chat_wire, responses_wire
from callboard.models.port import ChatRequest
from tests.support.journals import claimed, extend

MODELS = {
    "anthropic": ModelChoice(provider="anthropic", name="claude"),
    "openai": ModelChoice(provider="openai", name="gpt-6-astra"),
    "openai-chat": ModelChoice(provider="openai-chat", name="qwen"),
}
BODIES = {
    "anthropic": body_of,
    "openai": responses_wire.request_body,
    "openai-chat": lambda request: chat_wire.request_body(request, at_openai=False),
}
each_wire = pytest.mark.parametrize("wire", MODELS)
PARAMETERS = {"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "integer"}}, "required": ["z"]}
TOOLS = (ToolSpec(name="look", description="Look.", parameters=PARAMETERS), ToolSpec(name="add"))
SPEC = AgentSpec(name="a", model=MODELS["anthropic"], system="You look. Then you say.", tools=TOOLS)
ARGUMENTS = ({}, {"z": "x", "a": 1}, {"a": 1, "z": "ü"}, None, "no object")
RESULTS = ("fine", "", {"b": [1, {"y": None, "x": 2.5}], "a": True}, None, [])


# ---- runs ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Turn:
    """An answer with so many calls, who gave it and how, and which notes came before it, between, and behind it."""

    calls: int = 1
    text: str = "hm"
    by: str = "anthropic"
    signed: bool = False
    arguments: Any = None
    result: Any = "fine"
    broken: bool = False
    early: bool = False
    between: bool = False
    late: bool = False


def run_of(turns: Sequence[Turn]) -> Iterator[tuple[Stored, ...]]:
    """The journal of a run as it is at each of its model calls."""
    entries = extend((), claimed(input=Content(value={"task": "look", "at": ["this"]})))
    for number, turn in enumerate(turns, 1):
        yield entries
        call = f"m{number}"
        asked = tuple(
            ToolCall(id=f"{call}.{at}", name="look", arguments=turn.arguments) for at in range(turn.calls)
        )  # fmt: skip
        blocks = Content(value=list(_blocks(turn, call))) if turn.signed else Content()
        answer = ModelResponded(call=call, text=Content(value=turn.text), tool_calls=asked, blocks=blocks)
        entries = extend(entries, ModelRequested(call=call, model=MODELS[turn.by].label))
        if turn.early:
            entries = extend(entries, RunSteered(text=f"early {number}", by="me"))
        entries = extend(entries, answer)
        for at, each in enumerate(asked):
            problem = Problem(kind="broken", message="it broke") if turn.broken else None
            entries = extend(entries, ToolRequested(call=each.id, tool="look"))
            if turn.between and not at:
                entries = extend(entries, RunSteered(text=f"between {number}"))
            entries = extend(
                entries, ToolReturned(call=each.id, result=Content(value=turn.result), problem=problem)
            )  # fmt: skip
        if turn.late or not asked:
            entries = extend(entries, RunSteered(text=f"late {number}", by="me", guard="loop" if turn.broken else ""))
    yield entries


def _blocks(turn: Turn, call: str) -> Iterator[dict[str, Any]]:
    """An answer as its provider said it."""
    if turn.by == "openai":
        yield {"type": "reasoning", "id": f"rs_{call}", "summary": [], "encrypted_content": "x"}
        for at in range(turn.calls):
            yield {"type": "function_call", "call_id": f"c{call}{at}", "name": "look", "arguments": "{}"}
        return
    if turn.by == "anthropic":
        yield {"type": "thinking", "thinking": "hm", "signature": "PLACEHOLDER"}
        for at in range(turn.calls):
            yield {"type": "tool_use", "id": f"toolu_{call}{at}", "name": "look", "input": {}}


def request_of(wire: str, entries: Sequence[Stored], spec: AgentSpec = SPEC) -> ChatRequest:
    """What ``wire`` is asked when the journal is as long as this."""
    messages = conversation(replay(entries), {"task": "look", "at": ["this"]}, run="r", tools=spec.tools)
    return ChatRequest(
        model=MODELS[wire], system=spec.system, messages=messages, tools=spec.tools,
        attempt=1, call="m", run="r", input="", timeout=1.0,
    )  # fmt: skip


def told_by(wire: str, body: dict[str, Any]) -> list[str]:
    """What the cache goes by, piece by piece: tools, system, history; without the marks, which are not read."""
    head = [*body.get("tools", ()), body.get("instructions")]
    if wire == "openai":
        return [json.dumps(each) for each in (*head, *body["input"])]
    if wire == "openai-chat":
        return [json.dumps(each) for each in (*head, *body["messages"])]
    bare = [
        [message["role"], {name: value for name, value in block.items() if name != "cache_control"}]
        for message in body["messages"]
        for block in message["content"]
    ]
    tools = ({name: value for name, value in tool.items() if name != "cache_control"} for tool in body["tools"])
    return [json.dumps(each) for each in (*tools, *(block["text"] for block in body["system"]), *bare)]


def begins_with(wire: str, now: list[str], before: list[str]) -> bool:
    """Where the provider joins notes to one text, that text may have grown at its end."""
    if now[: len(before)] == before:
        return True
    cut = len(before) - 1
    grown = wire == "openai-chat" and len(now) > cut and now[cut].startswith(before[cut].removesuffix('"}'))
    return grown and now[:cut] == before[:cut]


turns = st.lists(
    st.builds(
        Turn, calls=st.integers(0, 2), text=st.sampled_from(("", "hm")), by=st.sampled_from(sorted(MODELS)),
        signed=st.booleans(), arguments=st.sampled_from(ARGUMENTS), result=st.sampled_from(RESULTS),
        broken=st.booleans(), early=st.booleans(), between=st.booleans(), late=st.booleans(),
    ),
    min_size=1, max_size=5,
)  # fmt: skip
some = settings(max_examples=30, deadline=None)


# ---- the property -------------------------------------------------------------------------------------------------
@each_wire
@some
@given(turns)
def test_each_request_of_a_run_begins_with_the_one_before(wire, plan):
    told, last = Told(), None
    for before, now in pairwise(run_of(plan)):
        one, two = request_of(wire, before), request_of(wire, now)
        assert begins_with(wire, told_by(wire, BODIES[wire](two)), told_by(wire, BODIES[wire](one)))
        known = prefix_of(one, told, last)
        last = prefix_of(two, Told(), known)
        assert (last.tools, last.system, last.before) == (known.tools, known.system, known.history)


@each_wire
@some
@given(turns)
def test_another_worker_or_the_same_after_a_restart_asks_the_same_byte_for_byte(wire, plan):
    for entries in run_of(plan):
        read_again = [
            Stored(entry.sequence, decode_record(encode(entry.record), sequence=entry.sequence)) for entry in entries
        ]
        spec = AgentSpec.model_validate_json(json.dumps(SPEC.model_dump(mode="json", exclude_defaults=True)))
        one, two = request_of(wire, entries), request_of(wire, read_again, spec)
        assert json.dumps(BODIES[wire](one)) == json.dumps(BODIES[wire](two))
        assert prefix_of(one, Told(), None) == prefix_of(two, Told(), None)


# ---- what changes a history after all -----------------------------------------------------------------------------
@each_wire
def test_a_doubt_that_somebody_resolves_later_changes_the_history_and_the_digests_say_so(wire):
    call = ToolCall(id="m1.0", name="look")
    doubted = extend(
        (), claimed(), ModelRequested(call="m1", model="x/y"), ModelResponded(call="m1", tool_calls=(call,)),
        ToolRequested(call="m1.0", tool="look"), ToolInDoubt(call="m1.0", policy="continue"),
    )  # fmt: skip
    resolved = extend(doubted, ToolResolved(call="m1.0", decision="done", value="it was done", by="me"))
    one, two = request_of(wire, doubted), request_of(wire, resolved)
    assert not begins_with(wire, told_by(wire, BODIES[wire](two)), told_by(wire, BODIES[wire](one)))
    first = prefix_of(one, Told(), None)
    assert prefix_of(two, Told(), first).before != first.history
