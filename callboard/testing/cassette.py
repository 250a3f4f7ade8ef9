"""Pure: a cassette: what the models of a run were asked and what they answered, as lines of JSON.

A line for the task, a line for each agent's run (``system``, ``tools``), then one for each answered call of it:
``keeps`` messages of the call before, then ``messages``; then the answer. Thoughts are not kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, assert_never, get_args

from pydantic import JsonValue

from callboard.actors.prefix import in_common
from callboard.config.spec import ToolSpec
from callboard.errors import ConfigError
from callboard.models.port import AssistantTurn, ChatMessage, ChatRequest, SteerNote, Stop, ToolOutcome, Usage, UserText
from callboard.testing.loose import items, mapping

_HOW = "record it with 'callboard runs record RUN FILE --to CASSETTE'"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model is told, as JSON. ``tools`` that it may call, by their names; ``messages`` None: not compared.

    ``output``: the schema of its answer; None: any text will do.
    """

    system: str
    tools: Mapping[str, JsonValue]
    messages: tuple[JsonValue, ...] | None
    output: JsonValue = None


@dataclass(frozen=True, slots=True)
class Played:
    """An answered call of a recorded run."""

    run: str
    call: str
    asked: Asked
    text: str
    tool_calls: tuple[tuple[str, JsonValue], ...] = ()
    """Names and arguments."""
    usage: Usage = Usage()
    stop: Stop = "end"


@dataclass(frozen=True, slots=True)
class Cassette:
    """A recorded run with those below it: the agent and the input of the first one, and all answers in their order."""

    agent: str
    input: JsonValue
    calls: tuple[Played, ...] = field(default=())


def asked_of(request: ChatRequest) -> Asked:
    """What ``request`` tells the model, without what differs from run to run."""
    compared = request.purpose == "turn"
    messages = tuple(map(message_json, request.messages)) if compared else None
    tools = tools_json(request.tools if request.may_call else ())
    return Asked(request.system, tools, messages, None if request.output is None else dict(request.output))


def tools_json(tools: Iterable[ToolSpec]) -> Mapping[str, JsonValue]:
    """Tools as the cassette has them."""
    return {tool.name: [tool.description, tool.parameters] for tool in tools}


def message_json(message: ChatMessage) -> JsonValue:
    """A message as the cassette has it. What a provider signed is not in it."""
    match message:
        case UserText():
            return {"user": message.text}
        case SteerNote():
            return {"note": message.text, "by": message.by}
        case AssistantTurn():
            calls: list[JsonValue] = [{"name": each.name, "arguments": each.arguments} for each in message.tool_calls]
            return {"assistant": message.text, "calls": calls}
        case ToolOutcome():
            return {"tool": message.name, "call": message.call, "content": message.content, "error": message.is_error}
        case _:
            assert_never(message)


def to_lines(cassette: Cassette) -> Iterator[str]:
    """The lines of the file."""
    told: dict[str, Asked] = {}
    yield _line({"agent": cassette.agent, "input": cassette.input})
    for each in cassette.calls:
        before, asked = told.get(each.run), each.asked
        if before is None or replace(before, messages=asked.messages) != asked:
            output: dict[str, JsonValue] = {} if asked.output is None else {"output": asked.output}
            yield _line({"run": each.run, "system": asked.system, "tools": dict(asked.tools), **output})
        history = () if before is None or before.messages is None else before.messages
        keeps = in_common(history, asked.messages or ())
        new = None if asked.messages is None else list(asked.messages[keeps:])
        calls: list[JsonValue] = [{"name": name, "arguments": arguments} for name, arguments in each.tool_calls]
        where: dict[str, JsonValue] = {"run": each.run, "call": each.call, "keeps": keeps, "messages": new}
        answer: dict[str, JsonValue] = {"text": each.text, "tool_calls": calls, "stop": each.stop}
        yield _line({**where, **answer, "usage": asdict(each.usage)})
        told[each.run] = asked


def from_lines(text: str) -> Cassette:
    """The cassette of a file. Raises ``ConfigError`` if it is none."""
    first, *lines = [_parsed(line) for line in text.split("\n") if line.strip()] or [{}]
    if not isinstance(first.get("agent"), str) or not any("call" in line for line in lines):
        raise ConfigError(f"this is no cassette, or no model answered in it: {_HOW}")
    told: dict[str, Asked] = {}
    calls: list[Played] = []
    for line in lines:
        run = str(line.get("run"))
        before = told.get(run, Asked("", {}, ()))
        if "call" in line:
            kept = (before.messages or ())[: int(line.get("keeps", 0))]
            new = None if line.get("messages") is None else (*kept, *items(line.get("messages")))
            told[run] = replace(before, messages=new)
            calls.append(_played(line, told[run]))
        else:
            tools = mapping(line.get("tools"))
            told[run] = Asked(str(line.get("system", "")), tools, before.messages, line.get("output"))
    return Cassette(first["agent"], first.get("input"), tuple(calls))


def _played(line: Mapping[str, Any], asked: Asked) -> Played:
    calls = tuple(
        (str(each.get("name")), each.get("arguments")) for each in map(mapping, items(line.get("tool_calls")))
    )
    used = {name: int(each) for name, each in mapping(line.get("usage")).items() if name in Usage.__slots__}
    text, call = str(line.get("text", "")), str(line["call"])
    return Played(str(line.get("run")), call, asked, text, calls, Usage(**used), stop_of(str(line.get("stop"))))


def stop_of(word: str) -> Stop:
    """Why an answer ended; what a later version says is what fits."""
    return next((each for each in get_args(Stop) if each == word), "end")


def _line(value: Mapping[str, JsonValue]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _parsed(line: str) -> Mapping[str, Any]:
    try:
        return mapping(json.loads(line))
    except ValueError as error:
        raise ConfigError(f"{line[:80]!r} is no JSON: {_HOW}") from error
