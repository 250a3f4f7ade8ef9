"""What an error looks like, and what the process ends with."""

from __future__ import annotations

import json

import pytest

from callboard.cli.shared import Shared, drive
from callboard.errors import (
    BusRefused,
    BusUnreachable,
    CallboardError,
    ConfigError,
    InvalidMessage,
    QueueFull,
    RunFailed,
    RunKilled,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RunFailed("r", "turns", "no more turns"), 1),
        (TimeoutError("too slow"), 1),
        (ConfigError("a.yaml:1:1: no"), 2),
        (InvalidMessage("bad_id", "agent is 'a b'"), 2),
        (BusUnreachable("nobody there"), 3),
        (BusRefused("too old"), 3),
        (RunKilled("r", "why", "ada"), 4),
        (QueueFull("full", retryable=True, retry_after=1.0), 5),
    ],
)
def test_every_error_has_its_exit_code_and_one_line(
    error: CallboardError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail() -> int:
        raise ExceptionGroup("inside of a task group", [error])

    assert drive(Shared(), fail) == code
    assert capsys.readouterr().err == f"error: {error}\n"
    assert drive(Shared(json=True), fail) == code
    told = json.loads(capsys.readouterr().err)["error"]
    assert told == {"type": type(error).__name__, "message": str(error), "exit_code": code}


def test_an_interrupt_is_130_and_a_bug_keeps_its_traceback() -> None:
    async def interrupted() -> int:
        raise KeyboardInterrupt

    async def buggy() -> int:
        raise ValueError("ours")

    assert drive(Shared(), interrupted) == 130
    with pytest.raises(ValueError, match="ours"):
        drive(Shared(), buggy)


def test_each_mistake_of_a_configuration_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    async def fail() -> int:
        raise ConfigError("a.yaml:1:1: one\na.yaml:2:1: two [bold]")

    assert drive(Shared(), fail) == 2
    assert capsys.readouterr().err == "error: a.yaml:1:1: one\nerror: a.yaml:2:1: two [bold]\n"
