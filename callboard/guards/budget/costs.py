"""Pure: what runs cost, line by line, as a fold of their journals; added up, it is what the ledger says."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias

from pydantic import JsonValue

from callboard.actors.accounts import ZERO, Tally
from callboard.actors.allowance import MICROS
from callboard.actors.fold import EMPTY, fold
from callboard.bus.messages import (
    VERSION,
    Event,
    ModelRequested,
    ToolRequested,
)
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey

By: TypeAlias = Literal["tenant", "agent", "tool", "run"]
FIELDS: Final = ("runs", "model_calls", "tool_calls", "input_tokens", "output_tokens", "usd")


@dataclass(frozen=True, slots=True)
class Line:
    """What one run used by one model or tool."""

    tenant: str
    agent: str
    tool: str
    run: str
    used: Tally


@dataclass(frozen=True, slots=True)
class Row:
    """Lines that have ``names`` in common."""

    names: tuple[str, ...]
    runs: int
    used: Tally

    @property
    def figures(self) -> tuple[str, ...]:
        """In the order of ``FIELDS``; dollars with all their digits."""
        used = self.used
        calls = (self.runs, used.model_calls, used.tool_calls, used.input_tokens, used.output_tokens)
        return (*map(str, calls), f"{used.usd_micros / MICROS:.6f}")


@dataclass(frozen=True, slots=True)
class Cost:
    """A run: when it was created (None: never), and what it used."""

    created: datetime | None
    lines: tuple[Line, ...]


def cost_of(key: RunKey, entries: Iterable[Stored]) -> Cost:
    """What a run used itself. Its children are runs of their own; a call under way counts with what it holds."""
    state, used, names = EMPTY, dict[str, Tally](), dict[str, str]()
    for entry in entries:
        record = entry.record
        if record is None or record.v != VERSION:
            state = fold(state, entry.sequence, record)
            continue
        for event in record.events:
            before = state.accounts.own
            alone = record.model_copy(update={"events": (event,)})
            state = fold(state.evolve(sequence=entry.sequence - 1), entry.sequence, alone)
            if state.accounts.own != before:
                name = _name(event, names)
                used[name] = used.get(name, ZERO).plus(state.accounts.own.minus(before))
    agent = "" if state.created is None else state.created.agent
    lines = tuple(Line(key.tenant, agent, name, key.run, each) for name, each in used.items())
    return Cost(None if state.created is None else state.created.at, lines)


def rows(lines: Iterable[Line], by: Sequence[By]) -> tuple[Row, ...]:
    """Added up, the dearest first."""
    totals: dict[tuple[str, ...], tuple[set[tuple[str, str]], Tally]] = {}
    for line in lines:
        names = tuple(str(getattr(line, each)) for each in by)
        runs, used = totals.get(names, (set[tuple[str, str]](), ZERO))
        totals[names] = (runs | {(line.tenant, line.run)}, used.plus(line.used))
    found = [Row(names, len(runs), used) for names, (runs, used) in totals.items()]
    return tuple(sorted(found, key=lambda row: (tuple(-each for each in row.used), row.names)))


def total(lines: Sequence[Line]) -> Row:
    """Everything."""
    everything = rows(lines, ())
    return everything[0] if everything else Row((), 0, ZERO)


def as_csv(found: Sequence[Row], by: Sequence[By]) -> str:
    """A line for each row, with a head."""
    text = _Text()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*by, *FIELDS))
    writer.writerows((*row.names, *row.figures) for row in found)
    return "".join(text.lines)


def as_json(found: Sequence[Row], by: Sequence[By]) -> list[JsonValue]:
    """Rows as objects; money in micro-dollars."""
    return [{**dict(zip(by, row.names, strict=True)), "runs": row.runs, **row.used._asdict()} for row in found]


@dataclass(frozen=True, slots=True)
class _Text:
    """What ``csv`` writes to."""

    lines: list[str] = field(default_factory=list[str])

    def write(self, line: str) -> None:
        self.lines.append(line)


def _name(event: Event, names: dict[str, str]) -> str:
    """The model or tool of the call that ``event`` is about."""
    call = getattr(event, "call", "")
    match event:
        case ModelRequested(model=name) | ToolRequested(tool=name):
            names[call] = name
        case _:
            pass
    return names.get(call, "")
