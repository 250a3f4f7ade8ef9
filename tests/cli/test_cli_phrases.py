"""What a run waits for, and what its model does not read any more, in a few words."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from callboard.app.run_event import RunEvent
from callboard.bus.messages import Content, ContextRelieved, ModelResponded, Usage
from callboard.cli.main import app
from callboard.cli.phrases import relieved
from callboard.cli.teller import Teller


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            ContextRelieved(call="m9", before=180_400, after=95_000, cleared=("m1.0",)),
            "1 result cleared, 180k → 95k tokens",
        ),
        (
            ContextRelieved(call="m9", before=9_900, after=800, cleared=("m1.0", "m2.0"), repeated=("m3.0",)),
            "2 results cleared, 1 result dropped (read again later), 9900 → 800 tokens",
        ),
        (
            ContextRelieved(call="m31", before=180_400, after=95_000, through="m12", summary=Content(value="x")),
            "the turns up to m12 summed up, 180k → 95k tokens",
        ),
    ],
)
def test_a_relief_says_what_was_taken_out_and_how_much_that_was(event: ContextRelieved, told: str) -> None:
    assert relieved(event) == f"context relieved: {told}"


def test_a_summary_is_told_as_what_it_is_costs_its_tokens_and_is_no_turn() -> None:
    teller = Teller()
    summary = ModelResponded(
        call="s1", purpose="summary", usage=Usage(input_tokens=90, output_tokens=9), text=Content()
    )
    events = (summary, ContextRelieved(call="m2", before=9_000, after=1_000, through="m1"))
    lines = [teller.tell(RunEvent(at, None, event)) for at, event in enumerate(events, start=1)]
    assert [f"{line.sign} {line.text}" for line in lines if line is not None] == [
        "✓ model  sums up older turns  99 tokens",
        "⇣ context relieved: the turns up to m1 summed up, 9000 → 1000 tokens",
    ]
    assert (teller.turns, teller.tokens) == (0, 99)


def test_check_shows_how_large_windows_are_who_says_so_and_who_sums_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("agents.yaml").write_text(
        """
providers: {local: {kind: openai-chat, base_url: "http://127.0.0.1:1/v1"}}
agents:
  a: {model: local/x, context: {summary: anthropic/claude-sonnet-4-5}}
  b: {model: {provider: local, name: y, context: 32000}}
"""
    )
    shown = CliRunner().invoke(app, ["check", "agents.yaml"], env={"COLUMNS": "400"}).output
    for told in (
        "context window unknown",
        "sums up: anthropic/claude-sonnet-4-5",
        "context 200,000 (genai-prices",
        "context 32,000 (config)",
    ):
        assert shown.count(told) == 1
