"""What a plain HTTP client sees of each fault, byte by byte."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import anyio
import httpx2
import pytest

from callboard.testing import Call, FakeProvider, Fault, Limit, Rate, Reply, Request, Tokens, by_turn, fake_provider

PATHS = {"anthropic": "/v1/messages", "openai": "/v1/responses", "openai-chat": "/v1/chat/completions"}
REPLY = Reply("one two three four five", (Call("add", {"a": 1}),), tokens=Tokens(10, 8))
TERMINAL = {"anthropic": "message_stop", "openai": "response.completed", "openai-chat": "finish"}


def body(wire: str, **more: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": "hi"}]
    asked = {"model": "m", "stream": True, "input" if wire == "openai" else "messages": said}
    return asked | ({"max_tokens": 10} if wire == "anthropic" else {}) | more


@asynccontextmanager
async def serving(
    replies: Sequence[Reply | str], *faults: Fault, **more: Any
) -> AsyncIterator[tuple[FakeProvider, httpx2.AsyncClient]]:
    async with (
        fake_provider(replies=replies, faults=faults, **more) as server,
        httpx2.AsyncClient(base_url=server.url, timeout=30) as client,
    ):
        with anyio.fail_after(30):
            yield server, client


def events(text: str) -> list[str]:
    """The names of the events; chunks of Chat Completions are named by what they hold."""
    found = []
    for block in text.strip().split("\n\n"):
        *head, data = block.split("\n")
        if head:
            found.append(head[0].removeprefix("event: "))
        elif '"finish_reason": "' in data:
            found.append("finish")
        else:
            found.append(data.removeprefix("data: ") if "[DONE]" in data else "chunk")
    return found


@pytest.mark.parametrize("wire", PATHS)
async def test_a_stream_ends_with_its_terminal_event(wire: str) -> None:
    async with serving([REPLY]) as (server, client):
        answer = await client.post(PATHS[wire], json=body(wire))
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert TERMINAL[wire] in events(answer.text)[-2:]
        assert server.requests[0].chunks == len(events(answer.text))


@pytest.mark.parametrize("wire", PATHS)
async def test_a_truncated_stream_ends_cleanly_without_the_terminal_event_and_the_reply_comes_again(wire: str) -> None:
    async with serving([REPLY, "next"], Fault("truncate", at=1), Fault("truncate", at=2, after=3)) as (server, client):
        first = await client.post(PATHS[wire], json=body(wire))
        second = await client.post(PATHS[wire], json=body(wire))
        whole = await client.post(PATHS[wire], json=body(wire))
        assert TERMINAL[wire] not in events(first.text)
        assert len(events(second.text)) == 3
        assert "five" in whole.text
        assert TERMINAL[wire] in events(whole.text)
        assert [request.done is not None for request in server.requests] == [False, False, True]
        assert server.bill["m"].calls == 3
        assert server.bill["m"].input_tokens == 30
        assert 16 <= server.bill["m"].output_tokens < 24


@pytest.mark.parametrize("wire", PATHS)
async def test_a_connection_is_dropped_before_the_headers_or_after_some_chunks(wire: str) -> None:
    async with serving([REPLY], Fault("drop", at=1), Fault("drop", at=2, after=2)) as (server, client):
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post(PATHS[wire], json=body(wire))
        async with client.stream("POST", PATHS[wire], json=body(wire)) as answer:
            assert answer.status_code == 200
            with pytest.raises(httpx2.RemoteProtocolError):
                await answer.aread()
        await server.until(lambda: server.total.calls == 1)
        assert (await client.post(PATHS[wire], json=body(wire))).status_code == 200
        assert [request.fault for request in server.requests] == ["drop", "drop", ""]
        assert [request.left for request in server.requests] == [None, None, None]


async def test_a_stall_lasts_until_the_client_leaves() -> None:
    async with serving([REPLY], Fault("stall", at=1), Fault("stall", at=2, after=2)) as (server, client):
        for _ in (1, 2):
            with pytest.raises(httpx2.ReadTimeout):
                await client.post("/v1/messages", json=body("anthropic"), timeout=0.2)
            await server.until(lambda: server.requests[-1].left is not None)
        await server.until(lambda: server.total.calls == 1)
        assert server.bill["m"].output_tokens == 1, "as the server has told"
        assert [request.status for request in server.requests] == [0, 200]


async def test_a_stall_of_some_seconds_ends_in_a_dropped_connection() -> None:
    async with serving([REPLY], Fault("stall", after=1, seconds=0.01)) as (_, client):
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post("/v1/messages", json=body("anthropic"))


@pytest.mark.parametrize("wire", PATHS)
async def test_a_garbled_chunk_is_no_json(wire: str) -> None:
    async with serving([REPLY], Fault("garble", after=2)) as (_, client):
        answer = await client.post(PATHS[wire], json=body(wire))
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    with pytest.raises(json.JSONDecodeError):
        json.loads(lines[2])
    assert json.loads(lines[1])


@pytest.mark.parametrize("wire", PATHS)
async def test_an_error_event_stands_in_the_stream_with_status_200(wire: str) -> None:
    async with serving([REPLY], Fault("error_event", after=2), Fault("error_event", after=0)) as (_, client):
        answer = await client.post(PATHS[wire], json=body(wire))
    last = json.loads(answer.text.strip().rpartition("data: ")[2])
    assert answer.status_code == 200
    assert len(events(answer.text)) == 3
    if wire == "anthropic":
        assert (events(answer.text)[-1], last["error"]["type"]) == ("error", "overloaded_error")
    elif wire == "openai":
        assert (last["type"], last["code"]) == ("error", "server_is_overloaded")
    else:
        assert last["error"]["code"] == "server_is_overloaded"


async def test_an_error_event_may_be_the_first_and_then_nothing_is_billed() -> None:
    async with serving([REPLY], Fault("error_event", after=0, message="no more")) as (server, client):
        answer = await client.post("/v1/messages", json=body("anthropic"))
    assert events(answer.text) == ["error"]
    assert "no more" in answer.text
    assert (server.total.calls, server.requests[0].billed) == (0, False)


async def test_each_request_says_what_it_costs() -> None:
    faults = Fault("truncate", at=1, after=1), Fault("truncate", at=2)
    async with serving([REPLY], *faults, prices={"m": Rate(3, 15)}) as (server, client):
        for _ in range(3):
            await client.post("/v1/messages", json=body("anthropic"))
    told, all_but_the_end, whole = server.requests
    assert [request.usd_micros for request in server.requests] == [45, 150, 150]
    assert [request.tokens.output for request in server.requests] == [1, 8, 8]
    assert told.tokens == replace(whole.tokens, output=1), "what was told is billed, also of an answer that broke"
    assert all_but_the_end.done is None
    assert server.total.usd_micros == 345


async def test_a_compatible_server_counts_in_every_chunk_if_it_is_asked_to_and_bills_no_less() -> None:
    asked = body("openai-chat") | {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}
    async with serving([REPLY], Fault("truncate", at=1, after=2)) as (server, client):
        for _ in range(2):
            answer = await client.post("/v1/chat/completions", json=asked)
    told = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    counts = [chunk["usage"]["completion_tokens"] for chunk in told]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, REPLY.tokens.output)
    assert server.requests[0].tokens.output == counts[1] > 0


@pytest.mark.parametrize(
    ("kind", "anthropic", "openai"),
    [
        ("rate", (429, "rate_limit_error"), (429, "rate_limit_exceeded")),
        ("quota", (429, "rate_limit_error"), (429, "insufficient_quota")),
        ("billing", (402, "billing_error"), (429, "billing_hard_limit_reached")),
        ("server_error", (500, "api_error"), (500, None)),
        ("unavailable", (503, "api_error"), (503, None)),
        ("overloaded", (529, "overloaded_error"), (503, "server_is_overloaded")),
        ("auth", (401, "authentication_error"), (401, "invalid_api_key")),
        ("bad_request", (400, "invalid_request_error"), (400, None)),
        ("context", (400, "invalid_request_error"), (400, "context_length_exceeded")),
        ("retired", (404, "not_found_error"), (404, "model_not_found")),
    ],
)
async def test_each_refusal_has_the_status_and_the_words_of_its_provider(
    kind: Any, anthropic: tuple[int, str], openai: tuple[int, str | None]
) -> None:
    async with serving([], Fault(kind)) as (server, client):
        one = await client.post("/v1/messages", json=body("anthropic"))
        two = await client.post("/v1/responses", json=body("openai"))
        three = await client.post("/v1/chat/completions", json=body("openai-chat"))
        assert (one.status_code, one.json()["error"]["type"]) == anthropic
        assert (
            (two.status_code, two.json()["error"]["code"])
            == openai
            == (three.status_code, three.json()["error"]["code"])
        )
        assert not server.bill
        assert [request.status for request in server.requests] == [anthropic[0], openai[0], openai[0]]


async def test_every_form_of_retry_after_can_be_told() -> None:
    faults = [
        Fault("rate", at=1, retry_after=2),
        Fault("rate", at=2, retry_after=1.5, retry_form="ms", should_retry=False),
        Fault("rate", at=3, retry_after=60, retry_form="date", should_retry=True),
        Fault("rate", at=4, headers={"retry-after": "nonsense"}),
        Fault("server_error", at=range(5, 9), status=502),
    ]
    async with serving([], *faults) as (_, client):
        told = [await client.post("/v1/messages", json=body("anthropic")) for _ in range(5)]
    assert told[0].headers["retry-after"] == "2"
    assert "x-should-retry" not in told[0].headers
    assert (told[1].headers["retry-after-ms"], told[1].headers["x-should-retry"]) == ("1500", "false")
    until = parsedate_to_datetime(told[2].headers["retry-after"]) - datetime.now(UTC)
    assert 0 < until.total_seconds() <= 60
    assert told[2].headers["x-should-retry"] == "true"
    assert told[3].headers["retry-after"] == "nonsense"
    assert told[4].status_code == 502


async def test_wrong_json_in_arguments_and_a_slow_first_token_are_whole_answers() -> None:
    faults = [Fault("bad_arguments", at=1), Fault("slow", at=lambda request: request.number == 2, seconds=0.05)]
    async with serving([REPLY, REPLY], *faults) as (server, client):
        wrong = await client.post("/v1/responses", json=body("openai", stream=False))
        with pytest.raises(json.JSONDecodeError):
            json.loads(wrong.json()["output"][1]["arguments"])
        late = await client.post("/v1/responses", json=body("openai"))
        assert "response.completed" in late.text
        request = server.requests[1]
        assert request.done is not None
        assert request.done - request.at >= 0.05
        assert server.total.calls == 2


async def test_an_outage_has_a_beginning_and_an_end() -> None:
    down = Fault("unavailable", between=(0, 3600))
    up = Fault("unavailable", between=(3600, 7200))
    async with serving(["yes"], down) as (_, client):
        assert (await client.post("/v1/messages", json=body("anthropic"))).status_code == 503
    async with serving(["yes"], up) as (server, client):
        assert (await client.post("/v1/messages", json=body("anthropic"))).status_code == 200
        server.faults.append(Fault("auth"))
        assert (await client.post("/v1/messages", json=body("anthropic"))).status_code == 401


async def test_faults_may_hit_answers_that_are_not_streamed() -> None:
    faults = [Fault("truncate", at=1), Fault("garble", at=2), Fault("drop", at=3)]
    async with serving([REPLY], *faults) as (_, client):
        for _ in (1, 2):
            answer = await client.post("/v1/messages", json=body("anthropic", stream=False))
            with pytest.raises(json.JSONDecodeError):
                answer.json()
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post("/v1/messages", json=body("anthropic", stream=False))
        assert (await client.post("/v1/messages", json=body("anthropic", stream=False))).json()["type"] == "message"


async def test_an_invalid_conversation_is_answered_400_and_uses_no_reply() -> None:
    orphan = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "x"}]}
    async with serving(["yes"]) as (server, client):
        refused = await client.post("/v1/messages", json=body("anthropic", messages=[orphan]))
        assert refused.status_code == 400
        assert "t1" in refused.json()["error"]["message"]
        assert (await client.post("/v1/messages", content=b"{")).status_code == 400
        assert (await client.post("/v1/messages", json=body("anthropic"))).status_code == 200
        assert server.total.calls == 1


async def test_a_script_without_replies_says_so() -> None:
    async with serving([]) as (_, client):
        assert "no reply left" in (await client.post("/v1/messages", json=body("anthropic"))).text
    async with (
        fake_provider(replies=by_turn("one")) as server,
        httpx2.AsyncClient(base_url=server.url, timeout=30) as client,
    ):
        said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "one"}]
        assert "one" in (await client.post("/v1/messages", json=body("anthropic"))).text
        assert "turn 2 was asked" in (await client.post("/v1/messages", json=body("anthropic", messages=said))).text


async def test_a_reply_may_be_a_function_of_the_request() -> None:
    def echo(request: Request) -> Reply:
        return Reply(f"you said {request.body['messages'][0]['content']}")

    async with (
        fake_provider(replies=echo) as server,
        httpx2.AsyncClient(base_url=server.url, timeout=30) as client,
    ):
        answer = await client.post("/v1/messages", json=body("anthropic", stream=False))
    assert answer.json()["content"][0]["text"] == "you said hi"


async def test_models_are_listed_and_those_that_do_not_exist_are_404() -> None:
    as_claude = {"anthropic-version": "2026-10-21"}
    async with serving(["yes"], models=["new", "old"], retired=["old"]) as (_, client):
        ours = (await client.get("/v1/models", headers=as_claude)).json()
        theirs = (await client.get("/v1/models")).json()
        assert [(each["id"], each["lifecycle"]) for each in ours["data"]] == [("new", "active"), ("old", "retired")]
        assert [each["id"] for each in theirs["data"]] == ["new", "old"]
        assert (await client.get("/v1/models/new", headers=as_claude)).json()["lifecycle"] == "active"
        assert (await client.get("/v1/models/none")).status_code == 404
        assert (await client.get("/v1/models/none", headers=as_claude)).status_code == 404
        for model, status in (("new", 200), ("old", 404), ("none", 404)):
            answer = await client.post("/v1/messages", json=body("anthropic", model=model))
            assert answer.status_code == status
    async with serving([]) as (_, client):
        assert (await client.get("/v1/models", headers=as_claude)).json()["data"] == []
        assert (await client.get("/nowhere")).status_code == 404


async def test_both_providers_speak_of_their_limits_and_hold_them() -> None:
    async with serving(["a", "b", "c"], limit=Limit(requests=2)) as (_, client):
        one = await client.post("/v1/messages", json=body("anthropic"))
        two = await client.post("/v1/responses", json=body("openai"))
        three = await client.post("/v1/messages", json=body("anthropic"))
    assert one.headers["anthropic-ratelimit-requests-remaining"] == "1"
    assert one.headers["anthropic-ratelimit-input-tokens-reset"].endswith("Z")
    assert (two.headers["x-ratelimit-limit-requests"], two.headers["x-ratelimit-remaining-requests"]) == ("2", "0")
    assert three.status_code == 429
    assert 0 < int(three.headers["retry-after"]) <= 60


async def test_a_client_that_talks_nonsense_or_in_chunks_does_not_hurt_the_server() -> None:
    async with serving(["yes"]) as (server, client):
        port = int(server.url.rpartition(":")[2])
        for bytes_sent in (
            b"nonsense\r\n\r\n",
            b"POST /v1/messages HTTP/1.1\r\ncontent-length: 9\r\n\r\nx",
            b"x" * 70_000,
        ):
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(bytes_sent)
                await stream.send_eof()
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await stream.receive()

        async def parts() -> AsyncIterator[bytes]:
            text = json.dumps(body("anthropic")).encode()
            yield text[:20]
            yield text[20:]

        assert (await client.post("/v1/messages", content=parts())).status_code == 200
