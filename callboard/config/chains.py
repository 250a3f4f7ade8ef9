"""Pure: which models the agents of a file may ask: one or a chain, of their own or of ``defaults``."""

from __future__ import annotations

from collections.abc import Iterator

from callboard.config.file_format import LONGEST_CHAIN, AgentEntry, ConfigFile, DefaultsEntry, ModelEntry
from callboard.config.nodes import Node, Problem, locate
from callboard.config.spec import Prefer

Where = tuple[str | int, ...]


def chain_of(file: ConfigFile, agent: str) -> tuple[ModelEntry | str, ...]:
    """The models of an agent, the first of the file first; none: it has none."""
    return file.agents[agent].chain or file.defaults.chain


def prefer_of(file: ConfigFile, agent: str) -> Prefer:
    """Who of them is asked first."""
    entry = file.agents[agent]
    return entry.prefer if "prefer" in entry.model_fields_set else file.defaults.prefer


def summary_of(file: ConfigFile, agent: str) -> ModelEntry | str | None:
    """Who sums up the turns of an agent, if that is a model of its own."""
    return file.agents[agent].context.summary or file.defaults.context.summary


def models_of(file: ConfigFile) -> Iterator[tuple[Where, ModelEntry | str]]:
    """All models of the file by their paths."""
    for path, entry in _entries(file):
        if entry.model is not None:
            yield (*path, "model"), entry.model
        for at, model in enumerate(entry.models):
            yield (*path, "models", at), model
        if entry.context.summary is not None:
            yield (*path, "context", "summary"), entry.context.summary


def model_paths(agents: tuple[str, ...]) -> Iterator[Where]:
    """Where a file with these agents may have models."""
    for path in (*(("agents", name) for name in agents), ("defaults",)):
        yield *path, "model"
        for at in range(LONGEST_CHAIN):
            yield *path, "models", at
        yield *path, "context", "summary"


def chain_problems(file: ConfigFile, root: Node) -> Iterator[Problem]:
    """Who has no model, and who says it in two ways."""
    for path, entry in _entries(file):
        if entry.model is not None and entry.models:
            spot = locate(root, (*path, "models"))
            message = "there is a 'model' too: keep one of them ('models: [first, second]' is a chain)"
            yield Problem(spot.key, spot.path, message)
    for name in file.agents:
        if not chain_of(file, name):
            spot = locate(root, ("agents", name, "model"))
            yield Problem(spot.key, spot.path, "missing: add a 'model' here or under 'defaults'")


def _entries(file: ConfigFile) -> Iterator[tuple[Where, AgentEntry | DefaultsEntry]]:
    yield ("defaults",), file.defaults
    for name, agent in file.agents.items():
        yield ("agents", name), agent
