"""Pure: journals in files: runs as ``callboard runs show RUN --json`` prints them, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic import AwareDatetime, Field, ValidationError

from callboard.bus.messages import Message, Record
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.bus.values import Token
from callboard.errors import ConfigError

_HOW: Final = "write it with `callboard runs show RUN --json > FILE`"


class _Entry(Message):
    sequence: int = Field(ge=1)
    at: AwareDatetime
    problem: str = ""
    id: str = ""
    owner: str = ""
    events: tuple[Any, ...] = ()


class _Run(Message):
    run: Token
    tenant: Token = "default"
    entries: tuple[_Entry, ...] = Field(min_length=1)


def journals_in(text: str, name: str) -> Iterator[tuple[RunKey, tuple[Stored, ...]]]:
    """The runs in the file ``name``, entries by sequence. Raises ``ConfigError`` with the place that is wrong."""
    decoder, at, found = json.JSONDecoder(), _after_space(text, 0), False
    while at < len(text):
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{name}:{line}:{column}: no JSON: {error}: {_HOW}") from error
        yield _run(value, f"{name}:{line}:{column}")
        found, at = True, _after_space(text, end)
    if not found:
        raise ConfigError(f"{name}: it is empty: {_HOW}")


def _run(value: object, where: str) -> tuple[RunKey, tuple[Stored, ...]]:
    run = _valid(_Run, value, where)
    entries = sorted(run.entries, key=lambda entry: entry.sequence)
    if not any(entry.owner for entry in entries):
        raise ConfigError(f"{where}: run {run.run!r} has no entry with an owner, as workers write them: {_HOW}")
    return RunKey(run.tenant, run.run), tuple(_stored(entry, f"{where}: entry {entry.sequence}") for entry in entries)


def _stored(entry: _Entry, where: str) -> Stored:
    if not entry.events:
        return Stored(entry.sequence, None, entry.problem or "it says nothing", entry.at)
    record = {"id": entry.id or f"e{entry.sequence}", "owner": entry.owner, "events": entry.events}
    return Stored(entry.sequence, _valid(Record, record, where), at=entry.at)


def _valid(kind: Any, value: object, where: str) -> Any:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{where}: {place or 'this'}: {first['msg']}: {_HOW}") from error


def _after_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at
