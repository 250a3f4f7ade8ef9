"""Pure: the format of the configuration file, as pydantic models. ``json_schema`` is what editors use."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import Discriminator, Field, JsonValue, Tag, model_validator

from callboard.config.alerts import Alerts
from callboard.config.base import NOT_A_BOOL, Address, FamilyName, ModelName, Name, Seconds, Strict, Switch
from callboard.config.guards import Breaker, GuardSettings, Price, RateLimit
from callboard.config.script import Turns
from callboard.config.spec import Limits, Prefer

LONGEST_CHAIN: Final = 9
"""Models that an agent may have."""
Kind: TypeAlias = Literal["anthropic", "openai", "openai-chat"]


class ProviderEntry(Strict):
    """Who answers model calls: a provider with a key, or a server that speaks like one."""

    kind: Annotated[
        Kind | None,
        Field(description="What it speaks. Without it the name says it. 'openai-chat': compatible servers."),
    ] = None
    api_key: Annotated[
        str | None,
        Field(description="'${env:NAME}' or '${file:path}', looked up by workers only; else the usual variable."),
    ] = None
    base_url: Annotated[Address | None, Field(description="Where it is, if not at the provider's usual address.")] = (
        None
    )
    headers: Annotated[dict[str, str], Field(description="Sent with each request; may refer to '${env:NAME}'.")] = (
        Field(default_factory=dict)
    )
    stall_timeout: Annotated[
        Seconds, Field(description="How long an answer may be silent in the middle; seconds, or '30s'.")
    ] = 60.0


class ModelEntry(Strict):
    """Which model answers. The provider ``scripted`` plays a script: from a file, or the turns right here."""

    provider: Annotated[
        Name,
        Field(description="'anthropic', 'openai', 'openai-chat', a name under 'providers', or 'scripted' (no key)."),
    ]
    name: Annotated[str, Field(description="The provider's name of the model.")] = ""
    settings: Annotated[
        dict[str, JsonValue], Field(description="The provider's own: what its requests say beside the rest.")
    ] = Field(default_factory=dict)
    script: Annotated[str | None, Field(description="A YAML file with the turns, relative to this file.")] = None
    turns: Annotated[
        Turns | None,
        Field(description="One turn for each answer; a list of turns: the first whose 'when' matches."),
    ] = None
    loop: Annotated[Switch, Field(description="After the last turn, play from the first one again.")] = False
    price: Annotated[Price | None, Field(description="Without it, what 'prices' says.")] = None
    max_output: Annotated[int, Field(ge=1, le=10_000_000, description="Tokens of one answer at most."), NOT_A_BOOL] = (
        4096
    )
    context: Annotated[
        int | None,
        Field(ge=1, le=100_000_000, description="Tokens of its context window. Without it, what its provider says."),
        NOT_A_BOOL,
    ] = None
    warm: Annotated[
        Switch,
        Field(
            description="Fill the provider's prompt cache when workers start, and let the first of calls that begin "
            "alike go ahead."
        ),
    ] = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.context is not None and self.context <= self.max_output:
            raise ValueError(f"a 'context' of {self.context} has no room beside a 'max_output' of {self.max_output}")
        if self.provider != "scripted":
            return self._real()
        if self.settings:
            raise ValueError("'settings' are for real models: a script says everything in its turns")
        if self.warm:
            raise ValueError("'warm' is for real models: a script has no prompt cache")
        if (self.script is None) == (self.turns is None):
            raise ValueError("expected either 'script' (a file) or 'turns' (a list) for the provider 'scripted'")
        if self.script is not None and self.loop:
            raise ValueError("'loop' belongs into the script file, beside its 'turns'")
        return self

    def _real(self) -> Self:
        if self.script is not None or self.turns is not None or self.loop:
            raise ValueError("'script', 'turns' and 'loop' are for the provider 'scripted'")
        if not self.name or any(each.isspace() for each in self.name):
            raise ValueError("expected the model's 'name' as its provider has it, without spaces")
        return self


def _name_or_entry(value: object) -> str:
    return "<name>" if isinstance(value, str) else "<entry>"


Model: TypeAlias = Annotated[
    Annotated[ModelName, Tag("<name>")] | Annotated[ModelEntry, Tag("<entry>")], Discriminator(_name_or_entry)
]
"""``provider/model``, or the long form."""


class ContextEntry(Strict):
    """What is done when a run outgrows the context window of its model."""

    summary: Annotated[
        Model | None,
        Field(description="Who sums up older turns: a cheap model. Without it, those that answer the turns."),
    ] = None


class _Asking(Strict):
    """Which models are asked."""

    model: Annotated[Model | None, Field(description="The one model: 'provider/model', or more about it.")] = None
    models: Annotated[
        tuple[Model, ...],
        Field(
            min_length=1, max_length=LONGEST_CHAIN, description="Several, instead of 'model': the next when one cannot."
        ),
    ] = ()
    prefer: Annotated[
        Prefer,
        Field(description="Who of 'models' is asked first: 'order': the first of the list; 'price': the cheapest."),
    ] = "order"
    context: Annotated[
        ContextEntry,
        Field(
            description="For runs that outgrow their model's context window. What is left out comes from 'defaults'."
        ),
    ] = ContextEntry()

    @property
    def chain(self) -> tuple[ModelEntry | str, ...]:
        """All of them."""
        return self.models if self.model is None else (self.model,)


def _class_or_schema(value: object) -> str:
    return "<class>" if isinstance(value, str) else "<schema>"


Output: TypeAlias = Annotated[
    Annotated[str, Tag("<class>")] | Annotated[dict[str, JsonValue], Tag("<schema>")], Discriminator(_class_or_schema)
]
"""A pydantic model, by where it is, or a JSON schema."""


class AgentEntry(_Asking):
    """An agent: a model in a loop with tools. Without a model of its own it has those of 'defaults'."""

    description: Annotated[str, Field(description="Shown to the agents that may delegate to it.")] = ""
    system: Annotated[str, Field(description="The system prompt.")] = ""
    output: Annotated[
        Output | None,
        Field(description="What a result is: 'file.py:Class' (a pydantic model), or a JSON schema; else text."),
    ] = None
    tools: Annotated[
        tuple[str, ...],
        Field(description="What it may call: a built-in tool's name, 'file.py:function' or 'package.module:function'."),
    ] = ()
    team: Annotated[
        tuple[str, ...], Field(description="Agents of this file that it may delegate to, with the tool 'delegate'.")
    ] = ()
    limits: Annotated[Limits, Field(description="What is left out comes from 'defaults'.")] = Limits()
    guards: Annotated[
        GuardSettings, Field(description="What is left out comes from the tenant, then from 'guards' at the top.")
    ] = GuardSettings()


class TenantEntry(Strict):
    """What holds for the runs of a tenant."""

    guards: Annotated[GuardSettings, Field(description="What is left out comes from 'guards' at the top.")] = (
        GuardSettings()
    )


class FilesEntry(Strict):
    """What the built-in file tools may see."""

    root: Annotated[str, Field(min_length=1, description="A directory, relative to this file.")] = "."


class DefaultsEntry(_Asking):
    """What agents have that do not say otherwise."""

    limits: Annotated[Limits, Field(description="For agents that do not say otherwise, field by field.")] = Limits()


class ConfigFile(Strict):
    """A configuration file of callboard."""

    agents: Annotated[dict[Name, AgentEntry], Field(description="The agents by name.")] = Field(default_factory=dict)
    providers: Annotated[
        dict[Name, ProviderEntry],
        Field(description="Who answers model calls, by the name that models begin with: keys, servers of your own."),
    ] = Field(default_factory=dict)
    files: FilesEntry = FilesEntry()
    functions: Annotated[
        tuple[str, ...],
        Field(description="Modules with @worker functions: 'file.py', relative to this file, or 'package.module'."),
    ] = ()
    defaults: DefaultsEntry = DefaultsEntry()
    guards: Annotated[
        GuardSettings, Field(description="For all runs; tenants and agents may say otherwise. The defaults are on.")
    ] = GuardSettings()
    tenants: Annotated[dict[Name, TenantEntry], Field(description="Tenants with settings of their own.")] = Field(
        default_factory=dict
    )
    breaker: Annotated[Breaker, Field(description="Circuit breakers of all models and tools.")] = Breaker()
    rate_limits: Annotated[
        dict[FamilyName, RateLimit],
        Field(
            description="What providers allow, by 'provider/model' or 'provider/model-*'; "
            "each entry of 'providers' has its own."
        ),
    ] = Field(default_factory=dict)
    prices: Annotated[dict[ModelName, Price], Field(description="Prices of models, by 'provider/model'.")] = Field(
        default_factory=dict
    )
    alerts: Annotated[Alerts, Field(description="Who is told when guards act.")] = Alerts()


_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The JSON schema of the configuration file."""
    return {"$schema": _DIALECT, **ConfigFile.model_json_schema(mode="validation")}
