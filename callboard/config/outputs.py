"""Pure: the schemas that agents have as their ``output``, checked where they stand."""

from __future__ import annotations

from collections.abc import Iterator

from callboard.config.file_format import ConfigFile
from callboard.config.json_schema import fault
from callboard.config.nodes import Node, Problem, locate


def output_problems(file: ConfigFile, root: Node) -> Iterator[Problem]:
    """What is wrong with them. Classes are looked at when they are loaded."""
    for name, agent in file.agents.items():
        wrong = fault(agent.output) if isinstance(agent.output, dict) else None
        if wrong is not None:
            spot = locate(root, ("agents", name, "output", *wrong[0]))
            yield Problem(spot.value, spot.path, wrong[1])
