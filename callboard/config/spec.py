"""Pure: what a configuration file says, as data. Unknown keys are errors; every limit has a default that is on."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, JsonValue

from callboard.config.base import NOT_A_BOOL, Name, Seconds, Strict
from callboard.config.durations import LONGEST
from callboard.config.guards import GuardSettings, Price

Prefer: TypeAlias = Literal["order", "price"]
PROVIDERS: Final = ("anthropic", "openai", "openai-chat", "scripted")
"""The model providers of this version."""


class Limits(Strict):
    """Where a run ends although its model would go on."""

    turns: Annotated[int, Field(ge=1, le=10_000, description="Model turns of one run."), NOT_A_BOOL] = 50
    deadline: Annotated[
        Seconds,
        Field(
            description="From the creation of the run to its end, waiting included; seconds, or '15m'. "
            "Children inherit what is left."
        ),
    ] = 900.0
    attempts: Annotated[
        int,
        Field(ge=1, le=100, description="Claims without a suspension in between, before the run fails as poison."),
        NOT_A_BOOL,
    ] = 5
    depth: Annotated[int, Field(ge=0, le=64, description="How deep delegation may nest."), NOT_A_BOOL] = 8
    children: Annotated[
        int, Field(ge=0, le=10_000, description="Child runs that one run may spawn in all."), NOT_A_BOOL
    ] = 64
    spawn_rate: Annotated[
        int, Field(ge=1, le=10_000, description="Child runs that one run may spawn within a minute."), NOT_A_BOOL
    ] = 30
    cycles: Annotated[
        int,
        Field(ge=0, le=64, description="How often an agent may come again below itself (A, B, A is once)."),
        NOT_A_BOOL,
    ] = 1
    tool_timeout: Annotated[
        Seconds, Field(description="For a tool that does not state its own timeout; seconds, or '30s'.")
    ] = 60.0
    model_timeout: Annotated[Seconds, Field(description="For one model call; seconds, or '5m'.")] = 300.0
    first_token_timeout: Annotated[
        Seconds, Field(description="Until the first piece of a model's answer; seconds, or '30s'.")
    ] = 60.0
    model_attempts: Annotated[
        int, Field(ge=1, le=20, description="Attempts of one model call that fails in a retryable way."), NOT_A_BOOL
    ] = 4


class ModelChoice(Strict):
    """Which model, and the provider's own settings."""

    provider: Name
    name: str = ""
    key_name: Name | None = None
    """The entry of ``providers`` that it is asked with, if its name is not the provider's; never a key."""
    price: Price | None = None
    max_output: Annotated[int, Field(ge=1, le=10_000_000), NOT_A_BOOL] = 4096
    """Tokens of one answer at most."""
    context: Annotated[int, Field(ge=1, le=100_000_000), NOT_A_BOOL] | None = None
    """Tokens of its context window, request and answer together; None: nobody knows."""
    context_source: str = ""
    """Where that is from."""
    warm: bool = False
    """Is its prompt cache filled before many calls read it?"""
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """The provider's own. For the scripted one: the fields of ``callboard.config.script.Script``."""

    @property
    def label(self) -> str:
        """What journals and guards call it: ``provider/name``, of an entry of your own ``provider:entry/name``."""
        owner = f"{self.provider}:{self.key_name}" if self.key_name else self.provider
        return f"{owner}/{self.name}".rstrip("/")


def provider_of(label: str) -> str:
    """The provider of the model with that label."""
    return label.partition("/")[0].partition(":")[0]


class ToolSpec(Strict):
    """A tool as the model sees it, and how the worker treats it. ``kind: spawn`` calls become child runs."""

    name: Name
    description: str = ""
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    """JSON schema of the arguments."""
    effect: Literal["pure", "idempotent", "at_most_once", "critical"] = "at_most_once"
    in_doubt: Literal["ask", "verify", "continue", "fail"] = "continue"
    timeout: Annotated[float, Field(gt=0, le=LONGEST)] | None = None
    kind: Literal["call", "spawn"] = "call"
    polls: bool = False
    """Calling it again with the same arguments is waiting, not a loop."""


class AgentSpec(Strict):
    """An agent as its runs keep it: resolved, complete, serialisable. Part of ``run.created``."""

    name: Name
    description: str = ""
    kind: Literal["agent", "function"] = "agent"
    model: ModelChoice | None = None
    fallbacks: tuple[ModelChoice, ...] = ()
    """Who is asked when ``model`` cannot answer."""
    prefer: Prefer = "order"
    """Who is asked first: as they stand here, or the cheapest for the call."""
    summary: ModelChoice | None = None
    """Who is asked first for a summary of older turns; None: as for a turn."""
    system: str = ""
    output: dict[str, JsonValue] | None = None
    """JSON schema of its result; None: text."""
    tools: tuple[ToolSpec, ...] = ()
    team: tuple[Name, ...] = ()
    limits: Limits = Limits()
    guards: GuardSettings = GuardSettings()

    @property
    def models(self) -> tuple[ModelChoice, ...]:
        """All that may be asked for a turn, the first one first."""
        return () if self.model is None else (self.model, *self.fallbacks)

    @property
    def every_model(self) -> tuple[ModelChoice, ...]:
        """All that may be asked for anything. A model's place here is its ``entry`` in the journal."""
        return self.models if self.summary is None else (*self.models, self.summary)

    def tool(self, name: str) -> ToolSpec | None:
        """The tool of that name on this agent's allow-list."""
        return next((tool for tool in self.tools if tool.name == name), None)
