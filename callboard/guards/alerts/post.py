"""Shell: posts to a webhook. Only this module knows an HTTP client."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final, TypeAlias

import anyio

from callboard.clock import Clock
from callboard.config.alerts import Webhook
from callboard.guards.alerts.digest import ID, SIGNATURE, Answer, Digest, answer, signature

Post: TypeAlias = Callable[[Digest], Awaitable[Answer]]
_CHATTY: Final = ("httpx2", "httpcore2")
"""Loggers that write out addresses; those of many webhooks are secrets."""


@asynccontextmanager
async def posting(webhook: Webhook, clock: Clock) -> AsyncGenerator[Post]:
    """How to post to ``webhook``. Never raises for what the other side does, and follows no redirect."""
    import httpx2  # noqa: PLC0415 - 0.2 s that only a process with webhooks pays

    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    headers = {"User-Agent": f"callboard/{version('callboard')}", "Content-Type": "application/json"}
    async with httpx2.AsyncClient(headers=headers, follow_redirects=False, timeout=None) as client:

        async def post(digest: Digest) -> Answer:
            signed = signature(webhook.secret.get_secret_value(), digest.body, int(clock.now().timestamp()))
            own = {ID: digest.id, SIGNATURE: signed}
            try:
                with anyio.fail_after(webhook.timeout):
                    async with client.stream("POST", webhook.url, content=digest.body, headers=own) as response:
                        return answer(response.status_code, response.headers.get("Retry-After", ""))
            except TimeoutError:
                return Answer("again", f"no answer within {webhook.timeout:g} s")
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
                return Answer("again", f"{type(error).__name__}: {error}")

        yield post
