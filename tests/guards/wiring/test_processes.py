"""Guard processes beside workers: that they are there, what they host, and that somebody says so when they are not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from callboard.actors.actor import running
from callboard.actors.code import AgentCode
from callboard.app.bus_at import BusAt
from callboard.app.doctor import _guards, examine
from callboard.app.finding import Finding
from callboard.app.guarding import guards_child
from callboard.app.guards import Guarding, guards_of
from callboard.app.node import WorkerSettings, supervisor_child, worker_child
from callboard.bus.bus import Bus, open_bus
from callboard.bus.client import connect
from callboard.config.guards import CustomGuard, GuardSettings
from callboard.config.spec import AgentSpec
from callboard.errors import ConfigError
from callboard.guards.catalogue import BUILTIN
from callboard.guards.hosted import Hosted
from callboard.guards.kit import Guard
from tests.support.bus import bus_url, fresh_bus
from tests.support.fleet import scripted
from tests.support.program import started

CONFIG = """\
agents: {hello: {model: {provider: scripted, turns: [{text: hi}]}}}
guards: {custom: {careful: {use: "own_guards.py:Careful"}}}
"""
OWN = """\
from callboard.guards.kit import Guard
class Careful(Guard[int]):
    name = "careful"
    def start(self, run): return 0
    def observe(self, state, seen): return state, ()
"""


class Careful(Guard[int]):
    name = "careful"
    missing = "closed"

    def start(self, run: Any) -> int:
        return 0

    def observe(self, state: int, seen: Any) -> tuple[int, tuple[()]]:
        return state, ()


CAREFUL = Hosted("careful", lambda spec: (Careful(), "enforce") if spec.guards.custom else None, missing="closed")
GUARDING = Guarding(hosted=(*BUILTIN, CAREFUL))


def agent(missing: str) -> AgentCode:
    code = scripted("hello", {"text": "hi"})
    own = {"careful": CustomGuard(use="x.py:Careful", missing=missing)}
    return AgentCode(code.spec.model_copy(update={"guards": GuardSettings(custom=own)}))


@asynccontextmanager
async def deployed(code: AgentCode) -> AsyncIterator[tuple[Bus, BusAt]]:
    async with fresh_bus() as connection:
        at = BusAt((bus_url(),), connection.subjects)
        worker = worker_child(at, {"hello": code}, WorkerSettings("w"), anyio.Event(), guarding=GUARDING)
        async with (
            running(supervisor_child(at, "s")),
            running(worker),
            open_bus(bus_url(), subjects=connection.subjects, name="client") as bus,
        ):
            yield bus, at


async def about_guards(bus: Bus) -> list[Finding]:
    return [finding for finding in await examine(bus) if finding.about == "guards"]


async def test_the_doctor_says_when_runs_hold_for_a_guard_that_nobody_runs() -> None:
    async with deployed(agent("closed")) as (bus, at), running(guards_child(at, GUARDING.only(["loop"]), name="g1")):
        some, holding = await about_guards(bus)
        assert (some.level, some.text) == ("good", "1 alive, with the guards: loop")
        assert holding.level == "wrong"
        assert "nobody runs the guard 'careful', and runs that have it hold" in holding.text
        async with running(guards_child(at, GUARDING, name="g2")):
            (good,) = await about_guards(bus)
            assert good == Finding(
                "guards", "good", "2 alive, with the guards: budget, cache, careful, limits, loop, stuck"
            )


def test_nobody_is_missed_more_than_runs_wait_for_them() -> None:
    worker = {"name": "callboard-worker", "metadata": {"agents": "hello"}}
    assert [finding.level for finding in _guards([worker])] == ["odd"]
    worker["metadata"] = {"agents": "hello", "waits_for": ""}
    assert [finding.level for finding in _guards([worker])] == ["odd"]
    worker["metadata"] = {"agents": "hello", "waits_for": "loop,own"}
    guard = {"name": "callboard-guard", "metadata": {"guards": "loop,stuck"}}
    assert [finding.level for finding in _guards([worker])] == ["odd", "wrong", "wrong"]
    assert [finding.level for finding in _guards([worker, guard])] == ["good", "wrong"]


def test_what_runs_wait_for_is_what_their_settings_say() -> None:
    closed, going_on, plain = agent("closed").spec, agent("open").spec, AgentSpec(name="a")
    assert guards_of(GUARDING, [going_on, closed, going_on])["careful"] == "closed"
    assert guards_of(GUARDING, [going_on, plain])["careful"] == "open"
    assert "careful" not in guards_of(GUARDING, [plain])


def test_a_process_may_run_some_of_the_guards_and_no_unknown_ones() -> None:
    assert [each.name for each in GUARDING.only(["careful", "loop"]).hosted] == ["loop", "careful"]
    with pytest.raises(ConfigError, match="there is no guard 'lop': did you mean 'loop'"):
        GUARDING.only(["lop"])


async def test_the_command_runs_the_guards_of_a_file_until_it_is_told_to_end(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text(CONFIG)
    (tmp_path / "own_guards.py").write_text(OWN)
    async with fresh_bus() as connection:
        prefix = connection.subjects.prefix
        command = ("guard", "run", "agents.yaml", "--only", "careful", "--only", "stuck")
        with started(*command, "--url", bus_url(), "--prefix", prefix, cwd=tmp_path) as process:
            async with open_bus(bus_url(), subjects=connection.subjects, name="client") as bus:
                with anyio.fail_after(30):
                    while not (names := await guard_services(bus)):
                        pass  # it listens for a moment each time
            assert names == {"stuck,careful"}
        assert process.returncode == 0


async def guard_services(bus: Bus) -> set[str]:
    found: set[str] = set()
    async with connect(bus_url(), name="look", subjects=bus.connection.subjects) as connection:
        inbox = connection.new_inbox()

        def hear(reply: Any) -> None:
            about = json.loads(reply.payload)["metadata"] if reply.payload else {}
            if about.get("prefix") == bus.connection.subjects.prefix:
                found.add(about["guards"])

        async with connection.subscribe(inbox, hear):
            await connection.publish("$SRV.INFO.callboard-guard", b"", reply=inbox)
            await anyio.sleep(0.2)
    return found
