"""Pure: the words of guards. They stand apart so that the command line can list them without loading the models."""

from __future__ import annotations

from typing import Literal, TypeAlias

Action: TypeAlias = Literal["observe", "warn", "nudge", "throttle", "deny", "pause", "kill"]
Mode: TypeAlias = Literal["shadow", "warn", "enforce"]
Missing: TypeAlias = Literal["open", "closed"]
