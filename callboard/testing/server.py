"""Shell: the fake provider, a server on loopback that speaks as the real ones do and keeps its own bill."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import anyio
from anyio.abc import ByteStream, SocketAttribute

from callboard.clock import Clock, SystemClock
from callboard.testing.billing import Ledger, Line, Rate, total
from callboard.testing.cache import PromptCache
from callboard.testing.exchange import Closed, Exchange, say
from callboard.testing.faults import Fault, Refused, first_hit, refusal, refuse
from callboard.testing.http11 import Connection, HttpRequest, NotHttp
from callboard.testing.limits import Limit
from callboard.testing.listing import listing
from callboard.testing.loose import mapping
from callboard.testing.pairing import problem
from callboard.testing.plan import changed, plan
from callboard.testing.script import Answer, OutOfReplies, Replies, Reply, Request, Wire, as_reply, tokens_in

_WIRES: Final[Mapping[str, Wire]] = {
    "/v1/messages": "anthropic",
    "/v1/responses": "openai",
    "/v1/chat/completions": "openai-chat",
}
_PREFIX: Final[Mapping[Wire, str]] = {"anthropic": "msg", "openai": "resp", "openai-chat": "chatcmpl"}
_SECRET: Final = frozenset({"authorization", "x-api-key", "cookie", "proxy-authorization"})


class FakeProvider:
    """What a test or an operator holds. Made by ``fake_provider``, which also listens.

    ``requests`` are those that ask for an answer, in order of their arrival. ``models``: those that exist, without
    them all do. A reply of a list that does not arrive as a whole is the next one again.
    """

    def __init__(
        self,
        *,
        replies: Replies = (),
        faults: Sequence[Fault] = (),
        prices: Mapping[str, Rate] | None = None,
        models: Sequence[str] = (),
        retired: Sequence[str] = (),
        cache: PromptCache | None = None,
        limit: Limit | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self.faults = list(faults)
        self._replies = replies
        self._queue = [] if callable(replies) else [as_reply(each) for each in replies]
        self._ledger = Ledger(prices or {})
        self._models = models
        self._retired = retired
        self._cache = cache or PromptCache()
        self._limit = limit or Limit()
        self._clock = clock or SystemClock()
        self._started = self._clock.monotonic()
        self._tag = self._clock.new_id()[:8]
        self._changed = anyio.Event()

    @property
    def bill(self) -> Mapping[str, Line]:
        """What was used so far, by model."""
        return dict(self._ledger.lines)

    @property
    def total(self) -> Line:
        """What was used so far, of all models."""
        return total(self._ledger.lines.values())

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return when ``holds``; it is asked after everything that happens here. Give it a deadline."""
        while not holds():
            await self._changed.wait()

    async def serve(self, stream: ByteStream) -> None:
        """One connection of a client, until it ends."""
        connection = Connection(stream)
        async with stream:
            try:
                while (asked := await connection.receive()) is not None:
                    await self._respond(connection, asked)
            except (Closed, NotHttp, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async def _respond(self, connection: Connection, asked: HttpRequest) -> None:
        wire = _WIRES.get(asked.path)
        if asked.method == "POST" and wire is not None:
            await self._ask(connection, asked, wire)
            return
        status, body = listing(asked.path, asked.headers, self._models, retired=self._retired)
        await say(connection, status, body, {})

    async def _ask(self, connection: Connection, asked: HttpRequest, wire: Wire) -> None:
        headers = {name: text for name, text in asked.headers.items() if name not in _SECRET}
        request = Request(len(self.requests) + 1, wire, _parsed(asked.body), headers, self._clock.monotonic())
        self.requests.append(request)
        fault = first_hit(self.faults, request, self._since_start())
        request.fault = fault.kind if fault else ""
        self._tell()
        reply = self._decide(request, fault)
        if isinstance(reply, Reply):
            await self._answer(connection, request, reply, fault)
            return
        request.status = reply.status
        await say(connection, reply.status, reply.body, {**self._limits(request), **reply.headers})
        request.done = self._clock.monotonic()
        self._tell()

    def _decide(self, request: Request, fault: Fault | None) -> Reply | Refused:
        """As the real ones: trouble first, then whether the request is valid, then the model speaks."""
        refused = refusal(fault, request, self._clock.now()) if fault else None
        if refused is not None:
            return refused
        if request.model in self._retired or (self._models and request.model not in self._models):
            return refuse("retired", request)
        wrong = problem(request.wire, request.body)
        if wrong is not None:
            return refuse("bad_request", request, wrong)
        wait = self._limit.wait(tokens_in(len(json.dumps(request.body))), self._clock.monotonic())
        if wait:
            return replace(refuse("rate", request), headers={"retry-after": f"{math.ceil(wait)}"})
        if request.wire == "anthropic" and request.body["max_tokens"] == 0:
            return Reply(stop="max_tokens")  # it warms the cache
        return self._scripted(request)

    def _scripted(self, request: Request) -> Reply | Refused:
        if not callable(self._replies):
            if not self._queue:
                return refuse("bad_request", request, "the script has no reply left: give more replies")
            return self._queue.pop(0)
        try:
            return as_reply(self._replies(request))
        except OutOfReplies as error:
            return refuse("bad_request", request, str(error))

    async def _answer(self, connection: Connection, request: Request, reply: Reply, fault: Fault | None) -> None:
        found = self._cache.look(request, self._clock.monotonic())
        told = changed(reply, fault)
        request.tokens = told.tokens or replace(found.tokens, output=tokens_in(told.size))
        name = f"{_PREFIX[request.wire]}_{self._tag}{request.number:04}"
        answer = Answer(name, request.model, told, request.tokens, int(self._clock.now().timestamp()))
        exchange = Exchange(
            connection,
            request,
            told,
            headers=self._limits(request),
            now=self._clock.monotonic,
            tell=self._tell,
            began=lambda: self._cache.keep(found, self._clock.monotonic()),
            settle=lambda said, counted: self._settle(request, said, counted=counted),
        )
        try:
            await exchange.send(plan(answer, request, fault))
        finally:
            if exchange.answered:
                self._settle(request, exchange.said, counted=exchange.counted)
            self._tell()
            if request.done is None and not callable(self._replies):
                self._queue.insert(0, reply)

    def _settle(self, request: Request, said: int, *, counted: int) -> None:
        """Once for each answer of which something was sent. Who leaves pays the input and what was said until then.

        That is never less than what the client was told that it was ``counted``.
        """
        if not request.billed:
            whole = request.done is not None
            spoken = request.tokens.output if whole else max(counted, min(tokens_in(said), request.tokens.output))
            request.tokens = replace(request.tokens, output=spoken)
            request.usd_micros = self._ledger.charge(request.model, request.tokens)
            request.billed = True

    def _limits(self, request: Request) -> dict[str, str]:
        return self._limit.headers(request.wire, now=self._clock.monotonic(), wall=self._clock.now())

    def _since_start(self) -> float:
        return self._clock.monotonic() - self._started

    def _tell(self) -> None:
        changed_now, self._changed = self._changed, anyio.Event()
        changed_now.set()


def _parsed(body: bytes) -> Mapping[str, Any]:
    """What is no JSON object is an empty one, which lacks all that is required."""
    try:
        return mapping(json.loads(body))
    except ValueError:
        return {}


@asynccontextmanager
async def fake_provider(
    *,
    replies: Replies = (),
    faults: Sequence[Fault] = (),
    prices: Mapping[str, Rate] | None = None,
    models: Sequence[str] = (),
    retired: Sequence[str] = (),
    cache: PromptCache | None = None,
    limit: Limit | None = None,
    port: int = 0,
    clock: Clock | None = None,
) -> AsyncGenerator[FakeProvider]:
    """A fake provider that listens on 127.0.0.1 while the block runs. ``port`` 0 is a free one."""
    server = FakeProvider(
        replies=replies,
        faults=faults,
        prices=prices,
        models=models,
        retired=retired,
        cache=cache,
        limit=limit,
        clock=clock,
    )
    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port) as listener:
        server.url = f"http://127.0.0.1:{listener.extra_attributes[SocketAttribute.local_port]()}"
        failure: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, server.serve)
            try:
                yield server
            except Exception as error:  # noqa: BLE001 - raised below, outside of the group, which would wrap it
                failure = error
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure
