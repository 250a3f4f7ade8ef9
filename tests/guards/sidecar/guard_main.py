"""A guard process for tests: ``python -m tests.guards.sidecar.guard_main URL PREFIX [open|closed]``."""

from __future__ import annotations

import sys

import anyio

from callboard.app.bus_at import BusAt
from callboard.app.guarding import run_guard
from callboard.app.guards import Guarding
from callboard.bus.subjects import Subjects
from tests.guards.sidecar.watchers import hosted, quiet, strict

if __name__ == "__main__":
    url, prefix, *more = sys.argv[1:]
    guard = {"open": quiet, "closed": strict}[more[0]]() if more else hosted()
    anyio.run(run_guard, BusAt((url,), Subjects(prefix)), Guarding((guard,)))
