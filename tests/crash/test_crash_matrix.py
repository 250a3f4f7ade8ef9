"""SIGKILL of the worker at every journal boundary of the examples: another one finishes, and nothing is repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.matrix import EXAMPLES, all_cells, around, judge, matrix

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.mark.parametrize("agent", EXAMPLES)
async def test_a_worker_killed_at_any_boundary_is_replaced_and_nothing_is_repeated(agent: str, tmp_path: Path) -> None:
    with matrix(agent, tmp_path) as board:
        calm = await board.cell("count:0")
        assert not judge(calm, calm, "calm")
        places = [*around(calm.writes), *(f"during:{n + 1}" for n in range(calm.starts))]
        endings = await all_cells(board, places)
        wrong = [each for place in places for each in judge(endings[place], calm, place)]
        assert not wrong, "\n".join(wrong)
        missed = [place for place in places if not endings[place].died]
        assert len(missed) <= len(places) // 10, f"nobody died at {missed}"  # facts that wait together share a write


async def test_a_dispatcher_killed_at_any_of_its_writes_is_replaced_and_nobody_waits_for_ever(tmp_path: Path) -> None:
    with matrix("lead", tmp_path) as board:
        calm = await board.cell("count:0", victim="dispatcher")
        assert calm.writes >= 3  # two children are over, and their parent is woken
        endings = await all_cells(board, around(calm.writes), victim="dispatcher")
        wrong = [each for place, ending in endings.items() for each in judge(ending, calm, place)]
        assert not wrong, "\n".join(wrong)
