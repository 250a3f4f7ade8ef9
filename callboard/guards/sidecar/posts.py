"""Pure: the guard of each run, made from the settings that the run keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import JsonValue

from callboard.bus.guard_words import Mode
from callboard.bus.messages import RunCreated
from callboard.config.kept import known_spec
from callboard.config.spec import AgentSpec
from callboard.guards.hosted import Hosted
from callboard.guards.kit import Guard
from callboard.guards.sidecar.judge import Unmade

_KEPT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Post:
    """The guard of one run, None if the run does not have it."""

    guard: Guard[Any] | None
    mode: Mode = "enforce"


@dataclass(slots=True)
class Posts:
    """The guards that were made, by the digest of the spec."""

    hosted: Hosted
    _made: dict[str, Post] = field(default_factory=dict[str, Post])

    def of(self, created: RunCreated) -> Post:
        """The guard of the run that ``created`` begins."""
        known = self._made.get(created.digest) if created.digest else None
        if known is not None:
            return known
        made = self._make(created)
        if created.digest:
            if len(self._made) >= _KEPT:
                del self._made[next(iter(self._made))]
            self._made[created.digest] = made
        return made

    def _make(self, created: RunCreated) -> Post:
        try:
            made = self.hosted.make(_spec(created.agent, created.spec))
        except Exception as error:  # noqa: BLE001 - a guard of others may raise anything: the run goes on without it
            return Post(Unmade(f"it could not be made: {type(error).__name__}: {error}"))
        return Post(None) if made is None else Post(made[0], made[1])


def _spec(agent: str, kept: JsonValue) -> AgentSpec:
    """The spec that the run keeps; one that was too large to be kept has the defaults, which are all on."""
    return AgentSpec(name=agent) if kept is None else known_spec(kept)
