"""Pure: a model that is asked only to read its prompt, so that its provider keeps it in the cache."""

from __future__ import annotations

from typing import Final

from callboard.config.spec import ModelChoice

_LEAST: Final = {"anthropic": 0}
_FEW: Final = 16
"""Tokens of an answer: what the others take at least."""


def warming(choice: ModelChoice) -> ModelChoice:
    """The same model with the shortest answer that its provider allows.

    Nobody thinks for that: thinking wants room in the answer, and the cache of tools and system prompt is the same
    without it.
    """
    settings = {name: value for name, value in choice.settings.items() if name != "thinking"}
    return choice.model_copy(update={"max_output": _LEAST.get(choice.provider, _FEW), "settings": settings})
