"""The real SDK against the fake provider, with everything that can go wrong on the way."""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from callboard.actors.heard import Heard
from callboard.actors.replies import reply_of
from callboard.config.spec import ModelChoice, ToolSpec
from callboard.errors import ConfigError, ModelError
from callboard.models.anthropic import adapter as module
from callboard.models.anthropic.adapter import AnthropicModel
from callboard.models.port import (
    AssistantTurn,
    ChatMessage,
    ChatReply,
    ChatRequest,
    Counted,
    Delta,
    SteerNote,
    ToolCall,
    ToolOutcome,
    Usage,
    UserText,
)
from callboard.testing import Call, FakeProvider, Reply, Tokens, fake_provider
from callboard.testing.faults import Fault

ADD = ToolSpec(name="add", parameters={"type": "object", "properties": {"a": {"type": "integer"}}})
KEY = "sk-" + "PLACEHOLDER" * 2
SOON = 20.0


def asked(*messages: ChatMessage, timeout: float = 30.0, **chosen: Any) -> ChatRequest:
    model = ModelChoice(provider="anthropic", name="claude-test", max_output=2_000, settings=chosen)
    given = messages or (UserText("hi"),)
    return ChatRequest(model, "Be brief.", given, (ADD,), 1, "m1", "r1", "hi", timeout)


def adapter(server: FakeProvider, **more: Any) -> AnthropicModel:
    return AnthropicModel(api_key=KEY, base_url=server.url, **more)


async def heard(model: AnthropicModel, request: ChatRequest) -> tuple[str, ChatReply]:
    said: list[str] = []
    with anyio.fail_after(SOON):
        reply = await reply_of(model, request, Heard(), tell=said.append, first_token=SOON)
    return "".join(said), reply


async def failed(server: FakeProvider, request: ChatRequest | None = None, **more: Any) -> ModelError:
    model = adapter(server, **more)
    try:
        with pytest.raises(ModelError) as raised:
            await heard(model, request or asked())
    finally:
        await model.aclose()
    assert KEY not in str(raised.value)
    return raised.value


async def test_pieces_join_to_the_reply_which_has_the_usage_of_the_servers_bill() -> None:
    reply = Reply("Hello, world, this is more than one piece", tokens=Tokens(7, 9, 20, 3))
    async with fake_provider(replies=[reply]) as server:
        model = adapter(server)
        said, got = await heard(model, asked())
        await model.aclose()
        assert said == got.text == reply.text
        assert (got.stop, got.tool_calls, got.blocks) == ("end", (), ())
        assert "anthropic-ratelimit-requests-remaining" in got.limits
        assert got.usage == Usage(input_tokens=7, output_tokens=9, cached_tokens=20, written_tokens=3)
        line = server.bill["claude-test"]
        assert (line.input_tokens, line.output_tokens, line.cached_tokens, line.written_tokens) == (7, 9, 20, 3)


async def test_a_conversation_with_thoughts_and_tools_goes_on_with_what_was_signed() -> None:
    replies = [Reply("one", (Call("add", {"a": 1}), Call("add", {"a": 2})), thinking="let me see"), Reply("3")]
    async with fake_provider(replies=replies) as server:
        model = adapter(server)
        _, first = await heard(model, asked(thinking={"type": "adaptive"}))
        assert [call.arguments for call in first.tool_calls] == [{"a": 1}, {"a": 2}]
        assert [block["type"] for block in first.blocks if isinstance(block, dict)] == [
            "thinking",
            "text",
            "tool_use",
            "tool_use",
        ]
        ours = tuple(ToolCall(f"m1.{at}", call.name, call.arguments) for at, call in enumerate(first.tool_calls))
        turn = AssistantTurn(first.text, ours, "anthropic", first.blocks)
        results = (ToolOutcome("m1.1", "add", 2), SteerNote("hurry"), ToolOutcome("m1.0", "add", 1))
        _, second = await heard(model, asked(UserText("hi"), turn, *results, thinking={"type": "adaptive"}))
        await model.aclose()
        assert second.text == "3"
        assert server.requests[1].body["messages"][1]["content"] == list(first.blocks)


async def test_calls_of_another_provider_are_accepted_under_ids_of_ours() -> None:
    async with fake_provider(replies=["ok"]) as server:
        model = adapter(server)
        turn = AssistantTurn("", (ToolCall("m1.0", "add", '{"a": '),), "openai", ({"type": "reasoning"},))
        _, got = await heard(model, asked(UserText("hi"), turn))
        await model.aclose()
    assert got.text == "ok"


async def test_wrong_json_in_arguments_is_handed_on_as_text() -> None:
    faults = [Fault("bad_arguments")]
    async with fake_provider(replies=[Reply(calls=(Call("add", {"a": 1}),))], faults=faults) as server:
        model = adapter(server)
        _, got = await heard(model, asked())
        await model.aclose()
    assert got.stop == "tool_use"
    assert isinstance(got.tool_calls[0].arguments, str)


@pytest.mark.parametrize(
    ("fault", "kind", "retryable"),
    [
        (Fault("rate", retry_after=7), "rate", True),
        (Fault("quota"), "quota", False),
        (Fault("billing"), "quota", False),
        (Fault("server_error"), "overload", True),
        (Fault("unavailable"), "overload", True),
        (Fault("overloaded"), "overload", True),
        (Fault("overloaded", should_retry=False), "overload", False),
        (Fault("auth"), "auth", False),
        (Fault("bad_request"), "bad_request", False),
        (Fault("context"), "context", False),
        (Fault("retired"), "bad_request", False),
        (Fault("drop"), "network", True),
        (Fault("drop", after=3), "truncated", True),
        (Fault("truncate"), "truncated", True),
        (Fault("truncate", after=0), "truncated", True),
        (Fault("truncate", after=3), "truncated", True),
        (Fault("garble"), "truncated", True),
        (Fault("garble", after=3), "truncated", True),
        (Fault("error_event"), "overload", True),
        (Fault("error_event", after=3), "overload", True),
    ],
    ids=lambda value: f"{value.kind}-{value.after}" if isinstance(value, Fault) else str(value),
)
async def test_every_fault_is_one_typed_error_of_one_request(fault: Fault, kind: str, *, retryable: bool) -> None:
    async with fake_provider(replies=lambda _: "Hello, world, in pieces", faults=[fault]) as server:
        got = await failed(server)
        assert (got.kind, got.retryable) == (kind, retryable)
        assert len(server.requests) == 1


@pytest.mark.parametrize("form", ["seconds", "ms", "date"])
async def test_every_form_of_retry_after_is_told_with_the_limits(form: Any) -> None:
    limits = {"anthropic-ratelimit-requests-remaining": "0"}
    fault = Fault("rate", retry_after=30, retry_form=form, headers=limits)
    async with fake_provider(faults=[fault]) as server:
        got = await failed(server)
    assert got.retry_after is not None
    assert 0 < got.retry_after <= 30
    assert got.limits.items() >= limits.items()


@pytest.mark.parametrize("fault", [Fault("stall"), Fault("stall", after=3)], ids=["before", "within"])
async def test_silence_is_a_network_error_after_the_stall_timeout(fault: Fault) -> None:
    async with fake_provider(replies=["Hello, world, in pieces"], faults=[fault]) as server:
        got = await failed(server, stall_timeout=1.0)
        assert (got.kind, got.retryable) == ("network", True)
        assert "silent for 1.0 s" in str(got)
        with anyio.fail_after(SOON):
            await server.until(lambda: server.requests[0].left is not None)


@pytest.mark.parametrize("fault", [Fault("stall"), Fault("stall", after=3)], ids=["before", "within"])
async def test_a_call_ends_at_its_own_deadline(fault: Fault) -> None:
    async with fake_provider(replies=["Hello, world, in pieces"], faults=[fault]) as server:
        got = await failed(server, asked(timeout=1.0))
        assert (got.kind, got.retryable, str(got)) == ("network", True, "no reply within 1.0 s")
        with anyio.fail_after(SOON):
            await server.until(lambda: server.requests[0].left is not None)


async def test_an_endless_answer_ends_at_the_deadline_too() -> None:
    async with fake_provider(replies=[Reply("x" * 10_000, piece=1, pace=0.05)]) as server:
        assert str(await failed(server, asked(timeout=0.3))) == "no reply within 300 ms"


async def begun(stream: AsyncGenerator[Delta | ChatReply, None]) -> None:
    assert isinstance(await anext(stream), Counted)


async def test_the_server_sees_a_cancelled_call_end() -> None:
    async with fake_provider(replies=["Hello, world, in pieces"], faults=[Fault("stall", after=4)]) as server:
        model = adapter(server)

        async def listen() -> None:
            async with aclosing(model.stream(asked())) as stream:
                async for _ in stream:
                    pass

        with anyio.fail_after(SOON):
            async with anyio.create_task_group() as group:
                group.start_soon(listen)
                await server.until(lambda: bool(server.requests) and server.requests[0].chunks > 3)
                group.cancel_scope.cancel()
            await server.until(lambda: server.requests[0].left is not None)
        await model.aclose()


async def test_the_server_sees_at_once_that_a_listener_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLOSE_SECONDS", 10 * SOON)  # it waits for nothing
    open_still: list[Any] = []
    hooks = sys.get_asyncgen_hooks()
    async with fake_provider(replies=["Hello, world, in pieces"], faults=[Fault("stall", after=4)]) as server:
        model = adapter(server)
        sys.set_asyncgen_hooks(finalizer=open_still.append)  # and leaves nothing to the garbage collector
        try:
            with anyio.fail_after(SOON):
                async with aclosing(model.stream(asked())) as stream:
                    await begun(stream)
                await server.until(lambda: server.requests[0].left is not None)
        finally:
            sys.set_asyncgen_hooks(*hooks)
        await model.aclose()
    assert open_still == []


async def test_a_cancelled_call_that_waits_for_its_first_byte_ends_too() -> None:
    async with fake_provider(faults=[Fault("stall")], replies=["x"]) as server:
        model = adapter(server)
        with anyio.fail_after(SOON):
            async with anyio.create_task_group() as group:
                group.start_soon(heard, model, asked())
                await server.until(lambda: bool(server.requests))
                group.cancel_scope.cancel()
            await server.until(lambda: server.requests[0].left is not None)
        await model.aclose()


async def test_many_calls_share_one_adapter_and_its_connections() -> None:
    async with fake_provider(replies=lambda request: f"call {request.number}, in more than one piece") as server:
        model = adapter(server)
        got: list[str] = []

        async def one() -> None:
            got.append((await heard(model, asked()))[1].text)

        for _ in range(2):
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(one)
        await model.aclose()
        assert len(set(got)) == len(server.requests) == 40


async def test_who_cannot_connect_has_a_network_error() -> None:
    with socket.socket() as silent:  # bound and not listening: nobody else can have its port meanwhile
        silent.bind(("127.0.0.1", 0))
        model = AnthropicModel(api_key=KEY, base_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ModelError) as raised:
            await heard(model, asked())
        await model.aclose()
    assert (raised.value.kind, raised.value.retryable) == ("network", True)


async def test_an_address_that_is_none_is_not_tried_again() -> None:
    model = AnthropicModel(api_key=KEY, base_url="nowhere")
    with pytest.raises(ModelError, match="base_url") as raised:
        await heard(model, asked())
    assert (raised.value.kind, raised.value.retryable) == ("bad_request", False)
    await model.aclose()


async def test_headers_of_the_entry_are_sent_and_traces_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "another")
    async with fake_provider(replies=["ok"]) as server:
        model = adapter(server, headers={"x-team": "blue"})
        await heard(model, asked())
        await model.aclose()
        sent = server.requests[0].headers
    assert sent["x-team"] == "blue"
    assert "traceparent" not in sent


async def test_no_error_repeats_the_key_or_a_header() -> None:
    header = "PLACEHOLDER of the team"
    async with fake_provider(faults=[Fault("bad_request", message=f"you sent {KEY} and {header}")]) as server:
        found = await failed(server, headers={"x-team": header})
    assert "you sent *** and ***" in str(found)
    assert found.__cause__ is None


@pytest.mark.parametrize("key", ["", " ", "two words", "line\n", "naïve"])
def test_what_cannot_be_a_key_is_refused_without_telling_it(key: str) -> None:
    with pytest.raises(ConfigError, match="is no key") as refused:
        AnthropicModel(api_key=key, base_url=None)
    assert not key.strip() or key.strip() not in str(refused.value)


def test_a_key_is_not_in_the_adapters_repr() -> None:
    assert KEY not in repr(AnthropicModel(api_key=KEY, base_url=None))


async def test_importing_callboard_and_the_adapter_does_not_import_the_sdk() -> None:
    code = "import sys, callboard, callboard.models.anthropic.adapter; sys.exit('anthropic' in sys.modules)"
    with anyio.fail_after(SOON * 3):
        assert (await anyio.run_process([sys.executable, "-c", code], check=False)).returncode == 0
