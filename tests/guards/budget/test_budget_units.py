"""The sentences of ``docs/budget-units.md``: each test's docstring is one of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from callboard.actors.accounts import Tally
from callboard.actors.charges import interrupted
from callboard.actors.fold import replay
from callboard.actors.function import worker
from callboard.actors.heard import Heard
from callboard.actors.run_context import RunContext
from callboard.actors.state import RunState
from callboard.bus.messages import Caps, ChildFinished, ChildSpawned, ModelRequested, ModelResponded, RunKilled, Usage
from callboard.bus.ports import Balance
from callboard.config.guards import FUNCTION_GUARDS, Price, PriceStep
from callboard.config.spec import ModelChoice
from callboard.guards.budget.core import needs
from callboard.guards.budget.scopes import accounts_of
from callboard.models import port
from callboard.models.prices import cost, price_of
from callboard.models.registry import open_model
from callboard.tools.tool import tool
from tests.guards.budget.asks import KEY, MODEL, ask, request_of, spec_of, state_of
from tests.guards.budget.house import house, spender, turn, uses
from tests.guards.budget.test_budget_children import delegates
from tests.guards.budget.test_budget_pure import reserved
from tests.guards.budget.test_budget_shared import Slow, drained, killed, month
from tests.support.fleet import function
from tests.support.journals import T0, claimed, journal

PAGE = Path(__file__).resolve().parents[3] / "docs" / "budget-units.md"


@tool(effect="pure")
def look() -> str:
    """Look."""
    return "seen"


async def used(*turns: dict, **more) -> Tally:
    """What a run of these turns used."""
    async with house(spender("a", *turns, tools=(look,), **more)) as board:
        return (await board.run("a")).accounts.own


def test_every_sentence_of_the_page_is_held_by_a_test():
    sentences = {line[2:].rstrip(".") for line in PAGE.read_text().splitlines() if line.startswith("- ")}
    here = [value for name, value in vars(sys.modules[__name__]).items() if name.startswith("test_")]
    said = {_sentence(test) for test in here} - {""}
    assert said == sentences


def _sentence(test: Callable) -> str:
    return " ".join((test.__doc__ or "").split()).rstrip(".")


# ---- calls --------------------------------------------------------------------------------------------------------
async def test_turns():
    """A turn is one answer of the model; a turn without retries is one model call."""
    assert (await used(uses("look"), uses("look"), turn())).model_calls == 3


async def test_retries():
    """Each attempt of a model call counts as one model call, retries included."""
    flaky = turn(fail={"kind": "network", "times": 2, "retry_after": 0.01})
    assert (await used(flaky)).model_calls == 3


async def test_batches():
    """Each tool call of a turn counts as one tool call; a batch of three is three."""
    assert (await used(uses("look", "look", "look"), turn())).tool_calls == 3


async def test_steps():
    """A step of a function counts as one tool call."""

    @worker("steps")
    async def steps(task: object, run: RunContext) -> None:
        await run.step("one", lambda: None)
        await run.step("two", lambda: None)

    assert steps.spec.guards == FUNCTION_GUARDS
    async with house(function(steps)) as board:
        assert (await board.run("steps")).accounts.own == Tally(tool_calls=2)


async def test_refused_calls():
    """A call that was refused before it started counts as nothing."""
    budget = {"run": {"tool_calls": 1}}
    assert (await used(uses("look", "look"), turn(), budget=budget)).tool_calls == 1


async def test_delegations():
    """A delegation is no tool call; what the child uses counts instead."""
    boss = spender("boss", delegates("hand"), turn(), team=("hand",))
    async with house(boss, spender("hand", uses("look"), turn(), tools=(look,))) as board:
        state = await board.run("boss")
        assert state.accounts.own.tool_calls == 0
        assert state.accounts.spent.tool_calls == 1
        assert state.accounts.spent.model_calls == 4


# ---- tokens and money ---------------------------------------------------------------------------------------------
async def test_cached_input():
    """Input tokens are all input, also what was read from a cache or written to one."""
    spent = await used({"text": "x", "usage": {"input": 10, "cached": 30, "output": 5}})
    assert (spent.input_tokens, spent.output_tokens) == (40, 5)
    said = ModelResponded(call="m1", usage=Usage(input_tokens=1, cached_tokens=2, written_tokens=4))
    assert replay(journal(claimed(), ModelRequested(call="m1"), said)).accounts.own.input_tokens == 7


def test_cached_prices():
    """What is read from a cache costs the price of cached input, and without one the price of input."""
    usage = port.Usage(0, 0, cached_tokens=10)
    assert cost(price_of(MODEL), usage) == 5
    assert cost(price_of(MODEL.model_copy(update={"price": Price(input=1, output=1)})), usage) == 10


def test_written_prices():
    """What is written to a cache costs the price of written input; without one the price of input, and with Anthropic
    and OpenAI a quarter more."""
    usage = port.Usage(written_tokens=100)
    price = Price(input=1, output=1)
    assert cost(price_of(MODEL.model_copy(update={"price": price})), usage) == 100
    assert cost(price_of(ModelChoice(provider="anthropic", price=price)), usage) == 125
    assert cost(price_of(ModelChoice(provider="openai", price=price)), usage) == 125
    assert cost(price_of(ModelChoice(provider="openai", price=Price(input=1, output=1, written=3))), usage) == 300


def test_price_steps():
    """A prompt above a step of the price has the price of that step for all of the call."""
    step = PriceStep(above=50, input=2, output=20, cached=0.5)
    tariff = price_of(MODEL.model_copy(update={"price": Price(input=1, output=10, cached=0.25, steps=(step,))}))
    assert cost(tariff, port.Usage(10, 1, 40)) == 10 + 10 + 10
    assert cost(tariff, port.Usage(10, 1, 41)) == 20 + 20 + 21


async def test_whose_word_counts():
    """A provider that says what a call costs is believed; else its tokens are multiplied by the price."""
    assert (await used(turn(cost_usd=0.25))).usd_micros == 250_000
    assert (await used(turn(10, 2))).usd_micros == 30


async def test_turned_away():
    """An attempt that the provider turned away costs a model call, and no money."""
    spent = await used(turn(10, 2, fail={"kind": "rate", "times": 1, "retry_after": 0.01}))
    assert (spent.usd_micros, spent.model_calls) == (30, 2)


async def test_cut_off():
    """An attempt that was cut off after it had begun costs its input and what it had said."""
    async with house(
        spender("slow", turn(), model_timeout=0.3, model_attempts=1), open_model=lambda _: Slow()
    ) as board:
        spent = (await board.run("slow", "x" * 100)).accounts.own
        assert (spent.input_tokens, spent.output_tokens, spent.usd_micros) == (50, 50, 550)


def test_what_was_counted():
    """Of such an attempt what the provider has counted is exact, and what it said since then is a token for every two
    bytes."""
    heard = Heard()
    for piece in (port.TextDelta("x" * 99), port.Counted(port.Usage(7, 3, 20, written_tokens=5)), port.Unseen(4)):
        heard.take(piece)
    charged = interrupted(request_of(state_of()), state_of(), heard)
    assert (charged.input_tokens, charged.cached_tokens, charged.written_tokens) == (7, 20, 5)
    assert charged.output_tokens == 3 + 2


def test_what_was_not_counted():
    """Where the provider has not counted the input, or counts nothing, it is reckoned as before the call."""
    for counted in (port.Usage(), port.Usage(output_tokens=3)):
        heard = Heard()
        heard.take(port.Counted(counted))
        charged = interrupted(request_of(state_of()), state_of(), heard)
        assert (charged.input_tokens, charged.output_tokens) == (10, counted.output_tokens)


async def test_overruns():
    """What a call used is always recorded, also above the cap."""
    assert (await used(turn(10, 500), output=10, budget={"run": {"usd": 0.001}})).usd_micros == 5_010


# ---- before and after a call --------------------------------------------------------------------------------------
def test_the_worst_case():
    """Before a call the worst case is reserved: the last usage plus half the bytes of what is new, and all the output
    that the model may give."""
    used = Usage(input_tokens=20, cached_tokens=20, written_tokens=20, output_tokens=7)
    wanted = needs(ask(spec_of(), answered_by("scripted", used)))
    assert (wanted.input_tokens, wanted.output_tokens) == (67, 100)
    assert wanted.usd_micros == 67 + 1_000


def answered_by(model: str, usage: Usage) -> RunState:
    said = ModelResponded(call="m1", usage=usage)
    return replay(journal(claimed(), ModelRequested(call="m1", model=model), said))


def test_the_dearest_prices():
    """The worst case has the dearest prices that so many tokens can have: read anew, from a cache or written to one,
    at the highest step."""
    step = PriceStep(above=66, input=2, output=20, written=4)
    for price, dearest in (
        (Price(input=1, output=10, written=3), 67 * 3 + 1_000),
        (Price(input=1, output=10, written=3, steps=(step,)), 67 * 4 + 2_000),
        (Price(input=1, output=10, written=3, steps=(step.model_copy(update={"above": 67}),)), 67 * 3 + 1_000),
    ):
        model = MODEL.model_copy(update={"price": price})
        wanted = needs(ask(spec_of(model), answered_by("scripted", Usage(input_tokens=67))))
        assert wanted.usd_micros == dearest


def test_the_first_call():
    """A first call, or the first one of another model, reserves half the bytes of everything in the request."""
    assert needs(ask(spec_of(), state_of())).input_tokens == 10
    assert needs(ask(spec_of(), answered_by("openai/gpt-6", Usage(input_tokens=9_000)))).input_tokens == 10


def test_settling():
    """After the call the reservation is replaced by what was used."""
    said = ModelResponded(call="m1", usage=Usage(input_tokens=1, cost_usd_micros=3))
    state = replay(journal(claimed(), ModelRequested(call="m1", reserved=reserved(10)), said))
    assert state.accounts.own == Tally(3, 1, 0, 1, 0)


def test_what_nobody_knows():
    """The reservation of a call that nobody knows the end of is charged in full."""
    state = replay(journal(claimed(), ModelRequested(call="m1", reserved=reserved(10)), RunKilled()))
    assert state.accounts.own == Tally(10, 2, 3, 1, 0)


async def test_kills():
    """A call that a kill cuts off costs what it had used, and at least its input."""
    async with house(spender("slow", turn()), open_model=lambda _: Slow()) as board:
        spent = (await killed(board)).accounts.own
        assert spent.input_tokens == 50
        assert spent.usd_micros == 50 + 10 * spent.output_tokens


async def test_drains():
    """A call that its leaving worker cuts off costs the same, and is made again as another attempt."""
    async with house(spender("slow", turn()), open_model=lambda _: Slow()) as board:
        key = await board.submit("slow", "go" * 50)
        spent = (await drained(board, key)).accounts.own
        assert spent.input_tokens == 50
        assert spent.usd_micros == 50 + 10 * spent.output_tokens
        board.open_model = open_model
        await board.worker()
        assert (await board.over(key)).accounts.own == spent.plus(Tally(1_000, 100, 90, 1))


# ---- children -----------------------------------------------------------------------------------------------------
def spawned(*budgets: Caps) -> tuple[ChildSpawned, ...]:
    return tuple(ChildSpawned(child=f"c{at}", call=f"t{at}", agent="b", budget=each) for at, each in enumerate(budgets))


def test_slices():
    """A child gets a slice of what its parent has left, and its parent is charged with the slice until the child is
    over."""
    state = replay(journal(claimed(), *spawned(Caps(usd_micros=70))))
    assert state.accounts.spent.usd_micros == 70


async def test_fair_slices():
    """Children that are spawned in one turn get slices of the same size, and their parent keeps as much as each of
    them."""
    boss = spender("boss", delegates("hand", "hand"), turn(), team=("hand",), budget={"run": {"usd": 0.1}})
    async with house(boss, spender("hand", turn())) as board:
        children = (await board.run("boss")).children.values()
        assert [child.budget.usd_micros for child in children] == [(90_000 - 1_000) // 3] * 2


def test_what_comes_back():
    """What a child did not use comes back to its parent when the child is over."""
    told = ChildFinished(child="c0", outcome="completed", spent=reserved(20))
    state = replay(journal(claimed(), *spawned(Caps(usd_micros=70)), told))
    assert state.accounts.spent == Tally(20, 2, 3, 1, 0)


async def test_the_smaller_cap():
    """A child may use the smaller one of its own cap and its slice."""
    boss = spender("boss", delegates("hand"), turn(), team=("hand",))
    hand = spender("hand", uses("look"), loop=True, tools=(look,), budget={"run": {"model_calls": 3}})
    async with house(boss, hand) as board:
        state = await board.run("boss")
        assert state.accounts.children.model_calls == 3
        assert next(iter(state.children.values())).budget.model_calls > 3


# ---- shared -------------------------------------------------------------------------------------------------------
def test_periods():
    """A run counts in the day or month in which it was created, to its end."""
    settings = spec_of(tenant={"usd": 1, "per": "day"}, **{"global": {"usd": 1}}).guards.budget
    names = [each.name for each in accounts_of(KEY, "a", settings, {}, created=T0)]
    assert names == ["tenant-usd-2026-11-21", "global-usd-2026-11"]


async def test_scopes():
    """A call is charged to the run, its agent, its tenant and the deployment, whichever have a cap."""
    budget = {"tenant": {"usd": 1}, "agent": {"usd": 1}, "run": {"usd": 1}}
    async with house(spender("a", turn(), budget=budget)) as board:
        state = await board.run("a")
        await board.settled()
        assert state.accounts.spent.usd_micros == 1_000
        assert set((await board.bus.ledger.accounts()).items()) == {
            (("default", month("tenant")), Balance(1_000)),
            (("default", month("agent", agent="a")), Balance(1_000)),
        }


async def test_families():
    """Each run is charged with its own calls only, its children are charged with theirs."""
    shared = {"agent": {"usd": 1}, "tenant": {"usd": 1}}
    boss = spender("boss", delegates("hand"), turn(), team=("hand",), budget=shared)
    async with house(boss, spender("hand", turn(), budget=shared)) as board:
        await board.run("boss")
        await board.settled()
        spent = {name: at.spent for (_, name), at in (await board.bus.ledger.accounts()).items()}
        assert spent[month("agent", agent="boss")] == 2_000
        assert spent[month("agent", agent="hand")] == 1_000
        assert spent[month("tenant")] == 3_000
