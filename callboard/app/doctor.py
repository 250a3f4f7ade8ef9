"""Shell: looks at a deployment as an operator would, and says what to do about what it finds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, assert_never, cast

import anyio

from callboard.actors.fold import replay
from callboard.app.finding import Finding
from callboard.app.queued import queued_tasks
from callboard.app.server import DATA_DIR
from callboard.bus import storage
from callboard.bus.bus import Bus
from callboard.bus.client import Reply
from callboard.bus.reconcile import stream_info
from callboard.bus.server import Durability, live_server
from callboard.bus.subjects import RunKey
from callboard.bus.topology import topology

_SKEW: Final = 0.5
"""Seconds by which the clocks may differ: deadlines and timers are compared between machines."""
_NEARLY_FULL: Final = 0.8
_ANSWERS_WITHIN: Final = 3.0
"""Seconds within which everybody who is alive answers, also on a busy machine."""
_QUIET: Final = 0.4
"""Seconds. Nobody knows how many there are: once each role has answered, the rest is waited for this long."""
_LOOKED_AT: Final = 200
"""Runs of an agent without a worker whose journals are read."""
_ROLES: Final = frozenset({"callboard-supervisor", "callboard-worker", "callboard-guard"})


async def examine(bus: Bus, *, durability: Durability | None = None) -> tuple[Finding, ...]:
    """Everything that can be seen with an ordinary connection. ``durability`` of the server, if you can tell."""
    services = await _services(bus)
    return (
        _server(bus),
        _fsync(durability),
        *await _streams(bus),
        await _disk(bus),
        await _clock(bus),
        _supervisors(services, bus),
        *await _workers(services, bus),
        *_guards(services),
        await _dead(bus),
    )


def server_durability(urls: tuple[str, ...], data_dir: Path = DATA_DIR) -> Durability | None:
    """The setting of the server at ``urls`` if it is the one that runs on ``data_dir``."""
    if urls != (live_server(data_dir),):
        return None
    config = (data_dir / "nats-server.conf").read_text(encoding="utf-8")
    return "always" if "sync_interval: always" in config else "relaxed"


def _server(bus: Bus) -> Finding:
    version = ".".join(map(str, bus.connection.server_version))
    kind = "a cluster" if bus.ack_wait > 2 else "one node"  # noqa: PLR2004 - ACK_WAIT_ALONE
    return Finding("bus", "good", f"nats-server {version} answers, {kind}")


def _fsync(durability: Durability | None) -> Finding:
    match durability:
        case "always":
            return Finding("fsync", "good", "sync_interval: always; what was acknowledged survives a power loss")
        case "relaxed":
            text = "a power loss may lose two minutes of what was acknowledged: start it with --durability always"
            return Finding("fsync", "odd", text)
        case None:
            text = "a client cannot see this server's setting: look for `sync_interval: always` in its configuration"
            return Finding("fsync", "odd", text)
        case _:
            assert_never(durability)


async def _streams(bus: Bus) -> list[Finding]:
    found: list[Finding] = []
    for spec in topology(bus.connection.subjects):
        info = await stream_info(bus.connection, spec.name)
        if info is None:
            found.append(Finding("stream", "wrong", f"{spec.name} is missing: `callboard up` or a worker makes it"))
            continue
        state = cast("Mapping[str, Any]", info["state"])
        text = f"{spec.name}: {state['messages']:,} messages, {state['bytes']:,} bytes"
        full = max(_share(state["messages"], spec.max_msgs), _share(state["bytes"], spec.max_bytes))
        if spec.discard == "new" and full >= _NEARLY_FULL:
            found.append(Finding("stream", "odd", f"{text}: {full:.0%} full; publishers are refused when it is full"))
        else:
            found.append(Finding("stream", "good", text))
    return found


async def _disk(bus: Bus) -> Finding:
    account = await storage.patiently(lambda: storage.api(bus.connection, "INFO", {}))
    used, limit = int(account.get("storage", 0)), int(account.get("limits", {}).get("max_storage", -1))
    text = f"{used:,} bytes in use" + (f" of {limit:,} allowed" if limit > 0 else "")
    if _share(used, limit) >= _NEARLY_FULL:
        return Finding("disk", "wrong", f"{text}: give it more room, or remove old deployments")
    return Finding("disk", "good", text)


async def _clock(bus: Bus) -> Finding:
    before = bus.clock.now()
    info = await storage.patiently(lambda: storage.api(bus.connection, f"STREAM.INFO.{_runs(bus)}", {}))
    after = bus.clock.now()
    there = datetime.fromisoformat(str(info["ts"])) if "ts" in info else before
    skew = (there - (before + (after - before) / 2)).total_seconds()
    if abs(skew) > _SKEW:
        return Finding("clock", "wrong", f"the server's clock is {skew:+.1f} s from this one: run NTP on both")
    return Finding("clock", "good", f"the server's clock is {round(skew * 1000):+d} ms from this one")


def _supervisors(services: list[dict[str, Any]], bus: Bus) -> Finding:
    count = sum(1 for each in services if each["name"] == "callboard-supervisor")
    if not count:
        text = "no supervisor answers: suspended runs do not wake. Start `callboard supervisor`, or `callboard up`"
        return Finding("supervisor", "wrong", text)
    return Finding("supervisor", "good", f"{count} alive under the prefix {bus.connection.subjects.prefix!r}")


async def _workers(services: list[dict[str, Any]], bus: Bus) -> list[Finding]:
    workers = [each for each in services if each["name"] == "callboard-worker"]
    served = _named(services, "callboard-worker", "agents")
    agents = ", ".join(sorted(served)) or "none"
    found = [Finding("workers", "good" if workers else "odd", f"{len(workers)} alive, for the agents: {agents}")]
    queued = await queued_tasks(bus, None)
    waiting = Counter(each.agent for each in queued)
    for agent, count in sorted(waiting.items()):
        if agent not in served:
            found.append(await _unserved(bus, agent, [each.key for each in queued if each.agent == agent]))
        else:
            found.append(Finding("queue", "good", f"{count} tasks of {agent!r} are queued or held by workers"))
    return found


async def _unserved(bus: Bus, agent: str, keys: Sequence[RunKey]) -> Finding:
    """Tasks that no worker takes up. Those of runs that were killed meanwhile hurt nobody."""
    over = 0
    for key in keys[:_LOOKED_AT]:
        over += replay(await bus.journals.read(key)).terminal is not None
    if over == len(keys):
        text = f"{over} tasks of {agent!r} are left of runs that were killed: the next worker that serves it drops them"
        return Finding("queue", "good", text)
    count = len(keys) - over
    text = f"{count} tasks wait for {agent!r}, which no worker serves: start `callboard worker` with its file"
    return Finding("queue", "wrong", text)


def _guards(services: list[dict[str, Any]]) -> list[Finding]:
    served = _named(services, "callboard-guard", "guards")
    if served:
        count = sum(1 for each in services if each["name"] == "callboard-guard")
        found = [Finding("guards", "good", f"{count} alive, with the guards: {', '.join(sorted(served))}")]
    else:
        text = "no guard process answers: nobody sees loops. Start `callboard guard run FILE`, or `callboard up`"
        found = [Finding("guards", "odd", text)]
    for name in sorted(_named(services, "callboard-worker", "waits_for") - served):
        text = f"nobody runs the guard {name!r}, and runs that have it hold: start `callboard guard run` with its file"
        found.append(Finding("guards", "wrong", text))
    return found


def _named(services: list[dict[str, Any]], service: str, field: str) -> set[str]:
    """The names in a field of what all services of a kind say about themselves."""
    fields = [str(each["metadata"].get(field, "")) for each in services if each["name"] == service]
    return {name for names in fields for name in names.split(",") if name}


async def _dead(bus: Bus) -> Finding:
    letters = await bus.graveyard.letters(limit=1)
    if letters:
        text = f"there are dead letters, the last one: {letters[-1].reason}. See `callboard dead list`"
        return Finding("dead letters", "odd", text)
    return Finding("dead letters", "good", "none")


async def _services(bus: Bus) -> list[dict[str, Any]]:
    """Everybody of this deployment who answers ``$SRV.INFO``. Takes its full time only if a role is missing."""
    found: list[dict[str, Any]] = []
    came = anyio.Event()

    def hear(reply: Reply) -> None:
        service = cast("dict[str, Any]", json.loads(reply.payload)) if reply.payload else {}
        if cast("dict[str, Any]", service.get("metadata") or {}).get("prefix") == bus.connection.subjects.prefix:
            found.append(service)
            came.set()

    inbox = bus.connection.new_inbox()
    async with bus.connection.subscribe(inbox, hear):
        await bus.connection.publish("$SRV.INFO", b"", reply=inbox)
        with anyio.move_on_after(_ANSWERS_WITHIN):
            while not {each["name"] for each in found} >= _ROLES:
                came = anyio.Event()
                await came.wait()
            await anyio.sleep(_QUIET)
    return found


def _runs(bus: Bus) -> str:
    return bus.connection.subjects.stream("RUNS")


def _share(value: int, limit: int) -> float:
    return value / limit if limit > 0 else 0.0
