"""Shell: models by their choice. An adapter is imported when it is first asked for, and serves all runs of a worker."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from threading import Lock
from typing import Final, Protocol, assert_never

import anyio

from callboard.config.providers import NO_PROVIDERS, Provider, Providers, entry_of
from callboard.config.spec import PROVIDERS, ModelChoice
from callboard.errors import ConfigError
from callboard.log import get_logger
from callboard.models.port import ChatModel
from callboard.models.vocabulary import check_counter

log = get_logger(__name__)
_CLOSES_WITHIN: Final = 2.0
_NO_KEY: Final = "none"
"""What servers are told that want no key: the libraries insist on one."""


class _Adapter(ChatModel, Protocol):
    async def aclose(self) -> None:
        """Close its connections."""
        ...


class ModelSource(Protocol):
    """Who has the models of a worker."""

    def open(self, choice: ModelChoice) -> ChatModel:
        """The model of ``choice``. Raises ``ConfigError`` if this worker cannot ask it."""
        ...


class Models:
    """The models of one worker: one client for each entry of ``providers``."""

    def __init__(self, providers: Providers = NO_PROVIDERS) -> None:
        self._providers = providers
        self._adapters: dict[str, _Adapter] = {}
        self._opening = Lock()

    def open(self, choice: ModelChoice) -> ChatModel:
        """The model of ``choice``. Raises ``ConfigError`` if this worker cannot ask it."""
        if choice.provider == "scripted":
            from callboard.models.scripted import ScriptedModel  # noqa: PLC0415 - adapters are imported when used

            return ScriptedModel.from_choice(choice)
        if choice.provider not in PROVIDERS:
            known = " or ".join(repr(name) for name in PROVIDERS)
            raise ConfigError(f"provider {choice.provider!r} is not available in this version, use {known}")
        with self._opening:  # from several threads at once: a second client of an entry would never be closed
            return self._opened(choice)

    def _opened(self, choice: ModelChoice) -> ChatModel:
        entry = entry_of(choice)
        if entry not in self._adapters:
            provider = self._providers.by_name.get(entry)
            if provider is None or provider.kind != choice.provider:
                unknown = f"it has no key for {entry!r} ({choice.provider}); set it, or add the entry under 'providers'"
                why = self._providers.absent.get(entry, unknown)
                raise ConfigError(f"this worker cannot ask {choice.name!r}: {why}, and start the worker again")
            self._adapters[entry] = _adapter(provider)
        return self._adapters[entry]

    def prepare(self, needed: Iterable[ModelChoice], others: Iterable[ModelChoice]) -> None:
        """Open the real ones now, with what counts their tokens: importing their libraries takes seconds.

        Of ``others`` the log says which fail.
        """
        for choice in needed:
            if choice.provider != "scripted":
                self._prepare(choice)
        for choice in (each for each in others if each.provider != "scripted"):
            try:
                self._prepare(choice)
            except ConfigError as error:
                log.warning("a model is passed over", model=choice.label, error=str(error))

    def _prepare(self, choice: ModelChoice) -> None:
        self.open(choice)
        check_counter(choice)

    async def aclose(self) -> None:
        """Close all connections."""
        adapters, self._adapters = self._adapters, {}
        with anyio.move_on_after(_CLOSES_WITHIN, shield=True):
            async with anyio.create_task_group() as closing:
                for adapter in adapters.values():
                    closing.start_soon(adapter.aclose)


OpenModels = Callable[
    [Providers, Iterable[ModelChoice], Iterable[ModelChoice]], AbstractAsyncContextManager[ModelSource]
]
"""As ``opened_models``."""


@asynccontextmanager
async def opened_models(
    providers: Providers, needed: Iterable[ModelChoice], others: Iterable[ModelChoice] = ()
) -> AsyncGenerator[Models]:
    """The models of a worker, ready; closed at the end. Without one of ``needed`` it does not start."""
    models = Models(providers)
    try:
        await anyio.to_thread.run_sync(models.prepare, tuple(needed), tuple(others))  # heartbeats go on meanwhile
        yield models
    finally:
        await models.aclose()


def open_model(choice: ModelChoice) -> ChatModel:
    """The model of a choice that needs no key. Raises ``ConfigError``."""
    return Models().open(choice)


def _adapter(provider: Provider) -> _Adapter:
    key, url = provider.api_key or _NO_KEY, provider.base_url
    headers, stall = provider.headers, provider.stall_timeout
    match provider.kind:
        case "anthropic":
            from callboard.models.anthropic.adapter import AnthropicModel  # noqa: PLC0415 - 2.5 s

            return AnthropicModel(api_key=key, base_url=url, headers=headers, stall_timeout=stall)
        case "openai":
            from callboard.models.openai.responses import ResponsesModel  # noqa: PLC0415 - 0.9 s

            return ResponsesModel(api_key=key, base_url=url, headers=headers, stall_timeout=stall)
        case "openai-chat":
            from callboard.models.openai.chat import ChatCompletionsModel  # noqa: PLC0415 - 0.9 s

            return ChatCompletionsModel(api_key=key, base_url=url, headers=headers, stall_timeout=stall)
        case _:
            assert_never(provider.kind)
