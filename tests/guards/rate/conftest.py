"""For tests of workers that have no rate limiter."""

from __future__ import annotations

import pytest

from callboard.guards.rate import gate


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for a limiter that is not there."""
    monkeypatch.setattr(gate, "GONE", 0.3)
