"""Pure: says on the bus that a limit ended a run. The worker ends it, exactly; this is how people hear of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from callboard.bus.messages import RunFailed
from callboard.bus.subjects import RunKey
from callboard.guards.kit import Guard, Seen, Verdict

ENDS: Final = frozenset({"deadline", "turns", "journal_full", "poison"})
"""The kinds of ``run.failed`` that are limits: the deadline, the model turns, the journal's size, lost workers."""


class LimitsGuard(Guard[None]):
    """A ``warn`` for each run that a limit ended, with what to raise."""

    name = "limits"

    def start(self, run: RunKey) -> None:
        """It needs to know nothing."""

    def observe(self, state: None, seen: Seen) -> tuple[None, Sequence[Verdict]]:
        """Only the end matters."""
        if not isinstance(seen.event, RunFailed) or seen.event.problem.kind not in ENDS:
            return state, ()
        problem = seen.event.problem
        hint = f": {problem.hint}" if problem.hint else ""
        said = Verdict("warn", f"{problem.message}{hint}", evidence=(seen.sequence,), data={"kind": problem.kind})
        return state, (said,)
