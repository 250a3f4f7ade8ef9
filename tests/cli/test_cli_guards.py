"""``callboard guards``: what guards say and who of them is alive, on a real bus."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from typer.testing import CliRunner, Result

from callboard.actors.fold import EMPTY
from callboard.app.guards_alive import guards_alive
from callboard.bus.bus import Bus, open_bus
from callboard.bus.guard_messages import GuardEvent, Pulse
from callboard.bus.messages import ChildSpawned, Content, Wait
from callboard.bus.service import Service, announced
from callboard.bus.subjects import Subjects
from callboard.cli.guards_tables import print_alive
from callboard.cli.instants import instant
from callboard.cli.main import app
from callboard.cli.phrases import waits_for
from callboard.cli.shared import Shared
from callboard.cli.verdicts import hold_line, verdict_line
from callboard.cli.watch_all import watch_all
from callboard.errors import ConfigError
from callboard.guards.breaker.circuit import Circuit
from callboard.guards.pulses import HOLD
from tests.support.bus import bus_url, delete_streams
from tests.support.program import started, wait_until

NOW = datetime.now(UTC)


def said(number: int, *, guard: str = "loop", action: str = "kill", **more: Any) -> GuardEvent:
    given = {"reason": f"reason {number}", "run": f"r{number}", "agent": "triage", **more}
    return GuardEvent(id=f"e{number}", at=NOW, guard=guard, action=action, **given)


@pytest.fixture
def prefix() -> Iterator[str]:
    name = f"t{secrets.token_hex(6)}"
    bus_url()
    yield name
    anyio.run(delete_streams, Subjects(name))


def on(prefix: str, *events: tuple[str, GuardEvent]) -> None:
    """Publish them."""

    async def publish() -> None:
        async with opened(prefix) as bus:
            for tenant, event in events:
                await bus.guard_log.publish(tenant, event)

    anyio.run(publish)


@asynccontextmanager
async def opened(prefix: str) -> AsyncIterator[Bus]:
    async with open_bus(bus_url(), subjects=Subjects(prefix), name="test") as bus:
        yield bus


def do(prefix: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--url", bus_url(), "--prefix", prefix])


def asked(prefix: str, *arguments: str) -> Any:
    done = do(prefix, *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_past_events_are_listed_and_filtered(prefix: str) -> None:
    on(
        prefix,
        ("acme", said(1)),
        ("acme", said(2, action="nudge")),
        ("bolt", said(3, guard="budget", action="deny", mode="shadow", reason="$2.01 of $2.00\x1b[2J")),
    )

    def listed(*options: str) -> list[str]:
        return [each["id"] for each in asked(prefix, "guards", "events", *options)]

    assert listed() == ["e1", "e2", "e3"]
    assert listed("--tenant", "acme") == ["e1", "e2"]
    assert listed("--guard", "budget") == ["e3"]
    assert listed("--action", "kill") == ["e1"]
    assert listed("--run", "r2") == ["e2"]
    assert listed("--limit", "1") == ["e3"]
    assert listed("--since", (NOW + timedelta(hours=1)).isoformat()) == []
    assert asked(prefix, "guards", "events", "--run", "r3")[0]["tenant"] == "bolt"
    shown = do(prefix, "guards", "events").stdout
    assert "■ kill" in shown
    assert "⊘ deny [shadow]" in shown
    assert "$2.01 of $2.00�[2J" in shown
    assert "no guard events" in do(prefix, "guards", "events", "--run", "r9").stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("events", "--since", "soon"), "--since is 'soon'"),
        (("events", "--tenant", "a b"), "tenant is 'a b'"),
        (("watch", "--guard", ""), "--guard is empty"),
    ],
)
def test_a_filter_that_cannot_be_is_wrong_usage(prefix: str, arguments: tuple[str, ...], problem: str) -> None:
    done = do(prefix, "guards", *arguments)
    assert (done.exit_code, problem in done.stderr) == (2, True), done.stderr


def test_a_watcher_sees_a_line_for_each_verdict(prefix: str, tmp_path: Any) -> None:
    where = ("--url", bus_url(), "--prefix", prefix)
    with (
        started("guards", "watch", *where, cwd=tmp_path) as people,
        started("guards", "watch", "--json", "--tenant", "acme", "--run", "r1", *where, cwd=tmp_path) as program,
    ):
        assert people.stdout is not None
        assert program.stdout is not None
        log = tmp_path / "stderr.log"
        wait_until(lambda: log.read_text().count("watching what guards say") == 2)
        on(prefix, ("bolt", said(2, action="warn", mode="warn")), ("acme", said(1)))
        first, second = people.stdout.readline(), people.stdout.readline()
        told = json.loads(program.stdout.readline())
    assert "! loop warn [warn]  bolt/r2 (triage)  reason 2" in first
    assert "■ loop kill  acme/r1 (triage)  reason 1" in second
    assert (told["tenant"], told["id"], told["action"]) == ("acme", "e1", "kill")


@pytest.mark.parametrize("json_lines", [False, True])
async def test_who_watches_all_runs_sees_the_verdicts_between_them(
    *, json_lines: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    name, shown = f"t{secrets.token_hex(6)}", ""
    try:
        async with opened(name) as bus, anyio.create_task_group() as group:
            group.start_soon(watch_all, Shared(json=json_lines), bus.connection)
            await anyio.wait_all_tasks_blocked()
            await bus.connection.publish(bus.connection.subjects.guard("acme", "loop", "kill"), b"no event")
            await bus.guard_log.publish("acme", said(1, reason="round in circles"))
            with anyio.fail_after(20):
                while not shown:
                    await anyio.sleep(0.01)
                    shown = capsys.readouterr().out
            group.cancel_scope.cancel()
    finally:
        await delete_streams(Subjects(name))
    if json_lines:
        told = json.loads(shown)
        assert (told["type"], told["tenant"], told["action"]) == ("guard", "acme", "kill")
    else:
        assert "■ loop kill  acme/r1 (triage)  round in circles" in shown


async def test_who_is_alive_and_how_far_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    name = f"t{secrets.token_hex(6)}"
    try:
        async with opened(name) as bus, announced(bus.connection, _service(name, "quiet-1")):
            async with anyio.create_task_group() as group:
                group.start_soon(_pulse, bus)
                alive = await guards_alive(bus, listens=0.5)
                group.cancel_scope.cancel()
            empty = await guards_alive(bus, listens=0.5)
    finally:
        await delete_streams(Subjects(name))
    (loop,) = alive.processes
    assert loop.as_json() == {
        "guard": "loop", "replica": "vm-1", "partitions": [0, 1], "of": 4, "watermark": 7, "lag": 0, "missing": "open"
    }  # fmt: skip
    print_alive(alive)
    assert "loop   alive  vm-1     2 of 4" in capsys.readouterr().out
    assert alive.silent == empty.silent == ("quiet-1",)
    assert empty.processes == ()


async def _pulse(bus: Bus, watermark: int = 7) -> None:
    while True:
        for partition in (0, 1):
            pulse = Pulse(guard="loop", replica="vm-1", partition=partition, partitions=4, watermark=watermark)
            subject = bus.connection.subjects.pulse("loop", partition)
            await bus.connection.publish(subject, pulse.model_dump_json().encode())
        await bus.connection.publish(bus.connection.subjects.pulse("loop", 3), b"no pulse")
        await anyio.sleep(0.05)


def _service(prefix: str, name: str) -> Service:
    return Service(name="callboard-guard", id=name, version="0", metadata={"prefix": prefix, "guards": "loop"})


def test_circuits_that_are_not_closed_are_shown(prefix: str) -> None:
    async def fill() -> None:
        async with opened(prefix) as bus:
            later = NOW + timedelta(seconds=30)
            opened_ = Circuit(phase="open", cause="streak", trips=2, since=NOW, until=later)
            await bus.states.put("breaker", "_", "model", "scripted-x-0a1b", value=opened_.model_dump_json().encode())
            await bus.states.put("breaker", "acme", "tool", "pay-ffff", value=Circuit().model_dump_json().encode())
            await bus.states.put("breaker", "acme", "tool", "odd-eeee", value=b"{")

    anyio.run(fill)
    (circuit,) = asked(prefix, "guards", "list")["circuits"]
    assert (circuit["name"], circuit["phase"], circuit["trips"]) == ("model scripted-x", "open", 2)
    shown = do(prefix, "guards", "list").stdout
    assert "no guard process is alive" in shown
    assert "model scripted-x" in shown


def test_a_verdict_is_one_line_that_moves_no_cursor() -> None:
    line = verdict_line("_", said(1, run="", agent="", reason="two\nlines\x1b[2J", call="m1.0", mode="shadow"))
    assert line.text == "loop kill [shadow]  all tenants m1.0  two lines�[2J"


def test_what_a_closed_guard_says_is_told_on_the_runs_own_screen() -> None:
    held = hold_line(said(1, action="pause", data={HOLD: "it is behind\x1b[2J"}))
    assert (held.sign, held.text) == ("⏸", "waits for guard loop: it is behind�[2J")
    back = hold_line(said(1, action="observe", data={HOLD: ""}))
    assert (back.sign, back.text) == ("▶", "guard loop has caught up: the run goes on")


def test_what_a_suspended_run_waits_for_is_told_by_its_childrens_agents() -> None:
    spawned = ChildSpawned(child="r1-c", agent="helper", call="t1", input=Content())
    state = EMPTY.evolve(children={"r1-c": spawned}, waits=((Wait(kind="child", name="r1-c"),),))
    assert waits_for(state) == "helper"


def test_instants_are_ago_or_absolute() -> None:
    assert instant("90m", "--since", now=NOW) == NOW - timedelta(minutes=90)
    assert instant("2026-11-20", "--since", now=NOW) == datetime(2026, 11, 20, tzinfo=UTC)
    assert instant("2026-11-20T08:00+01:00", "--since", now=NOW) == datetime(2026, 11, 20, 7, tzinfo=UTC)
    with pytest.raises(ConfigError, match="--until is 'x'"):
        instant("x", "--until", now=NOW)


async def test_guards_on_an_empty_bus_are_alive_and_one_that_went_away_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = f"t{secrets.token_hex(6)}"
    wants = {"prefix": name, "guards": "loop,audit,new", "waits_for": "audit"}
    worker = Service(name="callboard-worker", id="w1", version="0", metadata=wants)
    other = Service(name="callboard-worker", id="w2", version="0", metadata={"prefix": name, "guards": "audit"})
    try:
        async with opened(name) as bus, announced(bus.connection, worker), announced(bus.connection, other):
            for partition in range(2):
                await bus.states.put("mark", "audit", str(partition), value=str(40 + partition).encode())
            await bus.states.put("mark", "gone", "0", value=b"7")
            await bus.states.put("mark", "odd", "0", value=b"x")
            async with anyio.create_task_group() as group:
                group.start_soon(_pulse, bus, 0)
                alive = await guards_alive(bus, listens=1.0)
                group.cancel_scope.cancel()
    finally:
        await delete_streams(Subjects(name))
    (loop,) = alive.processes
    assert (loop.guard, loop.partitions, loop.lag) == ("loop", (0, 1), 0)
    assert [(each.guard, each.state, each.watermark, each.missing) for each in alive.absent] == [
        ("audit", "missing", 41, "closed"), ("gone", "missing", 7, None), ("new", "never_seen", 0, "open")]  # fmt: skip
    print_alive(alive)
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["loop", "alive", "vm-1", "2", "of", "4", "0", "0", "runs", "go", "on"] in shown
    assert ["audit", "missing", "41", "runs", "wait", "for", "it"] in shown
    assert ["new", "never", "seen", "runs", "go", "on", "without", "it"] in shown
