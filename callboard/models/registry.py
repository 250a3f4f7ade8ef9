"""Shell: providers by name. An adapter is imported when it is first asked for."""

from __future__ import annotations

from callboard.config.spec import PROVIDERS, ModelChoice
from callboard.errors import ConfigError
from callboard.models.port import ChatModel


def open_model(choice: ModelChoice) -> ChatModel:
    """The model of ``choice``. Raises ``ConfigError`` for a provider or settings that this version does not have."""
    if choice.provider not in PROVIDERS:
        known = " or ".join(repr(name) for name in PROVIDERS)
        raise ConfigError(f"provider {choice.provider!r} is not available in this version, use {known}")
    from callboard.models.scripted import ScriptedModel  # noqa: PLC0415 - adapters are imported when used

    return ScriptedModel.from_choice(choice)
