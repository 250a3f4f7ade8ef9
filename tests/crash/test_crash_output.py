"""SIGKILL of the worker around the check of an answer: its verdict is the same, and no answer is paid for twice."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from callboard.bus.messages import ModelResponded, RunClaimed
from tests.chaos.zygote import zygote
from tests.crash.matrix import KEY, Ending, Matrix, all_cells, judge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
CONFIG = """
agents:
  clerk:
    output: models.py:Invoice
    model:
      provider: scripted
      turns: [{ text: "a lamp" }, { text: '{"number": "17"}' }, { text: '{"number": "R-17"}' }]
"""
MODELS = """
from pydantic import BaseModel, Field

class Invoice(BaseModel):
    number: str = Field(pattern="^R-")
"""


def died_in_the_check(ending: Ending) -> bool:
    """Did a worker take the run up whose last answer was in the journal, and not judged?"""
    events = [event for entry in ending.evidence.journals[KEY] for event in entry.record.events]
    return any(
        isinstance(answer, ModelResponded) and isinstance(claim, RunClaimed) for answer, claim in pairwise(events)
    )


async def test_a_worker_killed_around_the_check_is_replaced_and_the_verdict_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text(CONFIG)
    (tmp_path / "models.py").write_text(MODELS)
    cells = tmp_path / "cells"
    cells.mkdir()
    with zygote() as forks:
        board = Matrix("clerk", tmp_path / "agents.yaml", "read it", cells, forks)
        calm = await board.cell("count:0")
        assert calm.result == {"number": "R-17"}
        endings = await all_cells(board, [f"after:{n + 1}" for n in range(calm.writes)])
    wrong = [each for place, ending in endings.items() for each in judge(ending, calm, place)]
    assert not wrong, "\n".join(wrong)
    for place, ending in endings.items():
        assert [each.round for each in ending.state.rejected] == [1, 2], place
        assert [each.problems for each in ending.state.rejected] == [each.problems for each in calm.state.rejected]
    assert sum(map(died_in_the_check, endings.values())) >= 2
