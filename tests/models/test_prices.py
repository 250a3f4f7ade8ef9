"""What calls cost: steps, caches, and the most that a call may cost."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from callboard.config.guards import Price, PriceStep
from callboard.config.spec import ModelChoice
from callboard.models.port import ChatRequest, Usage, UserText
from callboard.models.prices import Tariff, cost, cut_off, describe_price, price_of, priced, source_of, worst_case

STEPS = (
    PriceStep(above=200, input=20, output=30, cached=2, written=25),
    PriceStep(above=100, input=10, output=15, cached=1, written=12.5),
)
PRICE = Price(input=1, output=5, cached=0.1, written=1.25, steps=STEPS)
CHOICE = ModelChoice(provider="anthropic", name="m", price=PRICE, max_output=50)


def of(price: Price, provider: str = "anthropic") -> Tariff:
    tariff = price_of(ModelChoice(provider=provider, price=price))
    assert tariff is not None
    return tariff


def test_a_call_is_charged_by_the_step_that_its_whole_prompt_reaches():
    tariff = of(PRICE)
    assert cost(tariff, Usage(100, 10)) == 100 + 50
    assert cost(tariff, Usage(101, 10)) == 1_010 + 150
    assert cost(tariff, Usage(1, 10, 100)) == 10 + 100 + 150
    assert cost(tariff, Usage(0, 10, 0, written_tokens=201)) == 5_025 + 300
    assert cost(tariff, Usage(100, 10_000)) == 100 + 50_000


def test_what_is_read_from_a_cache_and_written_to_one_has_its_own_price():
    assert cost(of(PRICE), Usage(10, 0, 20, written_tokens=40)) == 10 + 2 + 50


def test_writing_to_a_cache_costs_a_quarter_more_where_the_provider_says_so():
    plain = Price(input=4, output=8)
    assert [of(plain, name).written for name in ("anthropic", "openai", "local")] == [5_000_000, 5_000_000, 4_000_000]


def test_the_cost_of_a_usage_keeps_its_tokens():
    used = priced(CHOICE, Usage(10, 2, 20, written_tokens=40))
    assert used == Usage(10, 2, 20, 10 + 10 + 2 + 50, 40)
    assert priced(CHOICE, Usage(10, 2, cost_usd_micros=7)).cost_usd_micros == 7


RATE = st.floats(0, 100)
PRICES = st.builds(
    Price,
    input=RATE,
    output=RATE,
    cached=st.none() | RATE,
    written=st.none() | RATE,
    steps=st.lists(
        st.builds(
            PriceStep, above=st.integers(1, 400), input=RATE, output=RATE, cached=st.none() | RATE,
            written=st.none() | RATE,
        ),
        max_size=3,
    ).map(tuple),
)  # fmt: skip
TOKENS = st.integers(0, 300)


@given(PRICES, st.sampled_from(("anthropic", "local")), st.integers(0, 600), st.data())
def test_what_is_reserved_is_enough_for_every_usage_within_its_tokens(price, provider, size, data):
    choice = ModelChoice(provider=provider, price=price, max_output=50)
    request = ChatRequest(choice, "", (UserText("x" * size),), (), 1, "m1", "r", "", 60.0)
    most = worst_case(request, None)
    fresh = data.draw(st.integers(0, most.input_tokens))
    cached = data.draw(st.integers(0, most.input_tokens - fresh))
    written = data.draw(st.integers(0, most.input_tokens - fresh - cached))
    output = data.draw(st.integers(0, most.output_tokens))
    tariff = price_of(choice)
    assert cost(tariff, Usage(fresh, output, cached, written_tokens=written)) <= most.cost_usd_micros
    assert cut_off(request, None, said=2 * output).cost_usd_micros <= most.cost_usd_micros


COUNTS = st.builds(Usage, TOKENS, TOKENS, TOKENS, written_tokens=TOKENS)


@given(PRICES, COUNTS, st.integers(0, 200), st.integers(1, 100))
def test_a_cut_answer_costs_what_its_provider_has_counted_and_what_was_said_since(price, counted, said, room):
    choice = ModelChoice(provider="anthropic", price=price, max_output=room)
    request = ChatRequest(choice, "", (UserText("x" * 99),), (), 1, "m1", "r", "", 60.0)
    used = cut_off(request, None, said=said, counted=counted)
    so_far = counted.output_tokens
    assert used.output_tokens == max(so_far, min(so_far + (said + 1) // 2, room))
    if counted.prompt_tokens:
        assert used == priced(choice, replace(counted, output_tokens=used.output_tokens))
    else:
        assert (used.input_tokens, used.cached_tokens, used.written_tokens) == (50, 0, 0)


def test_a_count_of_the_output_alone_does_not_make_the_input_free():
    request = ChatRequest(CHOICE, "", (UserText("x" * 300),), (), 1, "m1", "r", "", 60.0)
    known = cut_off(request, None, said=20)
    assert cut_off(request, None, said=0, counted=Usage(output_tokens=10)) == known
    assert known.input_tokens == 150


def test_what_is_reserved_is_no_more_than_the_dearest_call_costs():
    request = ChatRequest(CHOICE, "", (UserText("x" * 300),), (), 1, "m1", "r", "", 60.0)
    assert worst_case(request, None).cost_usd_micros == cost(of(PRICE), Usage(0, 50, written_tokens=150))


def test_a_price_says_where_it_is_from():
    listed = CHOICE.model_copy(update={"price": PRICE.model_copy(update={"source": "our contract"})})
    scripted, unknown = ModelChoice(provider="scripted"), ModelChoice(provider="anthropic", name="m")
    assert [source_of(each) for each in (CHOICE, listed, scripted, unknown)] == ["config", "our contract", "script", ""]
    assert describe_price(listed) == (
        "$1 in, $5 out, $0.1 cached, $1.25 written; above 100: $10 in, $15 out, $1 cached, $12.5 written; "
        "above 200: $20 in, $30 out, $2 cached, $25 written (our contract)"
    )
    assert describe_price(ModelChoice(provider="x", price=Price(input=0, output=2.5))) == "$0 in, $2.5 out (config)"
    assert describe_price(scripted) == "as its script says"
    assert not describe_price(unknown)
