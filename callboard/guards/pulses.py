"""Pure: how far guards have judged, as a worker hears it, and whether an effect may start by that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from callboard.bus.guard_messages import Pulse
from callboard.bus.messages import Effect

MISSED_AFTER: Final = 1.5
"""Seconds without a pulse after which a guard is missing: they come every 0.5 s."""
CREDIT: Final = 8
"""Entries that a run may be ahead of a closed guard."""
CRITICAL_CREDIT: Final = 1
"""The same before a tool whose effect is ``critical``."""
HOLD: Final = "hold"
"""In the ``data`` of what is said of a closed guard: why it holds the run back; empty when it does so no more."""
_Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Heard:
    """The last pulse of one replica: when (monotonic seconds), and how far it had judged."""

    at: float
    watermark: int


@dataclass(frozen=True, slots=True)
class Pulses:
    """The pulses by guard and partition. ``since``: when this worker began to listen."""

    since: float
    heard: Mapping[_Place, Mapping[str, Heard]] = field(default_factory=dict[_Place, Mapping[str, Heard]])

    def hear(self, pulse: Pulse, now: float) -> Pulses:
        """With one more pulse."""
        place = (pulse.guard, pulse.partition)
        fresh = {name: each for name, each in self.heard.get(place, {}).items() if now - each.at < MISSED_AFTER}
        known = {**fresh, pulse.replica: Heard(now, pulse.watermark)}
        return replace(self, heard={**self.heard, place: known})

    def watermark(self, guard: str, partition: int, now: float) -> int | None:
        """How far ``guard`` has judged a partition; None if it is missing there.

        0 is heard from one that judges nothing yet, and from all while the bus is empty. A run may then have its
        credit and no more: the first run of a bus has to begin before anybody can judge it.
        """
        known = self.heard.get((guard, partition), {}).values()
        return max((each.watermark for each in known if now - each.at < MISSED_AFTER), default=None)

    def missing(self, guard: str, partition: int, now: float) -> bool:
        """Has nothing been heard for so long that the guard must be gone?"""
        return now - self.since >= MISSED_AFTER and self.watermark(guard, partition, now) is None


def held(watermark: int | None, entries: Sequence[int], effect: Effect) -> str:
    """Why a closed guard that has judged up to ``watermark`` holds an effect back; ``""`` if it does not.

    ``entries`` are the sequences of the run's last entries, at least ``CREDIT + 1`` if there are as many.
    """
    if watermark is None:
        return "none of its processes is heard"
    ahead = sum(sequence > watermark for sequence in entries)
    credit = CRITICAL_CREDIT if effect == "critical" else CREDIT
    return f"it has not judged the last {ahead} entries of the run, {credit} are allowed" if ahead > credit else ""
