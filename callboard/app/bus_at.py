"""Pure: where the bus of a deployment is. By itself, because clients need no more of a deployment's processes."""

from __future__ import annotations

from dataclasses import dataclass

from callboard.bus.subjects import Subjects


@dataclass(frozen=True, slots=True)
class BusAt:
    """Where the bus is: the servers' urls, and the prefix of the deployment."""

    urls: tuple[str, ...]
    subjects: Subjects = Subjects()
