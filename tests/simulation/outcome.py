"""Shell: what is left of a simulated world, and what its actors logged as errors."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from callboard.actors.history import EffectStart
from callboard.actors.receipt import Receipt
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from tests.simulation.plan import Plan
from tests.simulation.scenarios import Scenario


@dataclass
class Outcome:
    """What is left of a world: everything that can be judged."""

    seed: int
    scenario: Scenario
    plan: Plan
    journals: dict[RunKey, list[Stored]]
    starts: list[EffectStart]
    receipts: list[Receipt]
    troubles: list[str]
    """What should not have happened: an invariant broken, an actor that died, no rest."""
    trace: list[tuple[Any, ...]]
    seconds: float
    steps: int

    @property
    def digest(self) -> str:
        """A hash of all that happened."""
        text = repr(self.trace) + repr([(str(key), entries) for key, entries in self.journals.items()])
        return hashlib.sha256(text.encode()).hexdigest()


class Errors(logging.Handler):
    """Collects what actors log as errors: in a simulated world nothing may come as a surprise to them."""

    EXPECTED = frozenset({"function failed"})

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record.msg, "event", str(record.msg))
        if event not in self.EXPECTED:
            error = record.exc_info[1] if record.exc_info else None
            self.lines.append(f"{record.name}: {event}: {error!r}")


@contextmanager
def collected_errors() -> Iterator[Errors]:
    """Collect what is logged in the body, and only that: what comes after it is logged as before."""
    logger = logging.getLogger("callboard")
    before = logger.handlers, logger.propagate, logger.level
    errors = Errors()
    logger.handlers, logger.propagate = [errors], False
    logger.setLevel(logging.ERROR)
    try:
        yield errors
    finally:
        logger.handlers, logger.propagate = before[:2]
        logger.setLevel(before[2])
