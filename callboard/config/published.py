"""Pure: what providers publish as their prices, out of the data that genai-prices carries. Nothing is fetched."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from callboard.config.guards import Price, PriceStep
from callboard.config.spec import ModelChoice

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices

PUBLISHING: Final = frozenset({"anthropic", "openai"})
"""Providers with a list of prices. Whoever else speaks their protocol has prices of its own."""

_STANDARD: Final = ("auto", "default")


def published(choice: ModelChoice, *, on: date) -> Price | None:
    """The list price of a model on a day; None: there is none. OpenAI's ``service_tier`` has prices of its own."""
    provider, name = choice.provider, choice.name
    if provider not in PUBLISHING or not name:
        return None
    tier = choice.settings.get("service_tier", "default") if provider == "openai" else "default"
    from genai_prices import __version__  # noqa: PLC0415 - half a second, for those who need a price only
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - as above

    try:
        _, model = get_snapshot().find_provider_model(name, None, provider, None)
    except LookupError:
        return None
    context = {"service_tier": str(tier)}
    if tier not in _STANDARD and all(variant.when != context for variant in model.price_variants or ()):
        return None
    source = f"genai-prices {__version__}, {on}" + (f", {tier}" if tier not in _STANDARD else "")
    return _price(model.get_prices(datetime.combine(on, time(), UTC), context), source)


def published_context(choice: ModelChoice) -> tuple[int | None, str]:
    """The tokens of a model's context window, and who says so; (None, ""): nobody does."""
    if choice.provider not in PUBLISHING or not choice.name:
        return None, ""
    from genai_prices import __version__  # noqa: PLC0415 - as above
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - as above

    try:
        _, model = get_snapshot().find_provider_model(choice.name, None, choice.provider, None)
    except LookupError:
        return None, ""
    window = model.context_window
    if window is None or window <= choice.max_output:  # what is listed so small counts something else
        return None, ""
    return window, f"genai-prices {__version__}"


def _price(listed: ModelPrice, source: str) -> Price | None:
    """Without a price for text in and out (speech, embeddings) it is no price of a chat."""
    prices = (listed.input_mtok, listed.output_mtok, listed.cache_read_mtok, listed.cache_write_mtok)
    if not prices[0] or not prices[1]:
        return None
    starts = sorted({tier.start for each in prices if not isinstance(each, Decimal | None) for tier in each.tiers})
    steps = tuple(PriceStep(above=start, **_rates(prices, above=start)) for start in starts)
    return Price(**_rates(prices, above=0), steps=steps, source=source)


def _rates(prices: tuple[Decimal | TieredPrices | None, ...], *, above: int) -> dict[str, float]:
    """By the names of ``Rates``, for prompts ``above``. What has no price of its own costs as input."""
    told, out, cached, written = (_at(each, above) for each in prices)
    assert told is not None
    assert out is not None
    return {
        "input": told,
        "output": out,
        "cached": told if cached is None else cached,
        "written": told if written is None else written,
    }


def _at(price: Decimal | TieredPrices | None, above: int) -> float | None:
    if price is None or isinstance(price, Decimal):
        return None if price is None else float(price)
    reached = [tier.price for tier in price.tiers if tier.start <= above]
    return float(reached[-1] if above and reached else price.base)
