"""Pure: what a run's own model calls used, by the model that was asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import JsonValue

from callboard.bus.messages import Event, ModelFailed, ModelLateUsage, ModelRequested, ModelResponded


@dataclass(slots=True)
class Spending:
    """A model's share. ``calls`` counts attempts; ``priced_by``: where its price is from, ``""``: nobody knows."""

    model: str
    priced_by: str
    calls: int = 0
    tokens: int = 0
    cost_usd_micros: int = 0

    def as_json(self) -> dict[str, JsonValue]:
        """As JSON."""
        return {
            "model": self.model,
            "priced_by": self.priced_by,
            "calls": self.calls,
            "tokens": self.tokens,
            "cost_usd_micros": self.cost_usd_micros,
        }


def by_model(events: Iterable[Event]) -> tuple[Spending, ...]:
    """In the order in which they were asked first."""
    found: dict[str, Spending] = {}
    asked: dict[str, Spending] = {}
    for event in events:
        match event:
            case ModelRequested(call=call, model=model, priced_by=priced_by):
                asked[call] = found.setdefault(model, Spending(model, priced_by))
                asked[call].calls += 1
            case (
                ModelResponded(call=call, usage=usage)
                | ModelFailed(call=call, usage=usage)
                | ModelLateUsage(call=call, usage=usage)
            ) if call in asked:
                used = usage.input_tokens + usage.output_tokens + usage.cached_tokens + usage.written_tokens
                asked[call].tokens += used
                asked[call].cost_usd_micros += usage.cost_usd_micros
            case _:
                pass
    return tuple(found.values())
