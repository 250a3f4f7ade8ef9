"""Pure: the guards that callboard has, as a process hosts them: made from the settings that a run keeps."""

from __future__ import annotations

from typing import Final

from callboard.guards.hosted import Hosted

BUILTIN: Final[tuple[Hosted, ...]] = ()
