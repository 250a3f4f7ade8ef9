"""Whatever dies, and wherever: no reservation is left, and ledger, journals and the provider's bill agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.budget.crashing import storm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


async def test_after_many_crashes_no_reservation_is_left_and_the_books_agree(tmp_path: Path):
    books = await storm(tmp_path, crashes=20)
    assert books.crashes >= 20
    assert not books.violations()
    assert books.own.model_calls > 50


@pytest.mark.parametrize("mutant", ["release_what_crashed", "no_take_over"])
async def test_a_budget_that_forgets_what_crashed_is_caught(mutant: str, tmp_path: Path):
    books = await storm(tmp_path, crashes=8, runs=10, mutant=mutant)
    assert books.violations()
