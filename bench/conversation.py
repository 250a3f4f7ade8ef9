"""Pure: the conversation that every side has with the fake provider: five turns that call a tool, then an answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from bench.code import FOREVER, TOOL_TURNS, agent, look
from callboard.actors.code import AgentCode
from callboard.config.guards import Price
from callboard.config.spec import Limits, ModelChoice
from callboard.testing.script import Call, Reply, Request, by_turn

CALLS: Final = TOOL_TURNS + 1
"""Model calls of one conversation."""
SYSTEM: Final = "You look at numbers, one after the other, and say in the end what you think of all of them. " * 10
ASKED: Final = "Look at the numbers from 0 to 4."
SAID: Final = "I look at this number now, and I shall tell you what I see in it when I have. " * 4
ANSWER: Final = "All of them look fine: none is too large, none is too small, and none is odd in any way. " * 9
SLOW: Final = "slow-5"
"""The model, and the beginning of its agents' names, of streams that take five seconds."""
SLOWER: Final = "slow-60"
_STREAMED: Final = 50
"""Chunks of a slow stream, with those that are no text some more."""
FIRST_PIECE: Final = {"anthropic": 4, "openai": 5}
"""The chunk that is the first piece of the text."""
MODELS: Final = ("anthropic", "openai")
_PIECE: Final = 16
_MARK: Final = re.compile(r"mark-[0-9a-z-]+")


def choice(provider: str, name: str) -> ModelChoice:
    """A model of the fake provider: ``turns``, or ``slow-<seconds of the whole stream>``."""
    return ModelChoice(provider=provider, name=name, price=Price(input=0.01, output=0.01))


def asking() -> Mapping[str, AgentCode]:
    """The agents that ask the fake provider, and one that plays the same script without it, by name."""
    looks = [{"text": SAID, "tools": [{"name": "look", "args": {"at": turn}}]} for turn in range(TOOL_TURNS)]
    script = ModelChoice(provider="scripted", settings={"turns": [*looks, {"text": ANSWER}]})
    found = [agent("turns-scripted", script, Limits(), look, system=SYSTEM)]
    for provider in MODELS:
        found.append(agent(f"turns-{provider}", choice(provider, "turns"), Limits(), look, system=SYSTEM))
        found += [agent(f"{slow}-{provider}", choice(provider, slow), FOREVER) for slow in (SLOW, SLOWER)]
    return {code.spec.name: code for code in found}


def replies() -> Callable[[Request], Reply | str]:
    """What the fake provider answers, by the name of the model."""
    looks = [
        Reply(SAID, calls=(Call("look", {"at": turn}, f"call-{turn}"),), piece=_PIECE) for turn in range(TOOL_TURNS)
    ]
    turns = by_turn(*looks, Reply(ANSWER, piece=_PIECE))

    def answer(request: Request) -> Reply | str:
        kind, _, seconds = request.model.partition("-")
        if kind == "turns":
            return turns(request)
        return Reply("0123456789abcdef" * _STREAMED, piece=_PIECE, pace=float(seconds) / _STREAMED)

    return answer


def mark_of(body: Mapping[str, Any]) -> str:
    """The mark that the task of this request has; ``""``: none."""
    found = _MARK.search(str(body.get("messages") or body.get("input")))
    return found[0] if found else ""
