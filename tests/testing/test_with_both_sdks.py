"""Both real SDKs understand the fake provider, without retries of their own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import anyio
import openai
import pytest

from callboard.testing import Call, FakeProvider, Fault, Rate, Reply, Tokens, fake_provider

KEY = "PLACEHOLDER-" + "key"
MODEL = "a-model"
ADD = Call("add", {"a": 1, "b": [1, 2]})
REPLY = Reply("Hello there, this is text.", (ADD,), thinking="First I think about it.", tokens=Tokens(100, 20, 30, 40))
ASKED: dict[str, Any] = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


@asynccontextmanager
async def claude(server: FakeProvider) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        api_key=KEY, base_url=server.url, max_retries=0, open_telemetry=False
    ) as client:
        with anyio.fail_after(30):
            yield client


@asynccontextmanager
async def gpt(server: FakeProvider) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{server.url}/v1", max_retries=0) as client:
        with anyio.fail_after(30):
            yield client


async def test_anthropic_reads_thinking_text_a_call_and_usage_from_the_stream() -> None:
    async with (
        fake_provider(replies=[REPLY]) as server,
        claude(server) as client,
        client.messages.stream(**ASKED) as stream,
    ):
        message = await stream.get_final_message()
    thought, text, call = message.content
    assert (thought.type, text.type, call.type) == ("thinking", "text", "tool_use")
    assert (thought.thinking, text.text, call.name, call.input) == (REPLY.thinking, REPLY.text, "add", ADD.arguments)
    assert thought.signature
    assert message.stop_reason == "tool_use"
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (100, 30, 40)
    assert usage.output_tokens == 20


async def test_responses_reads_reasoning_text_a_call_and_usage_from_the_stream() -> None:
    async with (
        fake_provider(replies=[REPLY]) as server,
        gpt(server) as client,
        client.responses.stream(model=MODEL, input="hi") as stream,
    ):
        response = await stream.get_final_response()
    reasoning, message, call = response.output
    assert (reasoning.type, message.type, call.type) == ("reasoning", "message", "function_call")
    assert reasoning.encrypted_content
    assert response.output_text == REPLY.text
    assert (call.name, call.arguments) == ("add", ADD.wire_arguments)
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (170, 20)
    assert response.usage.input_tokens_details.cached_tokens == 30
    assert response.usage.input_tokens_details.cache_write_tokens == 40


async def test_chat_reads_text_a_call_and_usage_from_the_stream() -> None:
    async with fake_provider(replies=[REPLY]) as server, gpt(server) as client:
        chunks = await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "hi"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        read = [chunk async for chunk in chunks]
    deltas = [choice.delta for chunk in read for choice in chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == REPLY.text
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    assert calls[0].id
    assert calls[0].function.name == "add"
    assert "".join(call.function.arguments or "" for call in calls) == ADD.wire_arguments
    assert [choice.finish_reason for chunk in read for choice in chunk.choices][-1] == "tool_calls"
    assert (read[-1].usage.prompt_tokens, read[-1].usage.completion_tokens) == (170, 20)
    assert read[-1].usage.prompt_tokens_details.cached_tokens == 30


async def test_the_same_answers_come_without_streaming() -> None:
    async with fake_provider(replies=[REPLY] * 3) as server:
        async with claude(server) as client:
            message = await client.messages.create(**ASKED)
        async with gpt(server) as other:
            response = await other.responses.create(model=MODEL, input="hi")
            chat = await other.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hi"}])
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    assert response.output_text == chat.choices[0].message.content == REPLY.text
    assert chat.choices[0].message.tool_calls[0].function.arguments == ADD.wire_arguments


async def test_the_bill_adds_up_the_calls_of_each_model() -> None:
    prices = {MODEL: Rate(input=3, output=15, cached=0.3, written=3.75)}
    async with fake_provider(replies=[REPLY, "no"], prices=prices) as server, claude(server) as client:
        await client.messages.create(**ASKED)
        await client.messages.create(**{**ASKED, "model": "free"})
        line = server.bill[MODEL]
        assert (line.calls, line.input_tokens, line.cached_tokens, line.written_tokens) == (1, 100, 30, 40)
        assert line.usd_micros == 100 * 3 + 20 * 15 + 9 + 150
        assert server.bill["free"].usd_micros == 0
        assert server.total.calls == 2


async def test_a_request_is_kept_without_its_key() -> None:
    async with fake_provider(replies=["yes"]) as server, claude(server) as client:
        await client.messages.create(**ASKED)
        (request,) = server.requests
        assert request.body["messages"] == ASKED["messages"]
        assert KEY not in repr(request)
        assert request.headers["anthropic-version"]
        assert (request.model, request.status, request.left) == (MODEL, 200, None)
        assert request.done is not None


async def test_a_client_that_leaves_is_seen_and_pays_for_what_was_said() -> None:
    slow = Reply("x" * 4000, pace=0.01, tokens=Tokens(100, 1000))
    async with fake_provider(replies=[slow]) as server, claude(server) as client:
        async with client.messages.stream(**ASKED) as stream:
            async for _ in stream.text_stream:
                break
        await server.until(lambda: MODEL in server.bill)
        (request,) = server.requests
        assert request.left is not None
        assert request.done is None
        assert server.bill[MODEL].input_tokens == 100
        assert 0 < server.bill[MODEL].output_tokens < 1000


async def test_a_refusal_is_the_sdks_typed_error() -> None:
    faults = [Fault("rate", at=1, retry_after=1.5), Fault("overloaded", at=2), Fault("quota", at=3)]
    async with fake_provider(replies=["yes"], faults=faults) as server:
        async with claude(server) as client:
            with pytest.raises(anthropic.RateLimitError) as rate:
                await client.messages.create(**ASKED)
            assert rate.value.response.headers["retry-after"] == "1.5"
            with pytest.raises(anthropic.APIStatusError) as overloaded:
                await client.messages.create(**ASKED)
            assert (overloaded.value.status_code, overloaded.value.type) == (529, "overloaded_error")
        async with gpt(server) as other:
            with pytest.raises(openai.RateLimitError) as quota:
                await other.responses.create(model=MODEL, input="hi")
            assert quota.value.code == "insufficient_quota"
            assert (await other.responses.create(model=MODEL, input="hi")).output_text == "yes"
        assert server.total.calls == 1
