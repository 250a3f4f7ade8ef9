"""Pure: journals of real records as numbers. The product's own fold says what each of them means, once.

The checker meets the same journal in very many states. A journal is therefore a node of a trie (its number is what
states hold and hash), and ``RunState`` is folded when the node is made: ``fold(state before, sequence, record)``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from callboard.actors.fold import EMPTY, fold
from callboard.actors.state import RunState
from callboard.bus.messages import KnownEvent, Record

Fold = Callable[[RunState, int, Record], RunState]
AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
NEW: Final = 0
"""The journal without an entry."""
_records: dict[tuple[str, ...], Record] = {}


def record(owner: str, *events: KnownEvent) -> Record:
    """The record with these events. Equal content is the same record with the same id."""
    key = (owner, *(event.model_dump_json() for event in events))
    if key not in _records:
        _records[key] = Record(id=f"r{len(_records)}", owner=owner, events=events)
    return _records[key]


class Journals:
    """Every journal that was ever reached. The sequence of an entry is its place, from 1."""

    def __init__(self, fold_one: Fold = fold) -> None:
        self._fold = fold_one
        self._next: dict[tuple[int, str], int] = {}
        self._states = [EMPTY]
        self._records: list[tuple[Record, ...]] = [()]
        self._prefixes: list[tuple[int, ...]] = [(NEW,)]

    def append(self, journal: int, entry: Record) -> int:
        """The journal with ``entry`` behind it."""
        known = self._next.get((journal, entry.id))
        if known is None:
            known = self._next[journal, entry.id] = len(self._states)
            self._states.append(self.ahead(journal, entry))
            self._records.append((*self._records[journal], entry))
            self._prefixes.append((*self._prefixes[journal], known))
        return known

    def ahead(self, journal: int, entry: Record) -> RunState:
        """The state that the journal would have with ``entry`` behind it."""
        return self._fold(self._states[journal], len(self._records[journal]) + 1, entry)

    def state(self, journal: int) -> RunState:
        return self._states[journal]

    def length(self, journal: int) -> int:
        return len(self._records[journal])

    def entry(self, journal: int, sequence: int) -> Record:
        return self._records[journal][sequence - 1]

    def entries(self, journal: int) -> tuple[Record, ...]:
        return self._records[journal]

    def up_to(self, journal: int, sequence: int) -> int:
        """The journal as a reader saw it when ``sequence`` was its last entry."""
        return self._prefixes[journal][sequence]
