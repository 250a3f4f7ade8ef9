"""Pure: what a request begins with, as digests. A prompt cache reads what an earlier request began with as well.

The order is that of the providers: tools, schema of the answer, system prompt, history. What is digested is what the
model is told, not how an adapter writes it down: that is the same for the same request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from pydantic import JsonValue
from pydantic_core import to_json

from callboard.bus.messages import Prefix
from callboard.config.once import once
from callboard.config.spec import AgentSpec, ModelChoice, ToolSpec
from callboard.models.port import ChatMessage, ChatRequest

_SHOWN: Final = 12
"""Characters of a digest: enough to tell the requests of a run apart."""


class Told:
    """The history of one run as its requests told it. A message is digested once, if nothing before it changes."""

    __slots__ = ("_digests", "_messages")

    def __init__(self) -> None:
        self._messages: tuple[ChatMessage, ...] = ()
        self._digests: list[str] = []
        """Of everything up to each message."""

    def digests(self, messages: tuple[ChatMessage, ...]) -> Sequence[str]:
        """Of everything up to each of ``messages``."""
        known = in_common(self._messages, messages)
        del self._digests[known:]
        for message in messages[known:]:
            self._digests.append(_digest((self._digests[-1] if self._digests else "", message)))
        self._messages = messages
        return self._digests


def prefix_of(request: ChatRequest, told: Told, last: Prefix | None) -> Prefix:
    """What ``request`` begins with. ``last``: what the request before it began with; None: it is the first."""
    digests = told.digests(request.messages)
    upto = 0 if last is None else min(last.messages, len(digests))
    return Prefix(
        tools=tools_digest(request.tools),
        output="" if request.output is None else _of_schema(request.output),
        system=_of_text(request.system),
        history=digests[-1] if digests else "",
        before=digests[upto - 1] if upto else "",
        messages=len(digests),
    )


def head_of(choice: ModelChoice, spec: AgentSpec) -> tuple[str, str, str, str]:
    """What the turns of all runs of an agent begin with alike when they ask ``choice``."""
    output = "" if spec.output is None else _of_schema(spec.output)
    return choice.label, tools_digest(spec.tools), output, _of_text(spec.system)


@once
def tools_digest(tools: tuple[ToolSpec, ...]) -> str:
    """What the model is told of its tools; their timeouts and effects are not its business.

    A worker has the same tuple for all runs of an agent.
    """
    return _digest([(tool.name, tool.description, tool.parameters) for tool in tools])


@once
def _of_schema(schema: Mapping[str, JsonValue]) -> str:
    return _digest(schema)


@lru_cache(maxsize=128)
def _of_text(text: str) -> str:
    return _digest(text)


def _digest(value: Any) -> str:
    return sha256(to_json(value, inf_nan_mode="constants")).hexdigest()[:_SHOWN]


def in_common(one: Sequence[object], other: Sequence[object]) -> int:
    """With how many equal elements both begin. Messages cost little: mostly they are the same objects inside."""
    same = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        same += 1
    return same
