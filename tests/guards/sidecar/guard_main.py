"""A guard process for tests: ``python -m tests.guards.sidecar.guard_main URL PREFIX [closed]``."""

from __future__ import annotations

import sys

import anyio

from callboard.app.bus_at import BusAt
from callboard.app.guarding import run_guard
from callboard.app.guards import Guarding
from callboard.bus.subjects import Subjects
from tests.guards.sidecar.watchers import hosted, strict

if __name__ == "__main__":
    url, prefix, *more = sys.argv[1:]
    anyio.run(run_guard, BusAt((url,), Subjects(prefix)), Guarding((strict() if more else hosted(),)))
