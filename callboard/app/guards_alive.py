"""Shell: which guard processes are alive, how far they have judged, and which circuits are not closed."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, cast

import anyio
from pydantic import JsonValue, ValidationError

from callboard.bus import storage
from callboard.bus.bus import Bus
from callboard.bus.client import Reply
from callboard.bus.guard_messages import Pulse
from callboard.bus.guard_words import Missing
from callboard.guards.breaker.circuit import Circuit

_LISTENS: Final = 1.2
"""Seconds: a process pulses at least every half second."""


@dataclass(frozen=True, slots=True)
class GuardProcess:
    """A guard in a process. ``partitions`` are its shares of all runs; ``lag``: entries of CB_RUNS not yet judged.

    One without partitions stands by: other replicas judge them, or it has just started and reads the journals first.
    """

    guard: str
    replica: str
    partitions: tuple[int, ...]
    of: int
    watermark: int
    lag: int
    missing: Missing

    def as_json(self) -> dict[str, JsonValue]:
        """As JSON."""
        return {
            "guard": self.guard, "replica": self.replica, "partitions": list(self.partitions), "of": self.of,
            "watermark": self.watermark, "lag": self.lag, "missing": self.missing,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class OpenCircuit:
    """A circuit breaker that is not closed. ``until``: when that phase ends, or the next call may probe."""

    tenant: str
    name: str
    phase: str
    cause: str
    trips: int
    until: datetime

    def as_json(self) -> dict[str, JsonValue]:
        """As JSON."""
        return {
            "tenant": self.tenant, "name": self.name, "phase": self.phase, "cause": self.cause, "trips": self.trips,
            "until": self.until.isoformat(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class AbsentGuard:
    """A guard that no process is heard of. ``watermark``: how far it had judged; 0: it was never seen on this bus.

    ``missing``: what its runs do without it; None: no worker that is alive has it.
    """

    guard: str
    watermark: int
    missing: Missing | None

    @property
    def state(self) -> Literal["missing", "never_seen"]:
        """Was it ever here?"""
        return "missing" if self.watermark else "never_seen"

    def as_json(self) -> dict[str, JsonValue]:
        """As JSON."""
        return {"guard": self.guard, "state": self.state, "watermark": self.watermark, "missing": self.missing}


@dataclass(frozen=True, slots=True)
class GuardsAlive:
    """``silent``: processes that answer, and whose guards do not pulse."""

    processes: tuple[GuardProcess, ...]
    absent: tuple[AbsentGuard, ...]
    silent: tuple[str, ...]
    circuits: tuple[OpenCircuit, ...]


async def guards_alive(bus: Bus, *, listens: float = _LISTENS) -> GuardsAlive:
    """Listen for a moment, and look into the bucket."""
    pulses: dict[tuple[str, str, int], Pulse] = {}
    services: set[str] = set()
    wanted: dict[str, Missing] = {}
    subjects, connection = bus.connection.subjects, bus.connection
    inbox = connection.new_inbox()

    def pulsed(message: Reply) -> None:
        try:
            pulse = Pulse.model_validate_json(message.payload)
        except ValidationError:
            return
        pulses[pulse.guard, pulse.replica, pulse.partition] = pulse

    def answered(message: Reply) -> None:
        about = cast("dict[str, Any]", json.loads(message.payload)) if message.payload else {}
        metadata = cast("dict[str, Any]", about.get("metadata") or {})
        if metadata.get("prefix") != subjects.prefix:
            return
        if about.get("name") == "callboard-guard":
            services.add(str(about.get("id")))
        if about.get("name") == "callboard-worker":
            wanted.update({name: "open" for name in _names(metadata, "guards") if name not in wanted})
            wanted.update(dict.fromkeys(_names(metadata, "waits_for"), "closed"))

    async with connection.subscribe(f"{subjects.prefix}.pulse.>", pulsed), connection.subscribe(inbox, answered):
        await connection.publish("$SRV.INFO", b"", reply=inbox)
        await anyio.sleep(listens)
    info = await storage.patiently(lambda: storage.api(connection, f"STREAM.INFO.{subjects.stream('RUNS')}", {}))
    processes = _processes(pulses, int(info["state"]["last_seq"]))
    silent = services - {process.replica for process in processes}
    absent = _absent(wanted, await _marks(bus), {process.guard for process in processes})
    return GuardsAlive(processes, absent, tuple(sorted(silent)), await _circuits(bus))


def _names(metadata: Mapping[str, Any], field: str) -> list[str]:
    return [name for name in str(metadata.get(field, "")).split(",") if name]


def _absent(wanted: Mapping[str, Missing], marks: Mapping[str, int], heard: Collection[str]) -> tuple[AbsentGuard, ...]:
    names = sorted({*wanted, *marks} - set(heard))
    return tuple(AbsentGuard(name, marks.get(name, 0), wanted.get(name)) for name in names)


async def _marks(bus: Bus) -> dict[str, int]:
    """How far guards had judged when they last said so, by guard: what is left of those that are gone."""
    found: dict[str, int] = {}
    for key, value in (await bus.states.all("mark")).items():
        with suppress(ValueError):  # nothing of ours, or of a newer version
            _, guard, _ = key
            found[guard] = max(found.get(guard, 0), int(value.value))
    return found


def _processes(pulses: Mapping[tuple[str, str, int], Pulse], last: int) -> tuple[GuardProcess, ...]:
    found: dict[tuple[str, str], list[Pulse]] = {}
    for (guard, replica, _), pulse in sorted(pulses.items()):
        found.setdefault((guard, replica), []).append(pulse)
    return tuple(
        GuardProcess(
            guard=guard,
            replica=replica,
            partitions=tuple(pulse.partition for pulse in each if pulse.watermark or not last),
            of=each[0].partitions,
            watermark=min((pulse.watermark for pulse in each if pulse.watermark), default=0),
            lag=max(0, last - min((pulse.watermark for pulse in each if pulse.watermark), default=last)),
            missing=each[0].missing,
        )
        for (guard, replica), each in found.items()
    )


async def _circuits(bus: Bus) -> tuple[OpenCircuit, ...]:
    found: list[OpenCircuit] = []
    for key, value in sorted((await bus.states.all("breaker")).items()):
        try:
            circuit = Circuit.model_validate_json(value.value)
            _, tenant, kind, name = key
        except ValueError:  # nothing of ours, or of a newer version
            continue
        if circuit.phase != "closed":
            readable = f"{kind} {name.rpartition('-')[0]}"
            found.append(OpenCircuit(tenant, readable, circuit.phase, circuit.cause, circuit.trips, circuit.until))
    return tuple(found)
