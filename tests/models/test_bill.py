"""What we charge is what the provider bills, call by call: each adapter with its SDK against the fake provider."""

from __future__ import annotations

from contextlib import aclosing
from datetime import date

import anyio
import pytest

from callboard.config.guards import Price
from callboard.config.published import published
from callboard.config.spec import ModelChoice
from callboard.models.anthropic.adapter import AnthropicModel
from callboard.models.openai.chat import ChatCompletionsModel
from callboard.models.openai.responses import ResponsesModel
from callboard.models.port import ChatReply, ChatRequest, UserText
from callboard.models.prices import priced
from callboard.testing import Rate, Reply, Tokens, fake_provider

KEY = "sk-" + "PLACEHOLDER" * 2
USED = (
    Tokens(1, 1), Tokens(7, 9, 20, 3), Tokens(0, 5, 90_001), Tokens(12_345, 678, 0, 90), Tokens(3, 1, 77_777, 11_111),
)  # fmt: skip
OWN = Price(input=0.07, output=0.21, cached=0.013, written=0.09)
DAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("adapter", "path", "choice"),
    [
        (AnthropicModel, "", ModelChoice(provider="anthropic", name="claude-haiku-5-5")),
        (ResponsesModel, "/v1", ModelChoice(provider="openai", name="gpt-6.1-terra")),
        (ChatCompletionsModel, "/v1", ModelChoice(provider="openai-chat", name="qwen3", price=OWN)),
    ],
    ids=["anthropic", "openai", "openai-chat"],
)
async def test_what_calls_cost_is_what_the_provider_bills(adapter, path, choice):
    price = choice.price or published(choice, on=DAY)
    choice = choice.model_copy(update={"price": price})
    rate = Rate(price.input, price.output, price.cached, price.written)
    async with fake_provider(replies=[Reply("x", tokens=each) for each in USED], prices={choice.name: rate}) as server:
        model, charged = adapter(api_key=KEY, base_url=server.url + path), 0
        for number, tokens in enumerate(USED):
            request = ChatRequest(choice, "", (UserText("hi"),), (), 1, f"m{number}", "r", "hi", 30.0)
            with anyio.fail_after(30):
                async with aclosing(model.stream(request)) as stream:
                    (reply,) = [each async for each in stream if isinstance(each, ChatReply)]
            usage = priced(choice, reply.usage)
            assert (usage.input_tokens, usage.output_tokens) == (tokens.input, tokens.output)
            assert (usage.cached_tokens, usage.written_tokens) == (tokens.cached, tokens.written)
            charged += usage.cost_usd_micros
        await model.aclose()
        assert charged == server.bill[choice.name].usd_micros > 0
