"""A server that answers 200 with something else than a stream, and requests that no server can be sent."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from callboard.config.spec import ModelChoice
from callboard.errors import ModelError
from callboard.models.anthropic.adapter import AnthropicModel
from callboard.models.openai.chat import ChatCompletionsModel
from callboard.models.openai.responses import ResponsesModel
from callboard.models.port import ChatRequest, UserText
from callboard.models.unstreamed import no_stream

ADAPTERS = {"anthropic": AnthropicModel, "openai": ResponsesModel, "openai-chat": ChatCompletionsModel}
EACH = pytest.mark.parametrize("kind", ADAPTERS)
KEY = f"PLACEHOLDER-{len(sys.version)}"
PAGE = f"<html>\n  Log in! {KEY}</html>"


@asynccontextmanager
async def serving(content: str, kind: str) -> AsyncGenerator[str]:
    """A server that answers everything with this."""
    body = content.encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"

    async def serve(client: SocketStream) -> None:
        async with client:
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += await client.receive()
            await client.send(head.encode() + body)
            await client.send_eof()
            with anyio.move_on_after(5):
                async for _ in client:
                    pass

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        group.cancel_scope.cancel()


async def failure(kind: str, url: str, *, key: str = KEY, **more: Any) -> ModelError:
    model: Any = ADAPTERS[kind](api_key=key, base_url=url, **more)
    request = ChatRequest(
        ModelChoice(provider="openai", name="m"), "", (UserText("hi"),), (), 1, "m1", "r1", "hi", 20.0
    )
    try:
        with anyio.fail_after(20), pytest.raises(ModelError) as raised:
            async with aclosing(model.stream(request)) as stream:
                assert [piece async for piece in stream] == []
    finally:
        await model.aclose()
    assert KEY not in str(raised.value)
    return raised.value


@EACH
@pytest.mark.parametrize(
    ("error", "meant", "retryable"),
    [
        ({"type": "invalid_request_error", "message": "no streams for you"}, "bad_request", False),
        ({"type": "rate_limit_error", "message": "slow down"}, "rate", True),
        ({"message": "the model is still loading"}, "overload", True),
    ],
)
async def test_an_error_with_a_good_status_is_the_error(kind: str, error: Any, meant: str, *, retryable: bool) -> None:
    async with serving(json.dumps({"type": "error", "error": error}), "application/json") as url:
        found = await failure(kind, url)
    assert (found.kind, found.retryable) == (meant, retryable)
    assert error["message"] in str(found)


@EACH
@pytest.mark.parametrize(
    ("content", "media"),
    [(PAGE, "text/html; charset=utf-8"), ('{"id": "whole"}', "application/json"), ("[" * 9_999, "application/json")],
)
async def test_what_is_no_stream_is_shown_and_not_asked_again(kind: str, content: str, media: str) -> None:
    async with serving(content, media) as url:
        found = await failure(kind, url)
    assert (found.kind, found.retryable) == ("bad_request", False)
    assert media.partition(";")[0] in str(found)
    assert "check its base_url" in str(found)
    assert len(str(found)) < 400


@EACH
@pytest.mark.parametrize(("url", "value"), [("nowhere", ""), ("", f"{KEY}\r\nY: z")])
async def test_a_request_that_cannot_be_sent_is_a_bad_one(kind: str, url: str, value: str) -> None:
    async with serving(PAGE, "text/html") as there:
        found = await failure(kind, url or there, headers={"X": value})
    assert (found.kind, found.retryable) == ("bad_request", False)
    assert "base_url" in str(found)


@pytest.mark.parametrize("kind", ["openai", "openai-chat"])
@pytest.mark.parametrize("key", [f"{KEY}\r", f"{KEY}ü"])
async def test_a_key_that_cannot_be_sent_is_not_quoted(kind: str, key: str) -> None:
    async with serving(PAGE, "text/html") as there:
        found = await failure(kind, there, key=key)
    assert (found.kind, found.retryable) == ("bad_request", False)
    assert "check the key" in str(found)


@EACH
async def test_a_chunk_that_nests_too_deep_breaks_no_worker(kind: str) -> None:
    async with serving(f'event: message_start\ndata: {{"a": {"[" * 99_999}\n\n', "text/event-stream") as url:
        found = await failure(kind, url)
    assert (found.kind, found.retryable) == ("truncated", True)


@EACH
async def test_a_port_that_cannot_be_breaks_no_worker(kind: str) -> None:
    assert (await failure(kind, "http://127.0.0.1:99999")).kind in {"bad_request", "network"}


def test_only_pages_and_json_are_no_streams() -> None:
    kinds = {
        "": "",
        "text/event-stream; charset=utf-8": "",
        "text/plain": "",
        "Application/JSON; x=y": "application/json",
    }
    assert {kind: no_stream({"content-type": kind}) for kind in kinds} == kinds
    assert no_stream({}) == ""
    assert no_stream({"content-type": "application/problem+json"}) == "application/problem+json"
