"""Pure: the spec of an agent as a run keeps it, read by a version that may be older than the one that wrote it."""

from __future__ import annotations

from pydantic import JsonValue, ValidationError

from callboard.config.spec import AgentSpec
from callboard.errors import ConfigError


class NewerSpec(ConfigError):
    """A newer version wrote it, with words that this one does not know: a newer worker can run it, this one cannot."""


def whole_spec(kept: JsonValue) -> AgentSpec:
    """The spec, all of it. Raises ``NewerSpec``; ``ValidationError`` for one that no version can read."""
    try:
        return AgentSpec.model_validate(kept)
    except ValidationError as error:
        if unknown := [each["loc"] for each in error.errors() if each["type"] == "extra_forbidden"]:
            raise NewerSpec(f"this version does not know {'.'.join(map(str, unknown[0]))!r}") from error
        raise


def known_spec(kept: JsonValue) -> AgentSpec:
    """What this version knows of a spec: all that a guard needs, for it judges by its own settings only.

    Raises ``ValidationError``.
    """
    return AgentSpec.model_validate(kept, extra="ignore")
