"""The models of a worker: one client for each entry of ``providers``, opened when it is needed, closed at the end."""

from __future__ import annotations

from dataclasses import replace
from threading import Barrier

import anyio
import pytest

from callboard.config.providers import Provider, Providers
from callboard.config.spec import ModelChoice
from callboard.errors import ConfigError
from callboard.models.registry import Models, opened_models

PARTS = ("sk", "PLACEHOLDER")
KEY = "-".join((*PARTS, "1"))
PROVIDERS = Providers(
    {
        "anthropic": Provider("anthropic", KEY, "http://127.0.0.1:1"),
        "batch": Provider("anthropic", KEY, "http://127.0.0.1:1"),
        "openai": Provider("openai", KEY, "http://127.0.0.1:1/v1"),
        "local": Provider("openai-chat", "", "http://127.0.0.1:1/v1"),
    },
    frozenset({KEY}),
)


def choice(provider: str, name: str = "m", key_name: str | None = None) -> ModelChoice:
    return ModelChoice(provider=provider, name=name, key_name=key_name)


async def test_all_models_of_an_entry_share_one_client_and_entries_do_not() -> None:
    choices = [choice("anthropic"), choice("openai"), choice("openai-chat", key_name="local")]
    async with opened_models(PROVIDERS, choices) as models:
        one = models.open(choice("anthropic", "a"))
        assert models.open(choice("anthropic", "b")) is one
        assert models.open(choice("anthropic", "a", "batch")) is not one
        kinds = [type(models.open(each)).__name__ for each in choices]
        assert kinds == ["AnthropicModel", "ResponsesModel", "ChatCompletionsModel"]


async def test_threads_that_open_an_entry_at_the_same_time_share_its_client() -> None:
    found, together = list[object](), Barrier(8)

    def open_one() -> None:
        together.wait(10)
        found.append(models.open(choice("anthropic")))

    async with opened_models(PROVIDERS, []) as models, anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(anyio.to_thread.run_sync, open_one)
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


@pytest.mark.parametrize(
    "asked", [choice("openai-chat"), choice("anthropic", key_name="other"), choice("openai", key_name="local")]
)
def test_an_entry_that_the_worker_does_not_have_is_refused_with_what_to_do(asked: ModelChoice) -> None:
    entry = asked.key_name or asked.provider
    with pytest.raises(ConfigError, match=rf"it has no key for '{entry}' .*start the worker again"):
        Models(PROVIDERS).open(asked)


async def test_a_later_model_of_a_chain_that_cannot_be_asked_is_told_and_passed_over(caplog) -> None:
    providers = replace(PROVIDERS, absent={"openai-chat": "set OPENAI_API_KEY"})
    others = [choice("openai-chat", "x"), choice("openai"), choice("scripted")]
    async with opened_models(providers, [choice("anthropic")], others) as models:
        with pytest.raises(ConfigError, match="cannot ask 'x': set OPENAI_API_KEY, and start the worker again"):
            models.open(choice("openai-chat", "x"))
    (line,) = [each.getMessage() for each in caplog.records if "passed over" in each.getMessage()]
    assert "openai-chat/x" in line
    assert "set OPENAI_API_KEY" in line


async def test_a_worker_that_cannot_ask_a_model_of_its_agents_does_not_start() -> None:
    with pytest.raises(ConfigError, match="no key for 'openai-chat'"):
        async with opened_models(PROVIDERS, [choice("openai-chat")]):
            pass
