"""Pure: names that are the same on every attempt, whoever makes it."""

from __future__ import annotations

import hashlib

from callboard.bus.subjects import RunKey


def child_id(run: str, call: str) -> str:
    """The id of the child that ``call`` of ``run`` spawns: the same on every attempt."""
    return "c" + hashlib.sha256(f"{run}/{call}".encode()).hexdigest()[:30]


def idempotency_key(run: RunKey, call: str) -> str:
    """The key of a call: the same on every attempt, different for every other call of every run."""
    return hashlib.sha256(f"{run}/{call}/key".encode()).hexdigest()[:40]
