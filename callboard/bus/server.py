"""Shell: a real nats-server as a child of this process, on loopback, with its data in a directory that is kept."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from typing import Final, Literal

import anyio
from anyio.abc import Process

from callboard.bus.server_binary import find_binary, tied
from callboard.errors import BusUnreachable, ConfigError

Durability = Literal["always", "relaxed"]

_BOOTS_WITHIN: Final = 30.0  # milliseconds, usually; a store of a million runs takes a second
_ENDS_WITHIN: Final = 5.0
_LOCK_WITHIN: Final = 6.0
_POLL: Final = 0.004
_STATE: Final = "callboard-server.json"
_LOCK: Final = "callboard-server.lock"
_CONFIG: Final = "nats-server.conf"
_LOG: Final = "nats-server.log"
_LOG_TAIL: Final = 800


@dataclass(frozen=True, slots=True)
class _State:
    """Who serves a data directory: the server's url and pid, and the pid of the process that started it."""

    url: str
    pid: int
    owner: int


class EmbeddedServer:
    """A nats-server on a data directory. It can be killed and started again: same data, same port."""

    def __init__(self, data_dir: Path, *, binary: Path, durability: Durability, port: int | None, lock: int) -> None:
        self.data_dir = data_dir
        self.log_path = data_dir / _LOG
        self._binary = binary
        self._durability: Durability = durability
        self._port = port
        self._lock = lock
        self._process: Process | None = None
        self._started = anyio.Event()

    @property
    def url(self) -> str:
        """Where clients connect; stays the same over restarts."""
        return f"nats://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The process id of the running server. Raises ``BusUnreachable`` if it does not run."""
        if self._process is None:
            raise BusUnreachable(f"the nats-server on {str(self.data_dir)!r} does not run: start() it")
        return self._process.pid

    async def start(self) -> None:
        """Start it if it does not run; returns when it accepts clients."""
        if self._process is not None and self._process.returncode is None:
            return
        command = [str(self._binary), "-c", str(self._write_config())]
        with self.log_path.open("ab") as log:
            process = await anyio.open_process(
                tied(command),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: we end it after our own work
                pass_fds=(self._lock,),  # the data stays locked until the server too is gone
            )
        try:
            with anyio.fail_after(_BOOTS_WITHIN):
                self._port = await self._listening(process)
        except BaseException as error:
            await _end(process, signal.SIGKILL)
            if isinstance(error, TimeoutError):
                raise self._failed(f"does not accept clients after {_BOOTS_WITHIN} s") from error
            raise
        self._process = process
        _write_state(self.data_dir, _State(self.url, process.pid, os.getpid()))
        self._started.set()

    async def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL after 5 s."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it as a crash would: SIGKILL."""
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """Stop and start."""
        await self.stop()
        await self.start()

    async def died(self) -> int:
        """Return the exit code when the server ends without ``stop`` or ``kill``."""
        while True:
            process = self._process
            if process is None:
                await self._started.wait()
                continue
            code = await process.wait()
            if process is self._process:
                return code

    async def _end(self, by: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            self._started = anyio.Event()
            (self.data_dir / _STATE).unlink(missing_ok=True)
            await _end(process, by)

    async def _listening(self, process: Process) -> int:
        while (port := _read_port(self.data_dir)) is None:
            if process.returncode is not None:
                raise self._failed(f"ended with code {process.returncode}")
            await anyio.sleep(_POLL)
        while True:
            with suppress(OSError):
                async with await anyio.connect_tcp("127.0.0.1", port):
                    return port
            await anyio.sleep(_POLL)

    def _write_config(self) -> Path:
        """Also removes what a killed server left behind: its ports file would name an old port."""
        for stale in self.data_dir.glob("*.ports"):
            stale.unlink(missing_ok=True)
        quoted = json.dumps(str(self.data_dir), ensure_ascii=False)
        sync = "\n  sync_interval: always" if self._durability == "always" else ""
        config = self.data_dir / _CONFIG
        config.write_text(
            f"# written by callboard at every start\n"
            f'server_name: "callboard"\n'
            f'listen: "127.0.0.1:{self._port or -1}"\n'
            f"ports_file_dir: {quoted}\n"
            f"jetstream {{\n  store_dir: {quoted}{sync}\n}}\n",
            encoding="utf-8",
        )
        return config

    def _failed(self, what: str) -> BusUnreachable:
        tail = self.log_path.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL:]
        return BusUnreachable(
            f"nats-server on {str(self.data_dir)!r} {what}; {str(self.log_path)!r} ends with:\n{tail}"
        )


@asynccontextmanager
async def embedded_server(
    data_dir: Path, *, durability: Durability = "always", port: int | None = None
) -> AsyncGenerator[EmbeddedServer]:
    """Run a nats-server on ``data_dir`` (made if missing, kept) for the time of the context.

    It listens on loopback only, on a free port unless ``port`` is given, and ends with this process (on Linux also
    when this process is killed). ``always`` flushes every write to the disk; with ``relaxed`` a power loss may lose
    two minutes. Raises ``ConfigError`` if no usable nats-server is installed or the directory is in use.
    """
    binary = await find_binary()
    data_dir = _made(data_dir)
    lock = await _locked(data_dir)
    server = EmbeddedServer(data_dir, binary=binary, durability=durability, port=port, lock=lock)
    try:
        await server.start()
        yield server
    finally:
        await server.stop()
        os.close(lock)


def live_server(data_dir: Path) -> str | None:
    """The url of the server that runs on ``data_dir``, if one does."""
    state = _read_state(data_dir)
    return state.url if state is not None and _alive(state.pid) and _is_locked(data_dir) else None


async def _locked(data_dir: Path) -> int:
    """A descriptor that holds the lock on ``data_dir``. A server whose owner was killed is given time to end."""
    descriptor = os.open(data_dir / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = anyio.current_time() + _LOCK_WITHIN
    try:
        while not _try_lock(descriptor, fcntl.LOCK_EX):
            _check_ending(data_dir, late=anyio.current_time() > deadline)
            await anyio.sleep(_POLL)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_ending(data_dir: Path, *, late: bool) -> None:
    state = _read_state(data_dir)
    if late or (state is not None and _alive(state.owner)):
        holder = f"{state.url} (pid {state.pid})" if state else "a server that is just starting or ending"
        raise ConfigError(
            f"data directory {str(data_dir)!r} is in use by {holder}: connect to it, or choose another directory"
        )


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def _is_locked(data_dir: Path) -> bool:
    try:
        descriptor = os.open(data_dir / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


async def _end(process: Process, by: signal.Signals) -> None:
    with anyio.CancelScope(shield=True):
        with suppress(ProcessLookupError):
            process.send_signal(by)
        with anyio.move_on_after(_ENDS_WITHIN):
            await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
        await process.aclose()


def _made(data_dir: Path) -> Path:
    data_dir.mkdir(parents=True, exist_ok=True)
    return data_dir.resolve()


def _read_port(data_dir: Path) -> int | None:
    for path in data_dir.glob("*.ports"):
        with suppress(ValueError, KeyError, IndexError, FileNotFoundError):  # not yet written in full
            return int(json.loads(path.read_text(encoding="utf-8"))["nats"][0].rpartition(":")[2])
    return None


def _write_state(data_dir: Path, state: _State) -> None:
    fresh = data_dir / f"{_STATE}.new"
    text = json.dumps({"url": state.url, "pid": state.pid, "owner": state.owner})
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(data_dir / _STATE)


def _read_state(data_dir: Path) -> _State | None:
    try:
        found = json.loads((data_dir / _STATE).read_text(encoding="utf-8"))
        return _State(str(found["url"]), int(found["pid"]), int(found["owner"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
