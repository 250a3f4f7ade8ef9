"""Agents with an ``output``, through the real SDKs: the provider is told natively, and a wrong answer is repaired."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import BaseModel, Field, field_validator

from callboard.app.outputs import schema_of
from callboard.testing import Call, Reply, Request, fake_provider
from callboard.tools.tool import tool
from tests.models.test_output_wires import wanted
from tests.support.provided import PRICES, WIRES, charged, codes, told, working


class Invoice(BaseModel):
    number: str = Field(min_length=2)
    total: int = Field(ge=0)
    note: str | None = None

    @field_validator("number")
    @classmethod
    def _known(cls, value: str) -> str:
        if not value.startswith("R"):
            raise ValueError("numbers begin with R")
        return value


GOOD = '{"number": "R7", "total": 42, "note": null}'
WRONG = '{"number": "7x", "total": 42, "note": null}'


@tool(effect="pure")
def total() -> int:
    """The total."""
    return 42


AGENTS = {
    name: replace(code, spec=code.spec.model_copy(update={"output": schema_of(Invoice)}), output=Invoice)
    for name, code in codes((total,)).items()
}


def answers(request: Request) -> Reply:
    """By what is asked: right at once, right after a repair, never."""
    text = str(request.body)
    if "with a tool" in text and request.turn == 0:
        return Reply("let me see", calls=(Call("total"),))
    right = "repair" not in text and "never" not in text
    return Reply(GOOD if right or ("repair" in text and "numbers begin with R" in text) else WRONG)


@pytest.mark.parametrize("agent", WIRES)
async def test_an_answer_is_data_at_once_or_repaired_or_the_run_fails(agent: str):
    async with (
        fake_provider(replies=answers, prices=PRICES) as server,
        working(AGENTS, server.url) as board,
    ):
        asked: dict[str, int] = {}
        for given in ("with a tool", "repair it", "never"):
            before = len(server.requests)
            run = await told(board, await board.submit(agent, given))
            asked[given] = len(server.requests) - before
            assert all(each.status == 200 for each in server.requests), "nothing is refused"
            if given == "never":
                assert (run.end, len(run.state.rejected)) == ("bad_output", 2)
                assert run.state.terminal.partial.value == WRONG
            else:
                assert run.end == "completed", run.state.terminal
                assert run.state.terminal.result.value == {"number": "R7", "total": 42, "note": None}
            assert await charged(board, run, agent) > 0
        assert asked == {"with a tool": 2, "repair it": 2, "never": 3}
        formats = [wanted(each.wire, dict(each.body)) for each in server.requests]
        assert all(each is not None and each["type"] == "json_schema" for each in formats)
        assert all(each == formats[0] for each in formats), "the same all the time: prompt caches go by it"
