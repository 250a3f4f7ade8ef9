"""Pure: what stands beside a posting in the ledger, and how balances add up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from callboard.bus.ports import Balance

_NOTE: Final = re.compile(r"(?:(-?\d+) (-?\d+)|\?) by (\d+) at (\d+) (\S+)")


@dataclass(frozen=True, slots=True)
class Note:
    """The ``sum`` of a passbook with this posting (None: its writer did not know), by which claim's owner, ``writer``.

    ``at`` is the journal's sequence up to which its writer had read, 0 while the run goes on.
    """

    sum: Balance | None
    by: int
    at: int
    writer: str

    def __str__(self) -> str:
        head = "?" if self.sum is None else f"{self.sum.spent} {self.sum.held}"
        return f"{head} by {self.by} at {self.at} {self.writer}"


def parse(text: str) -> Note | None:
    """A note, None for what is none."""
    found = _NOTE.fullmatch(text)
    if found is None:
        return None
    known = None if found[1] is None else Balance(int(found[1]), int(found[2]))
    return Note(known, int(found[3]), int(found[4]), found[5])


def plus(left: Balance, right: Balance) -> Balance:
    """The sum of two balances."""
    return Balance(left.spent + right.spent, left.held + right.held)


def minus(left: Balance, right: Balance) -> Balance:
    """The difference of two balances."""
    return Balance(left.spent - right.spent, left.held - right.held)
