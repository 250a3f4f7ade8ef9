"""Shell: asks the providers whether the models of a configuration can be used: key, model, price, and a small probe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

import anyio
from pydantic import JsonValue

from callboard.app.finding import Finding
from callboard.app.model_list import Listing, described, headers, list_url, listed, model_url, verdict
from callboard.clock import Clock
from callboard.config.keys import look_up
from callboard.config.nodes import Problem
from callboard.config.providers import Provider, ProviderConfig, Providers, entry_of
from callboard.config.resolved import AgentConfig, Config
from callboard.config.spec import ModelChoice
from callboard.errors import ConfigError, ModelError
from callboard.models.port import ChatReply, ChatRequest, UserText
from callboard.models.prices import describe_price
from callboard.models.registry import Models
from callboard.models.tokens import BYTES
from callboard.models.vocabulary import EXTRA, check_counter, counter_of, encoding_of

LISTED_WITHIN: Final = 10.0
PROBED_WITHIN: Final = 30.0
_PROBE_TOKENS: Final = 16
"""OpenAI takes no fewer."""


@dataclass(frozen=True, slots=True)
class ModelHealth:
    """A model as the file calls it, who uses it, and what was found about it."""

    model: str
    provider: str
    agents: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        """Nothing is wrong with it."""
        return all(each.level != "wrong" for each in self.findings)

    def as_json(self) -> dict[str, JsonValue]:
        """As JSON."""
        return {
            "model": self.model,
            "provider": self.provider,
            "agents": list(self.agents),
            "usable": self.usable,
            "findings": [each.as_json() for each in self.findings],
        }


async def examine_models(
    config: Config, *, clock: Clock, probe: bool = False, env: Mapping[str, str] | None = None
) -> tuple[ModelHealth, ...]:
    """Each real model of the file once. ``probe`` asks each a question, which costs some tokens."""
    users: dict[tuple[str, str], tuple[ModelChoice, list[AgentConfig]]] = {}
    for agent, choice in ((each, choice) for each in config.agents.values() for choice in each.models):
        if choice.provider != "scripted":
            users.setdefault((entry_of(choice), choice.name), (choice, []))[1].append(agent)
    providers, missing = look_up(config, env=env)
    listings = await _listings(providers, users)
    models = Models(providers)
    found: dict[tuple[str, str], ModelHealth] = {}

    async def look(entry: str, name: str, choice: ModelChoice, agents: Sequence[AgentConfig]) -> None:
        provider = providers.by_name.get(entry)
        findings = [_key(config.providers[entry], missing.get(entry, ()))]
        if provider is not None:
            level, text = verdict(provider, listings[entry], name, today=clock.now().date())
            findings.append(Finding("model", level, text))
        findings += [_price(choice, agents), _tokens(choice)]
        if provider is not None and probe:
            findings.append(await _probe(models, choice))
        names = tuple(agent.name for agent in agents)
        found[entry, name] = ModelHealth(f"{entry}/{name}", choice.provider, names, tuple(findings))

    try:
        async with anyio.create_task_group() as looking:
            for (entry, name), (choice, agents) in users.items():
                looking.start_soon(look, entry, name, choice, agents)
    finally:
        await models.aclose()
    return tuple(found[key] for key in users)


async def _listings(providers: Providers, wanted: Iterable[tuple[str, str]]) -> Mapping[str, Listing]:
    """What each provider lists, with those that are wanted, which may have a second name."""
    found: dict[str, Listing] = {}
    names: dict[str, list[str]] = {}
    for entry, name in wanted:
        names.setdefault(entry, []).append(name)

    async def ask(entry: str, provider: Provider) -> None:
        found[entry] = await _listing(provider, names[entry])

    async with anyio.create_task_group() as asking:
        for entry in names.keys() & providers.by_name.keys():
            asking.start_soon(ask, entry, providers.by_name[entry])
    return found


async def _listing(provider: Provider, names: Iterable[str]) -> Listing:
    """Never raises for what the other side does."""
    import httpx2  # noqa: PLC0415 - 0.2 s

    try:
        with anyio.fail_after(LISTED_WITHIN):
            async with httpx2.AsyncClient(headers=dict(headers(provider)), timeout=None) as client:
                answer = await client.get(list_url(provider))
                found = listed(answer.status_code, answer.content)
                models = dict(found.models)
                for name in names:
                    if not found.problem and name not in models:
                        answer = await client.get(model_url(provider, quote(name, safe="")))
                        if (model := described(answer.status_code, answer.content)) is not None:
                            models[name] = model
                return replace(found, models=models)
    except TimeoutError:
        return Listing(problem=f"no answer within {LISTED_WITHIN:g} s", level="wrong")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        return Listing(
            problem=f"it cannot be asked: {type(error).__name__}", level="wrong"
        )  # its text may have the key


def _key(provider: ProviderConfig, problems: Sequence[Problem]) -> Finding:
    if problems:
        return Finding("key", "wrong", "; ".join(each.message for each in problems))
    return Finding("key", "good", provider.key_source)


def _price(choice: ModelChoice, agents: Sequence[AgentConfig]) -> Finding:
    text = describe_price(choice)
    if text:
        return Finding("price", "good", text)
    capped = any(agent.guards.general.budget.run.usd is not None for agent in agents)
    hint = f"unknown: add it under 'prices', as {entry_of(choice)}/{choice.name}"
    if capped:
        return Finding("price", "wrong", f"{hint}; a budget in dollars refuses its calls until then")
    return Finding("price", "odd", hint)


def _tokens(choice: ModelChoice) -> Finding:
    try:
        check_counter(choice)
    except ConfigError as error:
        return Finding("tokens", "wrong", str(error))
    counter, known = counter_of(choice), encoding_of(choice)
    install = f"; pip install '{EXTRA}' counts them" if known and counter is BYTES else ""
    return Finding("tokens", "good", f"{counter.name}{install}")


async def _probe(models: Models, choice: ModelChoice) -> Finding:
    small = choice.model_copy(update={"max_output": _PROBE_TOKENS})
    request = ChatRequest(
        model=small,
        system="",
        messages=(UserText("Say: ok"),),
        tools=(),
        attempt=1,
        call="m1",
        run="doctor",
        input=None,
        timeout=PROBED_WITHIN,
    )
    try:
        model = await anyio.to_thread.run_sync(models.open, small)  # importing its library is not its provider's doing
        with anyio.fail_after(PROBED_WITHIN):
            async with aclosing(model.stream(request)) as stream:
                async for piece in stream:
                    if isinstance(piece, ChatReply):
                        used = piece.usage
                        return Finding("probe", "good", f"answered, {used.input_tokens} + {used.output_tokens} tokens")
    except (ModelError, ConfigError) as error:
        return Finding("probe", "wrong", str(error))
    except TimeoutError:
        return Finding("probe", "wrong", f"no answer within {PROBED_WITHIN:g} s")
    return Finding("probe", "wrong", "the stream ended without an answer: it was truncated")
