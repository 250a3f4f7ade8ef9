"""Shell: what a worker can run, and what it needs to run it."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, JsonValue
from pydantic_core import to_json

from callboard.actors.gate import Gates, NoGate
from callboard.actors.leading import Leaders
from callboard.actors.retry_budget import RetryBudgets
from callboard.bus.deltas import NoTokens, Tokens
from callboard.bus.messages import RunCreated
from callboard.bus.ports import Blobs, Graveyard, Hints, Journals, Tasks, Timers
from callboard.clock import Clock
from callboard.config.kept import whole_spec
from callboard.config.spec import AgentSpec
from callboard.errors import ConfigError
from callboard.tools.tool import AnyTool

SPEC_BYTES: Final = 160 * 1024
"""JSON of a spec that a run can keep: the first entry also has the task and the claim."""
Body: TypeAlias = Callable[[JsonValue, Any], Awaitable[object]]
"""``async def f(task, run)``; ``run`` is a ``RunContext``."""


@dataclass(frozen=True, slots=True)
class WorkerFunction:
    """A function that is the code of an agent. Calling it calls the function, as in a unit test."""

    spec: AgentSpec
    body: Body

    async def __call__(self, task: JsonValue, run: object) -> object:
        return await self.body(task, run)


@dataclass(frozen=True)
class AgentCode:
    """One agent as this worker can run it: new runs keep ``spec``; its code is tools by name, or a function.

    ``tenants`` are the specs of tenants for whom something else is configured. ``output`` is the class whose schema
    ``spec.output`` is, if it is that of a class.
    """

    spec: AgentSpec
    tools: Mapping[str, AnyTool] = field(default_factory=dict[str, AnyTool])
    function: WorkerFunction | None = None
    tenants: Mapping[str, AgentSpec] = field(default_factory=dict[str, AgentSpec])
    output: type[BaseModel] | None = None

    def spec_for(self, tenant: str) -> AgentSpec:
        """What new runs of ``tenant`` keep."""
        return self.tenants.get(tenant, self.spec)

    def kept_for(self, tenant: str) -> tuple[JsonValue, str]:
        """The same as it stands in the journal (None: it is too large for that), and its digest."""
        return self._kept_of_tenants[tenant] if tenant in self.tenants else self._kept

    @cached_property
    def _kept(self) -> tuple[JsonValue, str]:
        return _kept(self.spec)

    @cached_property
    def _kept_of_tenants(self) -> Mapping[str, tuple[JsonValue, str]]:
        return {tenant: _kept(spec) for tenant, spec in self.tenants.items()}


def _kept(spec: AgentSpec) -> tuple[JsonValue, str]:
    dumped = spec.model_dump(mode="json", exclude_defaults=True)
    data = to_json(dumped)
    return dumped if len(data) <= SPEC_BYTES else None, hashlib.sha256(data).hexdigest()[:16]


def kept_spec(created: RunCreated, code: AgentCode | None, tenant: str) -> AgentSpec:
    """The spec that the run keeps; mostly it is the one that this worker has.

    Raises ``NewerSpec``, ``ConfigError`` if there is none, ``ValidationError`` for one that no version can read.
    """
    if created.spec is None:
        raise ConfigError(f"the run has no agent spec: its JSON may have {SPEC_BYTES:,} bytes, make it shorter")
    if code is not None and created.spec == code.kept_for(tenant)[0]:
        return code.spec_for(tenant)
    return whole_spec(created.spec)


@dataclass(frozen=True, slots=True)
class Ports:
    """The outside of a worker."""

    journals: Journals
    tasks: Tasks
    hints: Hints
    timers: Timers
    blobs: Blobs
    graveyard: Graveyard
    clock: Clock
    gates: Gates = NoGate()
    tokens: Tokens = NoTokens()
    retries: RetryBudgets = field(default_factory=RetryBudgets)
    leaders: Leaders = field(default_factory=Leaders)
