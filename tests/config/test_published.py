"""List prices, as the library's own data has them."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from decimal import Decimal

import pytest
from genai_prices import Usage, __version__, calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice

from callboard.config.guards import Price, PriceStep
from callboard.config.loader import load
from callboard.config.published import published
from callboard.config.spec import ModelChoice
from callboard.models import port
from callboard.models.prices import cost, price_of

DAY = date(2026, 11, 21)
SOURCE = f"genai-prices {__version__}, 2026-11-21"


def listed(provider: str, name: str, *, on: date, **settings: str) -> Price | None:
    return published(ModelChoice(provider=provider, name=name, settings=settings), on=on)


def test_a_flat_price_has_what_is_read_and_written_too():
    found = listed("anthropic", "claude-opus-5", on=DAY)
    assert found == Price(input=5, output=25, cached=0.5, written=6.25, source=SOURCE)


def test_what_has_no_price_of_its_own_costs_as_input():
    found = listed("openai", "gpt-5.4-pro", on=DAY)
    assert (found.cached, found.written) == (found.input, found.input)


def test_a_large_prompt_has_a_price_of_its_own():
    found = listed("anthropic", "claude-haiku-5-5", on=DAY)
    dear = PriceStep(above=100_000, input=0.5, output=2.5, cached=0.05, written=0.625)
    assert found == Price(input=0.1, output=0.5, cached=0.01, written=0.125, steps=(dear,), source=SOURCE)


def test_a_price_is_that_of_the_day():
    before = listed("anthropic", "claude-opus-4-6", on=date(2026, 3, 12))
    assert [step.above for step in before.steps] == [200_000]
    assert listed("anthropic", "claude-opus-4-6", on=date(2026, 3, 13)).steps == ()


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("anthropic", ""),
        ("anthropic", "no-such-model"),
        ("openai", "claude-opus-5"),
        ("openai", "whisper-1"),
        ("openai", "text-embedding-3-small"),
        ("openai-chat", "gpt-5"),
        ("local", "gpt-5"),
        ("scripted", "gpt-5"),
    ],
)
def test_nobody_knows_the_price_of_what_is_not_on_a_list(provider, name):
    assert listed(provider, name, on=DAY) is None


def test_a_model_that_is_listed_for_nothing_has_no_price(monkeypatch):
    provider = next(each for each in get_snapshot().providers if each.id == "openai")
    free = ModelInfo("free-x", ClauseEquals("free-x"), prices=ModelPrice(input_mtok=Decimal(0), output_mtok=Decimal(0)))
    monkeypatch.setattr(provider, "models", [*provider.models, free])
    assert listed("openai", "free-x", on=DAY) is None


def test_a_lane_of_openai_has_a_price_of_its_own_or_none():
    assert listed("openai", "gpt-5", on=DAY, service_tier="priority") == Price(
        input=2.5, output=20, cached=0.25, written=2.5, source=f"{SOURCE}, priority"
    )
    assert listed("openai", "gpt-5", on=DAY, service_tier="flex").output == 5
    for usual in ("auto", "default"):
        assert listed("openai", "gpt-5", on=DAY, service_tier=usual) == listed("openai", "gpt-5", on=DAY)
    assert listed("openai", "gpt-5", on=DAY, service_tier="scale") is None
    assert listed("anthropic", "claude-opus-5", on=DAY, service_tier="standard_only").source == SOURCE


SAMPLES = ((1, 0, 0, 1), (100_000, 0, 0, 7), (1, 99_999, 1, 3), (90_000, 120_000, 80_000, 9_999), (0, 0, 272_001, 1))


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_every_list_price_comes_to_what_the_library_charges(provider):
    """But for prices of sound and pictures: our calls have none."""
    known = next(each for each in get_snapshot().providers if each.id == provider)
    checked = 0
    for model in known.models:
        found = listed(provider, model.id, on=DAY)
        if found is None or get_snapshot().find_provider_model(model.id, None, provider, None)[1] is not model:
            continue
        tariff = price_of(ModelChoice(provider=provider, name=model.id, price=found))
        for fresh, cached, written, output in SAMPLES:
            usage = Usage(
                input_tokens=fresh + cached + written, cache_read_tokens=cached, cache_write_tokens=written,
                output_tokens=output,
            )  # fmt: skip
            exact = calc_price(usage, model.id, provider_id=provider).total_price * 10**6
            ours = cost(tariff, port.Usage(fresh, output, cached, written_tokens=written))
            assert exact <= ours < exact + 1, (model.id, fresh, cached, written)
        checked += 1
    assert checked > 20


AGENTS = """
agents:
  listed: {model: anthropic/claude-opus-5}
  dated: {model: {provider: openai, name: gpt-5.4}}
  own: {model: anthropic/claude-haiku-5-5}
  mine: {model: {provider: anthropic, name: claude-opus-5, price: {input: 1, output: 2}}}
  nobody: {model: anthropic/no-such-model}
  here: {model: openai-chat/gpt-5}
prices:
  anthropic/claude-haiku-5-5:
    {input: 3, output: 4, written: 5, steps: [{above: 10, input: 6, output: 7}], source: our contract}
"""


def test_what_the_file_says_counts_before_the_list(tmp_path):
    (tmp_path / "agents.yaml").write_text(AGENTS)
    agents = load(tmp_path / "agents.yaml", env={}).agents
    price = {name: agent.model.price for name, agent in agents.items()}
    assert price["listed"].model_copy(update={"source": SOURCE}) == listed("anthropic", "claude-opus-5", on=DAY)
    assert price["listed"].source.startswith(f"genai-prices {__version__}, 20")
    assert [step.above for step in price["dated"].steps] == [272_000]
    assert price["own"] == Price(
        input=3, output=4, written=5, steps=(PriceStep(above=10, input=6, output=7),), source="our contract"
    )
    assert price["mine"] == Price(input=1, output=2)
    assert price["nobody"] is price["here"] is None


def test_a_library_that_nobody_needs_is_not_imported():
    code = "import sys, callboard.config.loader; print('genai_prices' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
