"""What we ship for a cluster is accepted by the real programs: compose reads the file, three servers form a cluster."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sysconfig
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.abc
import nats
import pytest
from anyio.streams.text import TextReceiveStream
from nats.js import JetStreamContext
from nats.js.api import PubAck
from nats.js.errors import NoStreamResponseError

from tests.support.ports import free_ports

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = Path(sysconfig.get_path("scripts")) / "docker-compose"
NODES = ("nats-1", "nats-2", "nats-3")


def compose_config(*more: str, **environment: str) -> dict:
    command = [str(COMPOSE), "-f", "docker-compose.yml", *more, "config", "--format", "json"]
    shown = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)


def test_compose_accepts_the_file_and_finds_the_cluster_a_supervisor_a_guard_and_a_worker() -> None:
    assert set(compose_config()["services"]) == {*NODES, "supervisor", "guard", "worker"}


def test_compose_refuses_the_file_when_it_is_broken(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text((ROOT / "docker-compose.yml").read_text().replace("stop_grace_period:", "stop_grace:"))
    shown = subprocess.run([COMPOSE, "-f", broken, "config", "-q"], capture_output=True, text=True, check=False)
    assert shown.returncode != 0
    assert "stop_grace" in shown.stderr


def test_the_three_nodes_know_each_other_by_name_and_keep_their_own_data() -> None:
    services = compose_config()["services"]
    for name in NODES:
        node = services[name]
        assert node["image"].startswith("nats:2.")
        assert node["environment"]["SERVER_NAME"] == name
        assert json.loads(node["environment"]["ROUTES"]) == [f"nats://{other}:6222" for other in NODES]
        assert {(mount["source"], mount["target"]) for mount in node["volumes"]} == {
            (str(ROOT / "deploy/nats.conf"), "/etc/nats/nats.conf"),
            (name, "/data"),
        }
        assert json.loads(node["environment"]["STORE_DIR"]) == "/data"
        assert "healthz" in node["healthcheck"]["test"][-1]


def test_every_variable_of_the_server_configuration_is_set_by_compose() -> None:
    words = (word for line in (ROOT / "deploy/nats.conf").read_text().splitlines() for word in line.split())
    wanted = {word[1:] for word in words if word.startswith("$")}
    assert wanted
    for name in NODES:
        assert set(compose_config()["services"][name]["environment"]) == wanted


def test_nothing_is_published_beyond_the_loopback_interface() -> None:
    ports = [port for service in compose_config()["services"].values() for port in service.get("ports", [])]
    assert [(port["host_ip"], port["target"]) for port in ports] == [("127.0.0.1", 4222)]


def test_every_service_comes_back_after_a_crash_and_has_time_to_stop() -> None:
    for name, service in compose_config()["services"].items():
        assert service["restart"] == "unless-stopped", name
        assert service["stop_grace_period"] in {"10s", "30s"}, name
        assert service["deploy"]["resources"]["limits"], name


def test_eight_workers_can_run_beside_each_other(tmp_path: Path) -> None:
    scaled = tmp_path / "scaled.yml"
    scaled.write_text("services: {worker: {scale: 8}}\n")
    worker = compose_config("-f", str(scaled))["services"]["worker"]
    assert worker["scale"] == 8
    assert not {"container_name", "ports"} & set(worker)


def test_the_programs_talk_to_all_three_nodes() -> None:
    services = compose_config()["services"]
    urls = ",".join(f"nats://{name}:4222" for name in NODES)
    assert services["supervisor"]["command"] == ["supervisor", "--url", urls]
    assert services["guard"]["command"] == ["guard", "run", "/app/agents.yaml", "--url", urls]
    assert services["worker"]["command"] == ["worker", "/app/agents.yaml", "--url", urls]
    for name in ("supervisor", "guard", "worker"):
        assert set(services[name]["depends_on"]) == set(NODES)


def test_the_directory_of_the_agents_can_be_chosen(tmp_path: Path) -> None:
    worker = compose_config(CALLBOARD_AGENTS=str(tmp_path))["services"]["worker"]
    assert [(mount["source"], mount["target"]) for mount in worker["volumes"]] == [(str(tmp_path), "/app")]
    default = compose_config()["services"]["worker"]["volumes"][0]["source"]
    assert (Path(default) / "agents.yaml").is_file()


def test_the_image_gets_what_the_build_copies_and_nothing_else() -> None:
    lines = [line.split() for line in (ROOT / "Dockerfile").read_text().splitlines()]
    copied = {
        source for words in lines if words[:1] == ["COPY"] and "--from=build" not in words for source in words[1:-1]
    }
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == let_in
    assert all((ROOT / source).exists() for source in copied)


@dataclass
class Node:
    """A server started with deploy/nats.conf, and what it said so far."""

    name: str
    data: Path
    process: anyio.abc.Process
    said: list[str] = field(default_factory=list)
    leader: anyio.Event = field(default_factory=anyio.Event)
    ready: anyio.Event = field(default_factory=anyio.Event)

    async def listen(self) -> None:
        rest = ""
        async for text in TextReceiveStream(self.process.stderr):
            *lines, rest = (rest + text).split("\n")
            for line in lines:
                self.said.append(line)
                if "Server is ready" in line:
                    self.ready.set()
                if "metadata leader" in line:
                    self.leader.set()

    def ports(self) -> dict[str, list[str]]:
        return json.loads(next(self.data.glob("*.ports")).read_text())


def environments(data: Path) -> Iterator[dict[str, str]]:
    """What compose sets, with the values that only fit a container replaced."""
    routes = free_ports(len(NODES))
    for name, port in zip(NODES, routes, strict=True):
        yield compose_config()["services"][name]["environment"] | {
            "LISTEN": '"127.0.0.1:-1"',
            "MONITOR": '"127.0.0.1:-1"',
            "CLUSTER_LISTEN": f'"127.0.0.1:{port}"',
            "ROUTES": json.dumps([f"nats://127.0.0.1:{other}" for other in routes]),
            "STORE_DIR": json.dumps(str(data / name)),
            "MAX_FILE_STORE": "1GB",
        }


@contextlib.asynccontextmanager
async def cluster(data: Path) -> AsyncIterator[list[Node]]:
    server = shutil.which("nats-server", path=f"{COMPOSE.parent}{os.pathsep}{os.environ['PATH']}")
    assert server, "no nats-server: the extra callboard[server] has one"
    async with anyio.create_task_group() as group:
        nodes: list[Node] = []
        try:
            for environment in environments(data):
                home = data / environment["SERVER_NAME"]
                home.mkdir()
                command = [server, "-c", str(ROOT / "deploy/nats.conf"), "--ports_file_dir", str(home)]
                process = await anyio.open_process(command, env=os.environ | environment, stdout=None)
                nodes.append(Node(environment["SERVER_NAME"], home, process))
                group.start_soon(nodes[-1].listen)
            yield nodes
        finally:
            for node in nodes:
                with contextlib.suppress(ProcessLookupError):
                    node.process.terminate()
            with anyio.CancelScope(shield=True):
                for node in nodes:
                    await node.process.wait()


async def until(event: anyio.Event, node: Node) -> None:
    with anyio.move_on_after(30) as scope:
        await event.wait()
    assert not scope.cancelled_caught, "\n".join(node.said)


async def asked(node: Node) -> dict:
    """What the server says of its JetStream."""

    def ask() -> dict:
        with urllib.request.urlopen(f"{node.ports()['monitoring'][0]}/jsz", timeout=10) as answer:
            return json.load(answer)

    return await anyio.to_thread.run_sync(ask)


async def published(stream: JetStreamContext) -> PubAck:
    """A busy machine may answer that the stream is there before the one who leads it listens."""
    while True:
        try:
            return await stream.publish("proof", b"stored three times")
        except NoStreamResponseError:
            await anyio.sleep(0.05)


@pytest.mark.timeout(90)
async def test_three_servers_with_our_configuration_form_a_cluster_that_stores_three_copies(tmp_path: Path) -> None:
    async with cluster(tmp_path) as nodes:
        for node in nodes:
            await until(node.ready, node)
            await until(node.leader, node)
        for node in nodes:
            assert (await asked(node))["config"]["sync_always"] is True
        client = await nats.connect([url for node in nodes for url in node.ports()["nats"]])
        try:
            stream = client.jetstream()
            with anyio.fail_after(30):
                info = await stream.add_stream(name="PROOF", subjects=["proof"], num_replicas=3)
                stored = await published(stream)
        finally:
            await client.close()
    assert stored.seq == 1
    assert {info.cluster.leader, *(replica.name for replica in info.cluster.replicas)} == set(NODES)
    for node in nodes:
        assert (node.data / "jetstream").is_dir()
