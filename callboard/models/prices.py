"""Pure: what model calls cost, before and after them. Money in micro-dollars, rounded up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, assert_never

from pydantic_core import to_json

from callboard.config.guards import Price
from callboard.config.spec import ModelChoice, ToolSpec
from callboard.models.port import AssistantTurn, ChatMessage, ChatRequest, SteerNote, ToolOutcome, Usage, UserText

_MILLION: Final = 1_000_000
_BYTES_PER_TOKEN: Final = 2
"""Measured: four bytes a token is too few tokens for 89 % of real tool results, two are enough for nearly all."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """Micro-dollars per million tokens. ``call``: the most that a call costs whatever its tokens (scripts say it)."""

    input: int = 0
    output: int = 0
    cached: int = 0
    call: int = 0


class _Same:
    """A choice as a key: itself, for its settings cannot be hashed."""

    __slots__ = ("choice",)

    def __init__(self, choice: ModelChoice) -> None:
        self.choice = choice

    def __hash__(self) -> int:
        return id(self.choice)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.choice is other.choice


def price_of(choice: ModelChoice) -> Tariff | None:
    """What ``choice`` costs; None: nobody knows. A script without a price costs what its turns say."""
    return _price_of(_Same(choice))


@lru_cache(maxsize=256)
def _price_of(same: _Same) -> Tariff | None:
    """Asked for several times for each call; a script is long."""
    choice = same.choice
    call = _dearest(choice) if choice.provider == "scripted" else 0
    if choice.price is not None:
        return _tariff(choice.price, call)
    return Tariff(call=call) if choice.provider == "scripted" else None


def cost(tariff: Tariff, usage: Usage) -> int:
    """What a call with this usage costs. What the provider says it costs counts before its tokens."""
    return usage.cost_usd_micros or _by_tokens(tariff, usage.input_tokens, usage.cached_tokens, usage.output_tokens)


def priced(choice: ModelChoice, usage: Usage) -> Usage:
    """``usage`` with its cost. Without a known price it stays as it is."""
    tariff = price_of(choice)
    if tariff is None:
        return usage
    return Usage(usage.input_tokens, usage.output_tokens, usage.cached_tokens, cost(tariff, usage))


def worst_case(request: ChatRequest, last: int | None) -> Usage:
    """The most that a call may use: all input uncached, all the output that it may have.

    ``last``: the tokens of the run's last answered call, input and output, which this request repeats; None: the first.
    """
    return _bounded(request, _input(request, last), request.model.max_output)


def cut_off(request: ChatRequest, last: int | None, *, said: str) -> Usage:
    """What a call has used that was cut off after it had ``said`` this: its input in any case."""
    output = min(_tokens(len(said.encode("utf-8", "replace"))), request.model.max_output)
    return _bounded(request, _input(request, last), output)


def _bounded(request: ChatRequest, input_tokens: int, output_tokens: int) -> Usage:
    tariff = price_of(request.model) or Tariff()
    money = max(tariff.call, _by_tokens(tariff, input_tokens, 0, output_tokens))
    return Usage(input_tokens, output_tokens, cost_usd_micros=money)


def _tariff(price: Price, call: int) -> Tariff:
    cached = price.input if price.cached is None else price.cached
    return Tariff(round(price.input * _MILLION), round(price.output * _MILLION), round(cached * _MILLION), call)


def _by_tokens(tariff: Tariff, uncached: int, cached: int, output: int) -> int:
    return -(-(uncached * tariff.input + cached * tariff.cached + output * tariff.output) // _MILLION)


def _dearest(choice: ModelChoice) -> int:
    """The dearest turn of a script. What is no script costs nothing here: it is refused when it is opened."""
    found = 0.0
    turns = choice.settings.get("turns")
    for turn in turns if isinstance(turns, list | tuple) else ():
        for each in turn if isinstance(turn, list | tuple) else (turn,):
            said = each.get("cost_usd") if isinstance(each, dict) else None
            found = max(found, float(said)) if isinstance(said, int | float) else found
    return round(found * _MILLION)


def _input(request: ChatRequest, last: int | None) -> int:
    if last:
        return last + _tokens(sum(map(_size, _since_last_answer(request.messages))))
    told = len(request.system.encode("utf-8", "replace")) + sum(map(_tool_size, request.tools))
    return _tokens(told + sum(map(_size, request.messages)))


def _since_last_answer(messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    answers = [at for at, message in enumerate(messages) if isinstance(message, AssistantTurn)]
    return messages[answers[-1] + 1 :] if answers else messages


def _size(message: ChatMessage) -> int:
    match message:
        case UserText(text=text) | SteerNote(text=text):
            return len(text.encode("utf-8", "replace"))
        case AssistantTurn(text=text, tool_calls=calls):
            arguments = sum(len(to_json(call.arguments, inf_nan_mode="constants")) for call in calls)
            return len(text.encode("utf-8", "replace")) + arguments
        case ToolOutcome(content=content):
            return len(to_json(content, inf_nan_mode="constants"))
        case _:
            assert_never(message)


def _tool_size(tool: ToolSpec) -> int:
    return len(tool.name) + len(tool.description.encode("utf-8", "replace")) + len(to_json(tool.parameters))


def _tokens(size: int) -> int:
    return -(-size // _BYTES_PER_TOKEN)
