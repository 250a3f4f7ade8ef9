"""Pure: what a configuration file says, as data. Unknown keys are errors; every limit has a default that is on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Strict(BaseModel):
    """Base of everything that a user writes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(Strict):
    """Where a run ends although its model would go on."""

    turns: Annotated[int, Field(ge=1, le=10_000)] = 50
    """Model turns of one run."""
    deadline: Annotated[float, Field(gt=0)] = 900.0
    """Seconds from the creation of the run to its end, waiting included. Children inherit what is left."""
    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    """Claims without a suspension in between, before the run fails as poison."""
    depth: Annotated[int, Field(ge=0, le=64)] = 8
    """How deep delegation may nest."""
    tool_timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds for a tool that does not state its own timeout."""
    model_timeout: Annotated[float, Field(gt=0)] = 300.0
    """Seconds for one model call."""
    model_attempts: Annotated[int, Field(ge=1, le=20)] = 4
    """Attempts of one model call that fails in a retryable way."""


class ModelChoice(Strict):
    """Which model, and the provider's own settings."""

    provider: Name
    name: str = ""
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """For the scripted provider: ``turns`` (or ``script``, resolved by the loader)."""


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
