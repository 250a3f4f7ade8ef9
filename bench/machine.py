"""Shell: the machine that the figures come from, and what ran on it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import anyio

from callboard.bus.server_binary import find_binary


async def machine(data: Path) -> dict[str, str]:
    """Name and value of everything that a reader needs to compare."""
    binary = str(await find_binary())
    server = (await anyio.run_process([binary, "--version"])).stdout.decode()
    return {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "system": platform.platform(terse=True),
        "data on": _file_system(data),
        "python": platform.python_version(),
        "nats-server": server.strip().rpartition(" ")[2],
        "nats-py": version("nats-py"),
        "callboard": version("callboard"),
        "load average at the start": load(),
    }


def load() -> str:
    """The load average over 1, 5 and 15 minutes."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _file_system(path: Path) -> str:
    """The type of the file system that ``path`` is on: a flush costs nothing on tmpfs."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, at, found, *_ = line.split()
        inside = str(path) == at or str(path).startswith(at.rstrip("/") + "/")
        if inside and len(at) > len(best):
            best, kind = at, found
    return kind
