"""Guards in tests of their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from callboard.bus.messages import RunCompleted, RunSteered
from callboard.bus.subjects import RunKey
from callboard.guards.kit import Guard, Seen, Verdict
from callboard.testing import verdicts


class Teller(Guard[tuple[str, ...]]):
    """Says what it sees."""

    name = "teller"

    def start(self, run: RunKey) -> tuple[str, ...]:
        return (run.run,)

    def observe(self, state: tuple[str, ...], seen: Seen) -> tuple[tuple[str, ...], Sequence[Verdict]]:
        heard = (*state, f"{seen.sequence} {seen.event.type} {seen.owner} {seen.at:%S}")
        return heard, [Verdict("observe", heard[-1])]

    def tick(self, state: tuple[str, ...], now: datetime) -> tuple[tuple[str, ...], Sequence[Verdict]]:
        return state, [Verdict("warn", f"{len(state)} at {now:%S}")]


def test_a_guard_sees_each_event_with_its_place_its_owner_and_its_time_and_time_passes_in_between():
    said = verdicts(Teller(), RunSteered(text="hi"), RunCompleted(), apart=5)
    assert [each.reason for each in said] == [
        "1 run.steered  00", "2 at 05", "2 run.completed owner 05", "3 at 10"
    ]  # fmt: skip
    assert verdicts(Teller()) == []
