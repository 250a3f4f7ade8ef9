"""Pure: what the doctor says about a thing that it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

Level = Literal["good", "odd", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and (if not good) what to do."""

    about: str
    level: Level
    text: str

    def as_json(self) -> dict[str, JsonValue]:
        """As JSON."""
        return {"about": self.about, "level": self.level, "text": self.text}
