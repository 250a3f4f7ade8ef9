"""``callboard budget``: costs that equal the ledger, caps that are set and raised while runs go on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

import anyio
from typer.testing import CliRunner, Result

from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.bus.ports import Balance
from callboard.cli.main import app
from callboard.tools.tool import tool
from tests.guards.budget.house import House, house, spender, turn, uses
from tests.guards.budget.test_budget_shared import month
from tests.support.bus import bus_url
from tests.support.fleet import function


@tool(effect="pure")
def look() -> str:
    """Look."""
    return "seen"


async def budget(board: House, *arguments: str, code: int = 0) -> Result:
    """``callboard budget …``."""
    where = ("--url", bus_url(), "--prefix", board.subjects.prefix)
    invoke = partial(CliRunner().invoke, app, ["budget", *arguments, *where], env={"COLUMNS": "200"})
    result = await anyio.to_thread.run_sync(invoke)
    assert result.exit_code == code, result.output
    return result


async def as_json(board: House, *arguments: str) -> dict:
    return json.loads((await budget(board, *arguments, "--json")).stdout)


def spenders(*, caps: dict | None = None) -> Sequence:
    shared = {"tenant": caps or {"usd": 5, "tool_calls": 100}}
    return (
        spender("thrifty", turn(), budget=shared),
        spender("busy", uses("look"), turn(), tools=(look,), budget=shared),
    )


async def test_costs_add_up_to_what_the_ledger_says_however_they_are_grouped():
    async with house(*spenders()) as board:
        for agent in ("thrifty", "busy", "busy"):
            await board.run(agent)
        await board.settled()
        shown = await as_json(board, "show")
        assert [(row["agent"], row["runs"], row["usd_micros"]) for row in shown["costs"]] == [
            ("busy", 2, 4_000),
            ("thrifty", 1, 1_000),
        ]
        ledger = {row["account"]: row for row in shown["accounts"]["ledger"]}
        assert ledger[month("tenant")]["spent"] == 5_000
        assert ledger[month("tenant")]["held"] == 0
        assert ledger[month("tenant", "tool_calls")]["spent"] == 2
        for by in ("tenant", "tool", "run", "tenant,agent,tool,run"):
            rows = (await as_json(board, "show", "--by", by))["costs"]
            assert sum(row["usd_micros"] for row in rows) == 5_000
            assert sum(row["tool_calls"] for row in rows) == 2
        tools = (await as_json(board, "show", "--by", "tool"))["costs"]
        assert [(row["tool"], row["model_calls"], row["tool_calls"]) for row in tools] == [
            ("scripted", 5, 0),
            ("look", 0, 2),
        ]
        csv = (await budget(board, "show", "--csv", "--by", "agent")).stdout
        assert csv.splitlines()[:2] == [
            "agent,runs,model_calls,tool_calls,input_tokens,output_tokens,usd",
            "busy,2,4,2,400,360,0.004000",
        ]
        table = (await budget(board, "show")).stdout
        assert "$0.0050" in table
        assert month("tenant") in table
        assert ledger[month("tenant")]["cap"] == 5_000_000
        assert ledger[month("tenant")]["left"] == 4_995_000
        assert "$4.9950" in table
        assert (await as_json(board, "show", "--agent", "nobody", "--since", "1h"))["costs"] == []


async def test_the_filters_hold_for_the_shared_budgets_too():
    agent = spender("a", turn(), budget={"tenant": {"usd": 5}, "agent": {"usd": 5}, "global": {"usd": 5}})
    async with house(agent) as board:
        key = await board.submit("a", "go")
        await board.over(key)
        await board.settled()
        await budget(board, "set", "tenant", "--usd", "7")
        mine, all_of_them = month("agent", agent="a"), {month("agent", agent="a"), month("tenant"), month("global")}

        async def shown(*only: str) -> tuple[set[str], int]:
            found = (await as_json(board, "show", *only))["accounts"]
            return {row["account"] for row in found["ledger"]}, len(found["set"])

        assert await shown() == (all_of_them, 1)
        assert await shown("--since", "40d") == (all_of_them, 1)
        assert await shown("--tenant", "default") == ({mine, month("tenant")}, 1)
        assert await shown("--tenant", "other") == (set(), 0)
        assert await shown("--agent", "a") == ({mine}, 0)
        assert await shown("--run", key.run) == (set(), 0)
        assert await shown("--tool", "look") == (set(), 0)
        rows = (await as_json(board, "show"))["accounts"]["ledger"]
        assert {row["account"]: row["cap"] for row in rows}[month("tenant")] == 7_000_000


async def test_the_counters_are_compared_with_the_journals_and_what_is_wrong_is_said_on_the_bus():
    async with house(*spenders()) as board:
        await board.run("busy")
        await board.settled()
        assert "2 accounts, 0 wrong" in (await budget(board, "audit")).stdout
        await board.bus.ledger.post("default", month("tenant"), Balance(1_000), once="again", note="")
        await board.bus.ledger.post("default", month("tenant", "tool_calls"), Balance(-1), once="lost", note="")
        wrong = (await budget(board, "audit", code=1)).stdout
        assert f"wrong: default: {month('tenant')} has counted $0.0030 and holds $0.00" in wrong
        assert "its runs have used $0.0020" in wrong
        assert f"{month('tenant', 'tool_calls')} has counted 0 tool calls" in wrong
        found = json.loads((await budget(board, "audit", "--json", code=1)).stdout)
        assert [(row["spent"], row["least"], row["most"]) for row in found["wrong"]] == [
            (0, 1, 1),
            (3_000, 2_000, 2_000),
        ]
        assert {each.reason.split()[0] for each in await board.said(2)} == {
            month("tenant"), month("tenant", "tool_calls")
        }  # fmt: skip


async def test_a_cap_that_is_set_while_workers_run_holds_at_once_until_it_is_raised():
    agent = spender("free", turn(), output=90)
    async with house(agent) as board:
        await budget(board, "set", "tenant", "--usd", "0.003")
        states = []
        with anyio.fail_after(20):
            while not states or states[-1].outcome == "completed":
                states.append(await board.run("free"))
        assert states[-1].terminal.problem.kind == "budget"
        assert (await board.bus.ledger.read("default", month("tenant"))).spent <= 3_000
        await budget(board, "top-up", "tenant", "--usd", "1")
        shown = await as_json(board, "show")
        assert shown["accounts"]["set"][0]["scope"] == ["default", "tenant"]
        with anyio.fail_after(20):
            while (await board.run("free")).outcome != "completed":
                pass
        await budget(board, "set", "tenant", "--clear")
        assert "budget" not in (await as_json(board, "show"))["accounts"]["set"][0]


async def test_a_run_that_waits_is_topped_up_and_one_that_is_over_is_not():
    @worker("patient")
    async def patient(task: object, run: RunContext) -> object:
        await run.signal("go")
        return None

    async with house(function(patient), *spenders()) as board:
        key = await board.submit("patient", "x")
        await board.until(key, lambda state: state.suspended)
        await budget(board, "top-up", key.run, "--usd", "1", "--model-calls", "5")
        state = await board.state(key)
        assert state.accounts.raised.usd_micros == 1_000_000
        assert state.accounts.raised.model_calls == 5
        over = await board.submit("thrifty", "x")
        await board.over(over)
        assert "is over" in (await budget(board, "top-up", over.run, "--usd", "1", code=2)).output
        assert "no run" in (await budget(board, "top-up", "nobody", "--usd", "1", code=2)).output


async def test_wrong_words_are_refused_with_what_to_write():
    async with house(workers=0) as board:
        assert "agent:NAME" in (await budget(board, "set", "everything", "--usd", "1", code=2)).output
        assert "--usd 20" in (await budget(board, "set", "global", code=2)).output
        assert "--usd 1" in (await budget(board, "top-up", "global", code=2)).output
        assert "--csv and --json" in (await budget(board, "show", "--csv", "--json", code=2)).output
        assert "tenant, agent" in (await budget(board, "show", "--by", "colour", code=2)).output
        assert "no runs" in (await budget(board, "show")).output
        assert await board.bus.ledger.accounts() == {}
        await budget(board, "set", "agent:writer", "--model-calls", "7", "--per", "day")
        await budget(board, "top-up", "global", "--usd", "1")
        await budget(board, "top-up", "global", "--usd", "1")
        rows = (await as_json(board, "show"))["accounts"]["set"]
        assert rows[0]["scope"] == ["_", "global"]
        assert all(each["usd_micros"] == 2_000_000 for each in rows[0]["more"].values())
        assert rows[1] == {"scope": ["default", "agent", "writer"], "budget": {"model_calls": 7, "per": "day"}}
        shown = (await budget(board, "show")).stdout.splitlines()
        assert "set at run time: default agent writer: 7 model calls a day" in shown
        assert any(line.startswith("set at run time: global: $2.0000 more in ") for line in shown)
        await budget(board, "set", "global", "--usd", "20", "--per", "month")
        this_month = month("global").rsplit("usd-", 1)[1]
        assert (
            f"set at run time: global: $20.00 a month · $2.0000 more in {this_month}"
            in (await budget(board, "show")).stdout.splitlines()
        )
