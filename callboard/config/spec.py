"""Pure: what a configuration file says, as data. Unknown keys are errors; every limit has a default that is on."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints, WithJsonSchema

from callboard.config.durations import parse_duration

NAME: Final = r"^[A-Za-z0-9_-]{1,64}$"
Name = Annotated[str, StringConstraints(pattern=NAME)]
PROVIDERS: Final = ("scripted",)
"""The model providers of this version."""


def _not_a_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected an integer")  # noqa: TRY004 - pydantic collects ValueErrors only
    return value


NOT_A_BOOL: Final = BeforeValidator(_not_a_bool)
"""``true`` is not 1. Stands last, so that the bounds before it stay in the JSON schema."""
Seconds = Annotated[
    float, BeforeValidator(parse_duration), WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]})
]
"""A number of seconds above 0, or ``15m``, ``1h30m``, ``250ms``."""


class Strict(BaseModel):
    """Base of everything that a user writes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
    tool_timeout: Annotated[
        Seconds, Field(description="For a tool that does not state its own timeout; seconds, or '30s'.")
    ] = 60.0
    model_timeout: Annotated[Seconds, Field(description="For one model call; seconds, or '5m'.")] = 300.0
    model_attempts: Annotated[
        int, Field(ge=1, le=20, description="Attempts of one model call that fails in a retryable way."), NOT_A_BOOL
    ] = 4


class ModelChoice(Strict):
    """Which model, and the provider's own settings."""

    provider: Name
    name: str = ""
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """For the scripted provider: the fields of ``callboard.config.script.Script``."""


class ToolSpec(Strict):
    """A tool as the model sees it, and how the worker treats it. ``kind: spawn`` calls become child runs."""

    name: Name
    description: str = ""
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    """JSON schema of the arguments."""
    effect: Literal["pure", "idempotent", "at_most_once", "critical"] = "at_most_once"
    in_doubt: Literal["ask", "verify", "continue", "fail"] = "continue"
    timeout: Annotated[float, Field(gt=0)] | None = None
    kind: Literal["call", "spawn"] = "call"


class AgentSpec(Strict):
    """An agent as its runs keep it: resolved, complete, serialisable. Part of ``run.created``."""

    name: Name
    description: str = ""
    kind: Literal["agent", "function"] = "agent"
    model: ModelChoice | None = None
    system: str = ""
    tools: tuple[ToolSpec, ...] = ()
    team: tuple[Name, ...] = ()
    limits: Limits = Limits()

    def tool(self, name: str) -> ToolSpec | None:
        """The tool of that name on this agent's allow-list."""
        return next((tool for tool in self.tools if tool.name == name), None)
