"""Pure: what each for itself is right in a file, and would bite later: two prices for one prompt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from callboard.config.chains import Where, models_of
from callboard.config.file_format import ConfigFile, ModelEntry
from callboard.config.guards import Price
from callboard.config.nodes import Node, Problem, locate, shown
from callboard.config.providers import kind_of

_FEWEST_THOUGHTS: Final = 1_024
_INTERLEAVED: Final = "interleaved-thinking"
"""A beta of Anthropic in which the thoughts of several answers share a budget, which may be larger than each."""


def contradictions(file: ConfigFile, root: Node) -> Iterator[Problem]:
    """All of them, with their places."""
    for name, price in file.prices.items():
        yield from _of_price(price, root, ("prices", name))
    for path, model in models_of(file):
        if isinstance(model, ModelEntry):
            if model.price is not None:
                yield from _of_price(model.price, root, (*path, "price"))
            yield from _of_thoughts(model, file, root, path)


def _of_price(price: Price, root: Node, path: Where) -> Iterator[Problem]:
    seen = set[int]()
    for at, step in enumerate(price.steps):
        if step.above in seen:
            spot = locate(root, (*path, "steps", at, "above"))
            yield Problem(spot.value, spot.path, f"got {step.above}: another step begins there, too: keep one of them")
        seen.add(step.above)


def _of_thoughts(model: ModelEntry, file: ConfigFile, root: Node, path: Where) -> Iterator[Problem]:
    """Claude refuses a request whose thoughts have no room in its answer."""
    thinking = model.settings.get("thinking")
    if kind_of(model, file) != "anthropic" or not isinstance(thinking, dict) or thinking.get("type") != "enabled":
        return
    spot, most = locate(root, (*path, "settings", "thinking", "budget_tokens")), model.max_output - 1
    budget, wanted = thinking.get("budget_tokens"), f"an integer ≥ {_FEWEST_THOUGHTS}"
    if budget is None:
        yield Problem(spot.key, spot.path, f"missing: expected {wanted} and below 'max_output'")
    elif not isinstance(budget, int) or budget < _FEWEST_THOUGHTS:
        assert spot.node is not None
        yield Problem(spot.value, spot.path, f"got {shown(spot.node)}: expected {wanted} and below 'max_output'")
    elif budget > most and not _is_interleaved(model, file):
        hint = f"thoughts are part of the answer: expected less than its 'max_output' of {model.max_output}"
        yield Problem(spot.value, spot.path, f"got {budget}: {hint}")


def _is_interleaved(model: ModelEntry, file: ConfigFile) -> bool:
    entry = file.providers.get(model.provider)
    headers = {} if entry is None else entry.headers
    return any(_INTERLEAVED in value for name, value in headers.items() if name.lower() == "anthropic-beta")
