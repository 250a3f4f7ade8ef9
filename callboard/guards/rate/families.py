"""Pure: which limit a model call counts against. The names of limits are patterns: ``anthropic/claude-*``.

All models that one pattern covers share its limit. Each key of a provider has a limit of its own: ``anthropic:batch/…``
is what the key called ``batch`` may do, and without such an entry it has the same numbers as the others, to itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from callboard.config.guards import RateLimit
from callboard.config.spec import ModelChoice


def line_of(limits: Mapping[str, RateLimit], model: ModelChoice) -> str | None:
    """The line in which calls of ``model`` wait: of the patterns that cover it the closest. None: it has no limit.

    One that names its key is closer than one that does not, a whole name closer than a beginning, a long one than a
    short one.
    """
    keyed = f"{model.provider}:{model.key_name}"
    for owner in (keyed, model.provider) if model.key_name else (model.provider,):
        covering = [name for name in limits if _covers(name, owner, model.name)]
        if covering:
            _, _, models = max(covering, key=_closeness).partition("/")
            return f"{keyed if model.key_name else model.provider}/{models}"
    return None


def limit_of(limits: Mapping[str, RateLimit], line: str) -> RateLimit | None:
    """What holds in a line: its own limit, or that of every key."""
    owner, _, models = line.partition("/")
    return limits.get(line) or limits.get(f"{owner.partition(':')[0]}/{models}")


def _covers(pattern: str, owner: str, model: str) -> bool:
    whose, _, models = pattern.partition("/")
    if whose != owner:
        return False
    return model.startswith(models[:-1]) if models.endswith("*") else model == models


def _closeness(pattern: str) -> tuple[bool, int]:
    return not pattern.endswith("*"), len(pattern)
