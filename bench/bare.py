"""Shell: a process that holds conversations with the fake provider: with the bare SDKs, and with our adapters alone.

Each is asked for by a message on the bus, so that all sides can take turns, and answers with its CPU per model call.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import anyio
import nats
from nats.aio.msg import Msg

from bench.code import look
from bench.conversation import ASKED, CALLS, SYSTEM, choice
from bench.deployment import publish_all
from callboard.config.providers import Provider, Providers
from callboard.models.port import AssistantTurn, ChatMessage, ChatReply, ChatRequest, TextDelta, ToolOutcome, UserText
from callboard.models.registry import Models

SUBJECT = "bench.bare"
_MODEL = "turns"
_MOST = 4096
Conversation: TypeAlias = Callable[[], Awaitable[None]]


def providers(url: str) -> Providers:
    """Both real providers, at the fake one."""
    key = f"{__name__}-PLACEHOLDER"
    of = {"anthropic": Provider("anthropic", key, url), "openai": Provider("openai", key, f"{url}/v1")}
    return Providers(by_name=of)


async def serve(bus: str, url: str) -> None:
    """Hold as many conversations as asked for, of the kind that is asked for. Until killed."""
    async with _kinds(url) as kinds:
        connection = await nats.connect(bus)

        async def asked(message: Msg) -> None:
            side, wire, count, at_once = message.data.decode().split()
            before = time.process_time()
            await publish_all(kinds[f"{side} {wire}"], int(count), at_once=int(at_once))
            cost = (time.process_time() - before) / int(count) / CALLS * 1e3
            await message.respond(json.dumps(cost).encode())

        await connection.subscribe(SUBJECT, cb=asked)
        await connection.flush()
        print("ready", flush=True)
        await anyio.sleep_forever()


@asynccontextmanager
async def _kinds(url: str) -> AsyncGenerator[Mapping[str, Conversation]]:
    from anthropic import AsyncAnthropic  # noqa: PLC0415 - three seconds that only this process pays
    from openai import AsyncOpenAI  # noqa: PLC0415 - as above

    given, models = providers(url), Models(providers(url))
    key = given.by_name["anthropic"].api_key
    async with (
        AsyncAnthropic(api_key=key, base_url=url) as claude,
        AsyncOpenAI(api_key=key, base_url=f"{url}/v1") as gpt,
        aclosing(models),
    ):
        yield {
            "sdk anthropic": partial(_with_claude, claude),
            "sdk openai": partial(_with_gpt, gpt),
            "adapter anthropic": partial(_with_ours, models, "anthropic"),
            "adapter openai": partial(_with_ours, models, "openai"),
        }


async def _with_claude(client: Any) -> None:
    """As its README streams: the events one by one, and what they add up to."""
    tools = [{"name": "look", "description": look.spec.description, "input_schema": look.spec.parameters}]
    messages: list[Any] = [{"role": "user", "content": ASKED}]
    while True:
        said, parts, used = [""], list[str](), list[Any]()
        async for event in await client.messages.create(
            model=_MODEL, max_tokens=_MOST, system=SYSTEM, tools=tools, messages=messages, stream=True
        ):
            if event.type == "content_block_start" and event.content_block.type == "tool_use":
                used.append(event.content_block)
            elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                said.append(event.delta.text)
            elif event.type == "content_block_delta" and event.delta.type == "input_json_delta":
                parts.append(event.delta.partial_json)
        if not used:
            return
        call = {"type": "tool_use", "id": used[0].id, "name": used[0].name, "input": json.loads("".join(parts))}
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": await look(**call["input"])}
        messages += [
            {"role": "assistant", "content": [{"type": "text", "text": "".join(said)}, call]},
            {"role": "user", "content": [result]},
        ]


async def _with_gpt(client: Any) -> None:
    """As its README streams: the last event has the whole answer."""
    of = {"name": "look", "description": look.spec.description, "parameters": look.spec.parameters}
    items: list[Any] = [{"role": "user", "content": ASKED}]
    while True:
        said: list[str] = []
        response: Any = None
        async for event in await client.responses.create(
            model=_MODEL,
            instructions=SYSTEM,
            tools=[{"type": "function", **of}],
            input=items,
            max_output_tokens=_MOST,
            store=False,
            stream=True,
        ):
            if event.type == "response.output_text.delta":
                said.append(event.delta)
            elif event.type == "response.completed":
                response = event.response
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            return
        items += response.output
        for call in calls:
            output = await look(**json.loads(call.arguments))
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": output})


async def _with_ours(models: Models, provider: str) -> None:
    chosen = choice(provider, _MODEL)
    model = models.open(chosen)
    messages: list[ChatMessage] = [UserText(ASKED)]
    while True:
        request = ChatRequest(chosen, SYSTEM, tuple(messages), (look.spec,), 1, "m1", "bench", None, 60.0)
        said, reply = [""], None
        async with aclosing(model.stream(request)) as stream:
            async for piece in stream:
                if isinstance(piece, ChatReply):
                    reply = piece
                elif isinstance(piece, TextDelta):
                    said.append(piece.text)
        assert reply is not None
        if not reply.tool_calls:
            return
        messages.append(AssistantTurn(reply.text, reply.tool_calls, provider, reply.blocks))
        for call in reply.tool_calls:
            assert isinstance(call.arguments, dict)
            messages.append(ToolOutcome(call.id, call.name, await look(**call.arguments)))  # type: ignore[arg-type]
