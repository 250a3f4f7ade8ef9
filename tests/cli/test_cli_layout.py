"""Tables on terminals that are wide enough for them, and on those that are not."""

from __future__ import annotations

import pytest
from rich.table import Table
from rich.text import Text

from callboard.cli.layout import show_table

RUN = "10a932227482a5a766fe"


def table(*, footer: bool = False) -> Table:
    made = Table(box=None, pad_edge=False, show_footer=footer)
    made.add_column("run", no_wrap=True, footer="all")
    made.add_column("agent", overflow="fold")
    made.add_column("cost", justify="right", no_wrap=True, footer="$1.00")
    made.add_column("why", overflow="ellipsis", no_wrap=True)
    made.add_row(
        RUN, Text("hanger\nof 2"), "$1.00", "the deadline was 2026-11-21 16:53:56Z, and that is long ago by now"
    )
    made.add_row("r2", "other", "", "")
    return made


def shown(given: Table, width: int, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch, *, tty: bool) -> str:
    patch.setenv("COLUMNS", str(width))
    patch.setenv("TERM", "xterm")
    patch.setenv("NO_COLOR", "1")
    if tty:
        patch.setenv("FORCE_COLOR", "1")
        patch.setenv("TTY_COMPATIBLE", "1")
    show_table(given)
    return Text.from_ansi(capsys.readouterr().out).plain


def test_a_narrow_terminal_gets_a_card_for_each_row_and_nothing_is_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = shown(table(footer=True), 60, capsys, monkeypatch, tty=True)
    assert told.rstrip("\n").splitlines() == [
        f"run    {RUN}",
        "agent  hanger",
        "agent  of 2",
        "cost   $1.00",
        "why    the deadline was 2026-11-21 16:53:56Z, and that is long ago by now",
        "",
        "run    r2",
        "agent  other",
        "",
        "run    all",
        "cost   $1.00",
    ]


@pytest.mark.parametrize(("width", "tty"), [(90, True), (60, False)])
def test_a_wide_terminal_and_a_pipe_get_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, width: int, tty: bool
) -> None:
    first, second, *_ = shown(table(), width, capsys, monkeypatch, tty=tty).splitlines()
    assert first.split() == ["run", "agent", "cost", "why"]
    assert second.split()[:3] == [RUN, "hanger", "$1.00"]
