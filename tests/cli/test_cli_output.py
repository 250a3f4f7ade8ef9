"""Results that are data, on the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from callboard.app.run_event import RunEvent
from callboard.bus.messages import OutputRejected
from callboard.cli.teller import Teller
from tests.support.program import callboard, document

CONFIG = """
agents:
  sorter:
    output:
      title: Sorted
      type: object
      properties: { urgent: { type: boolean }, why: { type: string } }
      required: [urgent]
    model:
      provider: scripted
      turns: [{ text: '{"urgent": 1}' }, { text: "```json\\n{\\"urgent\\": true}\\n```" }]
  talker:
    model: { provider: scripted, turns: [{ text: hi }] }
"""


def test_a_rejected_answer_is_a_line_with_its_round() -> None:
    event = OutputRejected(call="m1", round=1, problems="urgent: 1 is not of type 'boolean'")
    line = Teller().tell(RunEvent(1, datetime(2026, 11, 21, tzinfo=UTC), event))
    assert line is not None
    assert line.text == "answer rejected (1 of 2): urgent: 1 is not of type 'boolean'"


def test_data_stays_data_in_json_and_check_shows_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text(CONFIG)
    checked = callboard("check", "agents.yaml", cwd=tmp_path)
    assert "Sorted" in checked.stdout
    assert "urgent, why?" in checked.stdout
    told = document(callboard("run", "agents.yaml", "sorter", "x", "--json", cwd=tmp_path))
    assert (told["result"], told["turns"]) == ({"urgent": True}, 2)
