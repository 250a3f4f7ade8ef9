"""Shell: the models of a run, as far as its worker can ask them."""

from __future__ import annotations

from collections.abc import Callable

from callboard.config.spec import AgentSpec, ModelChoice
from callboard.errors import ConfigError
from callboard.models.port import ChatModel

OpenModel = Callable[[ModelChoice], ChatModel]


def opened(spec: AgentSpec, open_model: OpenModel, *, warm: bool = False) -> tuple[ChatModel | None, ...]:
    """The models of ``spec.every_model``; None: this worker cannot ask it. Raises ``ConfigError`` if no turn can be.

    ``warm``: there is only the turn that fills a prompt cache, and only the first model has that.
    """
    found: list[ChatModel | None] = []
    problems: list[ConfigError] = []
    for choice in spec.every_model:
        try:
            found.append(open_model(choice))
        except ConfigError as error:
            found.append(None)
            problems.append(error)
    if problems and not any(found[: 1 if warm else len(spec.models)]):
        raise problems[0]
    return tuple(found)
