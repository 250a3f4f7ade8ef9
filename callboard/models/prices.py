"""Pure: what model calls cost, before and after them. Money in micro-dollars, rounded up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from callboard.config.guards import Price, PriceStep, Rates
from callboard.config.once import once
from callboard.config.spec import ModelChoice
from callboard.models.port import ChatRequest, Usage
from callboard.models.tokens import most_input, most_tokens

_MILLION: Final = 1_000_000
_UNCOUNTED: Final = Usage()

_WRITING: Final = {"anthropic": 1.25, "openai": 1.25}
"""What writing to a cache costs, times the input; elsewhere it is input like any other."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """Micro-dollars per million tokens. ``call``: the most that a call costs whatever its tokens (scripts say it).

    ``steps``: what all tokens of a call cost whose prompt is larger than ``above``.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    written: int = 0
    call: int = 0
    above: int = 0
    steps: tuple[Tariff, ...] = ()

    def reached(self, prompt: int) -> tuple[Tariff, ...]:
        """What a prompt of at most so many tokens may be charged by; the last one, if it has as many."""
        return (self, *(step for step in self.steps if step.above < prompt))


@once  # it is asked for several times for each call, and a script is long
def price_of(choice: ModelChoice) -> Tariff | None:
    """What ``choice`` costs; None: nobody knows. A script without a price costs what its turns say."""
    call = _dearest(choice) if choice.provider == "scripted" else 0
    if choice.price is not None:
        return _tariff(choice.price, call=call, writing=_WRITING.get(choice.provider, 1.0))
    return Tariff(call=call) if choice.provider == "scripted" else None


def source_of(choice: ModelChoice) -> str:
    """Where the price of ``choice`` is from; ``""``: nobody knows it."""
    if choice.price is not None:
        return choice.price.source or "config"
    return "script" if choice.provider == "scripted" else ""


def describe_price(choice: ModelChoice) -> str:
    """The price of ``choice`` in dollars per million tokens, and its source, for people; ``""``: nobody knows it."""
    price = choice.price
    if price is None:
        return "as its script says" if choice.provider == "scripted" else ""
    steps = (f"above {step.above:,}: {_shown(step)}" for step in sorted(price.steps, key=lambda step: step.above))
    return f"{'; '.join((_shown(price), *steps))} ({source_of(choice)})"


def cost(tariff: Tariff, usage: Usage) -> int:
    """What a call with this usage costs. What the provider says it costs counts before its tokens."""
    if usage.cost_usd_micros:
        return usage.cost_usd_micros
    at = tariff.reached(usage.prompt_tokens)[-1]
    prompt = usage.input_tokens * at.input + usage.cached_tokens * at.cached + usage.written_tokens * at.written
    return _micros(prompt + usage.output_tokens * at.output)


def missed_micros(choice: ModelChoice, missed: int, *, prompt: int, written: int) -> int | None:
    """What a call cost more because ``missed`` tokens of its ``prompt`` were not read from a cache.

    None: nobody knows the price. What was ``written`` to a cache is taken to be among the missed ones first.
    """
    tariff = price_of(choice)
    if tariff is None:
        return None
    at = tariff.reached(prompt)[-1]
    written = min(missed, written)
    return _micros(max(0, written * (at.written - at.cached) + (missed - written) * (at.input - at.cached)))


def priced(choice: ModelChoice, usage: Usage) -> Usage:
    """``usage`` with its cost. Without a known price it stays as it is."""
    tariff = price_of(choice)
    micros = usage.cost_usd_micros if tariff is None else cost(tariff, usage)
    return usage if micros == usage.cost_usd_micros else replace(usage, cost_usd_micros=micros)


def worst_case(request: ChatRequest, last: int | None) -> Usage:
    """The most that a call may use: all input at the dearest price, all the output that it may have.

    ``last``: the tokens of the run's last answered call, input and output, which this request repeats; None: the first.
    """
    return _bounded(request, most_input(request, last), request.model.max_output)


def cut_off(request: ChatRequest, last: int | None, *, said: int, counted: Usage = _UNCOUNTED) -> Usage:
    """What a call has used that was cut off: its input in any case.

    What its provider has ``counted`` is exact. The rest is the most that it can be: of the input, if it has not
    counted that, and of the output what it ``said`` since it counted, in bytes.
    """
    so_far = counted.output_tokens
    output = max(so_far, min(so_far + most_tokens(said), request.model.max_output))
    if counted.prompt_tokens:
        return priced(request.model, replace(counted, output_tokens=output))
    return _bounded(request, most_input(request, last), output)


def _bounded(request: ChatRequest, input_tokens: int, output_tokens: int) -> Usage:
    """At the dearest prices that so many tokens can have: read anew, from a cache, or written to one."""
    tariff = price_of(request.model) or Tariff()
    prompt = output = 0
    for each in tariff.reached(input_tokens):
        prompt, output = max(prompt, each.input, each.cached, each.written), max(output, each.output)
    money = _micros(input_tokens * prompt + output_tokens * output)
    return Usage(input_tokens, output_tokens, cost_usd_micros=max(tariff.call, money))


def _tariff(rates: Rates, *, call: int, writing: float) -> Tariff:
    steps = sorted(rates.steps, key=lambda step: step.above) if isinstance(rates, Price) else ()
    return Tariff(
        input=round(rates.input * _MILLION),
        output=round(rates.output * _MILLION),
        cached=round((rates.input if rates.cached is None else rates.cached) * _MILLION),
        written=round((rates.input * writing if rates.written is None else rates.written) * _MILLION),
        call=call,
        above=rates.above if isinstance(rates, PriceStep) else 0,
        steps=tuple(_tariff(step, call=0, writing=writing) for step in steps),
    )


def _micros(millionths: int) -> int:
    """Rounded up."""
    return -(-millionths // _MILLION)


def _shown(rates: Rates) -> str:
    told = {"in": rates.input, "out": rates.output, "cached": rates.cached, "written": rates.written}
    return ", ".join(f"${each:.10g} {noun}" for noun, each in told.items() if each is not None)


def _dearest(choice: ModelChoice) -> int:
    """The dearest turn of a script. What is no script costs nothing here: it is refused when it is opened."""
    found = 0.0
    turns = choice.settings.get("turns")
    for turn in turns if isinstance(turns, list | tuple) else ():
        for each in turn if isinstance(turn, list | tuple) else (turn,):
            said = each.get("cost_usd") if isinstance(each, dict) else None
            found = max(found, float(said)) if isinstance(said, int | float) else found
    return round(found * _MILLION)
