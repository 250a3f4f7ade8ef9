"""What the providers' libraries read in the environment: nothing of it reaches a provider."""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
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

KEY = "sk-" + "PLACEHOLDER" * 2
ODD = "of-the-environment"
HEADERS = "\n".join(f"{name}: {ODD}" for name in ("x-odd", "x-api-key", "authorization", "Authorization", "user-agent"))
ADAPTERS = [
    pytest.param(AnthropicModel, "anthropic", "", id="anthropic"),
    pytest.param(ResponsesModel, "openai", "/v1", id="openai"),
    pytest.param(ChatCompletionsModel, "openai", "/v1", id="openai-chat"),
]


def variables(library: str) -> set[str]:
    """All that look like a variable of the library, in its code without the types."""
    spec = importlib.util.find_spec(library)
    assert spec is not None
    assert spec.origin is not None
    home = Path(spec.origin).parent
    files = [*home.glob("*.py"), *home.glob("_utils/*.py"), *home.glob("lib/*.py"), *home.glob("lib/credentials/*.py")]
    return {name for file in files for name in re.findall(rf"\b{library.upper()}_[A-Z][A-Z_]+\b", file.read_text())}


@asynccontextmanager
async def listening() -> AsyncGenerator[tuple[str, list[bytes]]]:
    """A server that refuses everybody, and what it was told."""
    heard: list[bytes] = []

    async def refuse(stream: SocketStream) -> None:
        async with stream:
            heard.append(await stream.receive())
            await stream.send(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, refuse)
        yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}", heard
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(("adapter", "library", "path"), ADAPTERS)
async def test_a_provider_hears_nothing_of_the_environment(
    adapter: Any, library: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = variables(library)
    assert {f"{library.upper()}_{name}" for name in ("API_KEY", "BASE_URL", "CUSTOM_HEADERS")} <= found
    for name in found:
        monkeypatch.setenv(name, HEADERS if name.endswith("_CUSTOM_HEADERS") else ODD)
    async with listening() as (url, heard):
        model = adapter(api_key=KEY, base_url=url + path, headers={"X-Team": "ours"})
        request = ChatRequest(ModelChoice(provider="x", name="m"), "", (UserText("hi"),), (), 1, "m1", "r", "hi", 20.0)
        with anyio.fail_after(30), pytest.raises(ModelError) as refused:
            async with aclosing(model.stream(request)) as stream:
                await anext(stream)
        await model.aclose()
    assert refused.value.kind == "auth"
    sent = b"".join(heard).decode()
    assert KEY in sent
    assert "x-team: ours" in sent.lower()
    assert ODD not in sent


@pytest.mark.parametrize(("adapter", "library", "path"), ADAPTERS)
async def test_a_library_writes_no_requests_into_the_log_whatever_the_environment_says(
    adapter: Any, library: str, path: str
) -> None:
    logging.getLogger(library).setLevel(logging.DEBUG)  # what its variable does when it is imported
    model = adapter(api_key=KEY, base_url=f"http://127.0.0.1:9{path}")
    await model.aclose()
    assert not logging.getLogger(library).isEnabledFor(logging.INFO)
