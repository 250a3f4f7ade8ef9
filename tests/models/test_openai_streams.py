"""The OpenAI SDK against the fake provider, over real connections: every answer, and every way to have none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import pytest

from callboard.actors.heard import Heard
from callboard.actors.replies import reply_of
from callboard.errors import ModelError
from callboard.models.openai.chat import ChatCompletionsModel
from callboard.models.openai.responses import ResponsesModel
from callboard.models.port import AssistantTurn, ChatReply, TextDelta, ToolOutcome, Unseen, Usage, UserText
from callboard.testing import Call, Reply, Tokens, fake_provider
from callboard.testing.faults import Fault
from tests.models.openai_requests import asked

KEY = f"PLACEHOLDER-{len(sys.version)}"
MODELS = pytest.mark.parametrize("adapter", [ResponsesModel, ChatCompletionsModel], ids=["openai", "openai-chat"])
RETRYABLE = {"rate", "overload", "network", "truncated"}


@asynccontextmanager
async def provider(adapter: Any, *, stall_timeout: float = 20.0, **script: Any) -> AsyncIterator[tuple[Any, Any]]:
    async with fake_provider(**script) as server:
        model = adapter(api_key=KEY, base_url=f"{server.url}/v1", stall_timeout=stall_timeout)
        try:
            with anyio.fail_after(30):
                yield model, server
        finally:
            await model.aclose()


async def answer(model: Any, request: Any = None) -> tuple[list[str], ChatReply]:
    async with aclosing(model.stream(request or asked())) as stream:
        *deltas, reply = [piece async for piece in stream]
    assert deltas[0] == Unseen()
    said = [piece.text for piece in deltas if isinstance(piece, TextDelta)]
    assert "".join(said) == reply.text
    return said, reply


async def failure(model: Any, request: Any = None) -> ModelError:
    with pytest.raises(ModelError) as raised:
        await answer(model, request)
    return raised.value


@MODELS
async def test_an_answer_comes_in_pieces_with_its_usage(adapter: Any) -> None:
    used = Tokens(input=30, output=7, cached=60, written=10)
    async with provider(adapter, replies=[Reply("Hello, how are you?", tokens=used, piece=4)]) as (model, server):
        said, reply = await answer(model)
    assert len(said) > 3
    assert reply.text == "Hello, how are you?"
    assert (reply.usage, reply.stop) == (Usage(30, 7, 60, written_tokens=10), "end")
    assert server.requests[0].body["stream"] is True
    assert "x-ratelimit-remaining-requests" in reply.limits


@MODELS
async def test_a_tool_call_and_its_result_go_there_and_back(adapter: Any) -> None:
    replies = [Reply("hm", calls=(Call("search", {"query": "é"}),), thinking="let me think"), "found"]
    async with provider(adapter, replies=replies) as (model, server):
        _, first = await answer(model)
        assert [(call.name, call.arguments) for call in first.tool_calls] == [("search", {"query": "é"})]
        assert first.stop == "tool_use"
        called = replace(first.tool_calls[0], id="m1.0")
        turn = AssistantTurn(first.text, (called,), "openai", first.blocks)
        _, last = await answer(model, asked(UserText("go"), turn, ToolOutcome("m1.0", "search", {"hits": 2})))
    assert last.text == "found"
    if adapter is ResponsesModel:
        assert [item["type"] for item in server.requests[1].body["input"]] == [
            "message",
            "reasoning",
            "message",
            "function_call",
            "function_call_output",
        ]
        assert server.requests[1].body["input"][1] == first.blocks[0]


@MODELS
async def test_wrong_json_in_arguments_is_handed_on(adapter: Any) -> None:
    replies = [Reply(calls=(Call("search", {"query": "x"}),))]
    async with provider(adapter, replies=replies, faults=[Fault("bad_arguments")]) as (model, _):
        assert (await answer(model))[1].tool_calls[0].arguments == '{"query": "x",'


@MODELS
@pytest.mark.parametrize("stop", ["max_tokens", "content_filter", "refusal"])
async def test_an_answer_that_did_not_end_by_itself_says_why(adapter: Any, stop: Any) -> None:
    async with provider(adapter, replies=[Reply("so far", stop=stop)]) as (model, _):
        assert (await answer(model))[1].stop == stop


async def test_a_response_that_fails_is_an_error() -> None:
    async with provider(ResponsesModel, replies=[Reply("so far", stop="context")]) as (model, _):
        found = await failure(model)
    assert (found.kind, found.retryable) == ("context", False)


@MODELS
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("rate", retry_after=2), "rate"),
        (Fault("quota", retry_after=2, should_retry=True), "quota"),
        (Fault("billing"), "quota"),
        (Fault("server_error"), "overload"),
        (Fault("unavailable"), "overload"),
        (Fault("overloaded"), "overload"),
        (Fault("server_error", status=529), "overload"),
        (Fault("auth"), "auth"),
        (Fault("auth", status=403), "auth"),
        (Fault("bad_request"), "bad_request"),
        (Fault("context"), "context"),
        (Fault("retired"), "bad_request"),
        (Fault("drop"), "network"),
        (Fault("drop", after=2), "truncated"),
        (Fault("truncate"), "truncated"),
        (Fault("truncate", after=2), "truncated"),
        (Fault("garble"), "truncated"),
        (Fault("error_event", after=2), "overload"),
    ],
    ids=lambda each: f"{each.kind}-{each.status or each.after}" if isinstance(each, Fault) else each,
)
async def test_every_fault_becomes_an_error_of_its_kind(adapter: Any, fault: Fault, kind: str) -> None:
    async with provider(adapter, replies=["Hello, how are you?"], faults=[replace(fault, at=1)]) as (model, server):
        found = await failure(model)
        assert (found.kind, found.retryable) == (kind, kind in RETRYABLE), str(found)
        assert len(server.requests) == 1  # the SDK retries nothing by itself
        if not fault.should_retry and kind in RETRYABLE:
            assert (await answer(model))[1].text == "Hello, how are you?"  # the client is whole


@MODELS
@pytest.mark.parametrize("form", ["seconds", "ms", "date"])
async def test_the_provider_says_when_to_come_back(adapter: Any, form: Any) -> None:
    told = {"x-ratelimit-remaining-requests": "0"}
    fault = Fault("rate", retry_after=40, retry_form=form, headers=told)
    async with provider(adapter, faults=[fault]) as (model, _):
        found = await failure(model)
    assert found.retry_after is not None
    assert 1 < found.retry_after <= 40
    assert found.limits.items() >= told.items()


@MODELS
@pytest.mark.parametrize("after", [None, 2])
async def test_a_stream_without_a_byte_is_given_up(adapter: Any, after: int | None) -> None:
    faults = [Fault("stall", after=after)]
    async with provider(adapter, stall_timeout=0.3, replies=["Hello, you"], faults=faults) as (model, server):
        found = await failure(model)
        assert (found.kind, found.retryable) == ("network", True)
        assert "not a byte within 300 ms" in str(found)
        await server.until(lambda: server.requests[0].left is not None)


@MODELS
@pytest.mark.parametrize("after", [None, 2])
async def test_the_request_s_own_deadline_ends_it(adapter: Any, after: int | None) -> None:
    async with provider(adapter, replies=["Hello, you"], faults=[Fault("stall", after=after)]) as (model, server):
        with pytest.raises(ModelError) as raised:
            await reply_of(model, asked(timeout=0.3), Heard(), tell=len, first_token=20.0)
        found = raised.value
        assert (found.kind, found.retryable) == ("network", True)
        assert "no reply within 300 ms" in str(found)
        await server.until(lambda: server.requests[0].left is not None)


@MODELS
@pytest.mark.parametrize("after", [None, 2])
async def test_a_cancelled_call_closes_its_connection(adapter: Any, after: int | None) -> None:
    async with provider(adapter, replies=["Hello, you"], faults=[Fault("stall", after=after)]) as (model, server):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer, model)
            await server.until(lambda: bool(server.requests) and server.requests[0].chunks >= (after or 0))
            tasks.cancel_scope.cancel()
        await server.until(lambda: server.requests[0].left is not None)


@MODELS
async def test_leaving_a_stream_early_closes_its_connection(adapter: Any) -> None:
    script: dict[str, Any] = {"replies": ["Hello, how are you today?"], "faults": [Fault("stall", after=6)]}
    async with provider(adapter, **script) as (model, server):
        async with aclosing(model.stream(asked())) as stream:
            await anext(stream)
        await server.until(lambda: server.requests[0].left is not None)


@MODELS
async def test_one_client_serves_many_calls_at_once(adapter: Any) -> None:
    found: list[str] = []

    async def ask(model: Any) -> None:
        found.append((await answer(model))[1].text)

    script: dict[str, Any] = {"replies": lambda _: Reply("hi", first=0.05)}
    async with provider(adapter, **script) as (model, server), anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(ask, model)
    assert found == ["hi"] * 20
    assert len(server.requests) == 20


@MODELS
async def test_a_server_that_is_not_there_is_a_matter_of_the_network(adapter: Any) -> None:
    async with fake_provider() as server:
        url = server.url
    model = adapter(api_key="", base_url=f"{url}/v1")
    found = await failure(model)
    await model.aclose()
    assert (found.kind, found.retryable) == ("network", True)
    assert "cannot be reached" in str(found)


@MODELS
async def test_no_error_repeats_the_key(adapter: Any) -> None:
    faults = [Fault("bad_request", message=f"you sent {KEY}")]
    async with provider(adapter, faults=faults) as (model, _):
        found = await failure(model)
    assert KEY not in str(found)
    assert found.__cause__ is None
    assert KEY not in repr(model)


@MODELS
async def test_the_environment_changes_nothing(adapter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-team: others")
    async with provider(adapter, replies=["hi"]) as (model, server):
        assert (await answer(model))[1].text == "hi"
    assert not {"openai-organization", "openai-project", "x-team"} & set(server.requests[0].headers)


@MODELS
async def test_the_headers_of_the_entry_go_with_each_request(adapter: Any) -> None:
    async with fake_provider(replies=["hi"]) as server:
        model = adapter(api_key=KEY, base_url=f"{server.url}/v1", headers={"X-Team": "ours"})
        await answer(model)
        await model.aclose()
    assert server.requests[0].headers["x-team"] == "ours"


@MODELS
async def test_a_wrong_setting_is_refused_before_anything_is_sent(adapter: Any) -> None:
    async with provider(adapter, replies=["hi"]) as (model, server):
        found = await failure(model, asked(settings={"temprature": 1}))
    assert (found.kind, found.retryable) == ("bad_request", False)
    assert server.requests == []


def test_callboard_does_not_import_the_sdk() -> None:
    program = (
        "import sys, callboard, callboard.models.registry, callboard.models.openai.responses, "
        "callboard.models.openai.chat\n"
        "assert not {'openai', 'httpx2'} & set(sys.modules), 'the SDK costs a second of every command'"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
