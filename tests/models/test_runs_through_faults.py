"""Whole runs through each fault of the provider, with both SDKs on all wires: the end, the journal, the money."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, get_args

import anyio
import pytest

from callboard.app.guards import Guarding
from callboard.bus.messages import Usage
from callboard.config.guards import Breaker
from callboard.testing import Call, FakeProvider, Fault, Reply, Request, fake_provider
from callboard.testing.faults import InStream, Other, Refusal
from callboard.testing.loose import mapping
from callboard.tools.tool import tool
from tests.support.fleet import Fleet
from tests.support.provided import PRICE, PRICES, WIRES, Told, charged, codes, told, working

SYSTEM = "You know where things are. " * 300
"""Long enough for the prompt cache."""
GUARDING = Guarding(hosted=(), breaker=Breaker(mode="shadow"))
"""So much goes wrong here that every circuit would open."""
LOOK = Call("look", {"what": "the lamp on the table"})
NO_TEXT = 80
"""Tokens that an estimate may be too high by in a short answer."""
ANSWER = "It is on the table, where it always was, and it is on."


@tool(effect="pure")
def look(what: str) -> str:
    """Look it up."""
    return f"seen {what}"


def answer(request: Request) -> Reply:
    if request.turn == 0:
        return Reply("Let me look.", (LOOK,), thinking="Where may it be, that lamp of theirs?")
    return Reply(ANSWER, thinking="So it is on the table. How do I tell them that without thinking on?")


@dataclass(frozen=True)
class Case:
    """A fault, and what becomes of the run. ``problem``: of the attempt that failed; ``cut``: it had begun."""

    fault: Fault
    end: str = "completed"
    problem: str = ""
    cut: bool = False
    turn: int = 1

    @property
    def attempts(self) -> list[tuple[str, int]]:
        again = [("m2", 2)] if self.problem and self.end == "completed" else []
        return [("m1", 1), ("m2", 1), *again]


def cut(*kinds: Any, after: tuple[int | None, ...], problem: str) -> dict[str, Case]:
    return {
        f"{kind} after {at or 'all but the end'}": Case(Fault(kind, after=at), problem=problem, cut=True)
        for kind in kinds
        for at in after
    }


GROUPS = {
    "refused": {
        "rate": Case(Fault("rate"), problem="model_rate"),
        "rate, seconds": Case(Fault("rate", retry_after=0.1), problem="model_rate"),
        "rate, in words": Case(Fault("rate", message="Please try again in 120ms."), problem="model_rate"),
        "rate, milliseconds": Case(Fault("rate", retry_after=0.1, retry_form="ms"), problem="model_rate"),
        "rate, a date": Case(Fault("rate", retry_after=1, retry_form="date"), problem="model_rate"),
        "rate, nonsense": Case(Fault("rate", headers={"retry-after": "soon"}), problem="model_rate"),
        "rate, please retry": Case(Fault("rate", retry_after=0, should_retry=True), problem="model_rate"),
        "server error": Case(Fault("server_error"), problem="model_overload"),
        "bad gateway": Case(Fault("server_error", status=502), problem="model_overload"),
        "unavailable": Case(Fault("unavailable", retry_after=0.1), problem="model_overload"),
        "overloaded": Case(Fault("overloaded"), problem="model_overload"),
        "drop": Case(Fault("drop"), problem="model_network"),
    },
    "refused for good, or whole": {
        "rate, do not retry": Case(Fault("rate", should_retry=False), "model_rate", "model_rate"),
        "quota": Case(Fault("quota"), "model_quota", "model_quota"),
        "billing": Case(Fault("billing"), "model_quota", "model_quota"),
        "auth": Case(Fault("auth"), "model_auth", "model_auth"),
        "bad request": Case(Fault("bad_request"), "model_bad_request", "model_bad_request"),
        "context": Case(Fault("context"), "model_context", "model_context"),
        "retired": Case(Fault("retired"), "model_bad_request", "model_bad_request"),
        "slow": Case(Fault("slow", seconds=0.1)),
        "bad arguments": Case(Fault("bad_arguments"), turn=0),
        "cache miss": Case(Fault("cache_miss")),
    },
    "cut off": {
        **cut("drop", "truncate", after=(1, 12), problem="model_truncated"),
        **cut("truncate", after=(None,), problem="model_truncated"),
    },
    "wrong in the middle": {
        **cut("garble", after=(2, 12, None), problem="model_truncated"),
        **cut("error_event", after=(1, 12, None), problem="model_overload"),
        "error_event at once": Case(Fault("error_event", after=0), problem="model_overload"),
    },
    "silent": {
        "stall": Case(Fault("stall"), problem="model_network"),
        **cut("stall", after=(1, 12), problem="model_network"),
    },
}  # fmt: skip


def test_no_kind_of_fault_is_left_out() -> None:
    kinds = {kind for alias in (Refusal, InStream, Other) for kind in get_args(alias)}
    assert {case.fault.kind for group in GROUPS.values() for case in group.values()} == kinds


@dataclass(frozen=True)
class Play:
    """One run: the case, the agent (which is the model too), and what the run is asked."""

    name: str
    case: Case
    agent: str

    @property
    def task(self) -> str:
        return f"<{self.name}> Where is the lamp?"

    def asked(self, request: Request) -> bool:
        return request.model == self.agent and f"<{self.name}>" in str(mapping(request.body))

    def fault(self) -> Fault:
        """For the turn of the case: always, or if the run is to go on, once."""
        left: Iterator[int] = count() if self.case.end != "completed" else iter((1,))

        def hits(request: Request) -> bool:
            return self.asked(request) and request.turn == self.case.turn and next(left, None) is not None

        return replace(self.case.fault, at=hits)


@pytest.mark.parametrize("group", GROUPS)
async def test_runs_end_right_with_every_attempt_in_the_journal_and_cost_what_the_provider_bills(group: str) -> None:
    plays = [Play(name, case, agent) for name, case in GROUPS[group].items() for agent in WIRES]
    found: list[str] = []
    served = fake_provider(replies=answer, faults=[each.fault() for each in plays], prices=PRICES)
    agents = codes((look,), system=SYSTEM, model_attempts=3)
    stall = 2.0 if group == "silent" else 60.0
    async with served as server, working(agents, server.url, guarding=GUARDING, stall=stall) as board:

        async def run(play: Play) -> None:
            over = await told(board, await board.submit(play.agent, play.task))
            found.extend([f"{play.agent}, {play.name}: {each}" async for each in wrong(play, over, board, server)])

        async with anyio.create_task_group() as playing:
            for play in plays:
                playing.start_soon(run, play)
    assert not found, "\n".join(found)


async def wrong(play: Play, run: Told, board: Fleet, server: FakeProvider) -> Any:
    """What is not as it should be."""
    case, requests = play.case, [each for each in server.requests if play.asked(each)]
    if run.end != case.end:
        yield f"it ends as {run.end}"
    if case.end == "completed" and run.end == "completed" and run.state.terminal.result.value != ANSWER:
        yield f"its result is {run.state.terminal.result.value!r}"
    if [(each.call, each.attempt) for each in run.requested] != case.attempts or len(requests) != len(case.attempts):
        yield f"the journal has {run.requested}, the provider was asked {len(requests)} times"
    if [each.problem.kind for each in run.failed] != ([case.problem] if case.problem else []):
        yield f"its failures are {run.failed}"
    bills = [each.usd_micros for each in requests]
    cost = await charged(board, run, play.agent)
    if cost != sum(event.usage.cost_usd_micros for event in (*run.failed, *run.responded)):
        yield f"it costs {cost}, its events say otherwise"
    most = [each.reserved.usd_micros for each in run.requested]
    if any(bill > held for bill, held in zip(bills, most, strict=True)):
        yield f"it reserves {most}, the provider bills {bills}"
    over = cost - sum(bills)
    if case.cut:
        for each in wrong_of_cut(play, run.failed[0].usage, requests[1], over=over, most=most[1]):
            yield each
    elif over:
        yield f"it costs {cost}, the provider bills {bills}"


def wrong_of_cut(play: Play, used: Usage, request: Request, *, over: int, most: int) -> Iterator[str]:
    """Of the attempt that was cut off; all others are charged what is billed.

    The input is exact where the provider tells it when it begins (Anthropic), and so is the output once it tells that
    (all but the end had come). What it said since it told its output is an estimate, a token for two bytes: never less
    than what is billed, and not twice as much but for the names, the seals and the frames of blocks, which are no text.
    Behind a broken chunk the provider speaks on, until it sees that nobody listens: that cannot be known.
    """
    billed, speaks_on = request.tokens, play.case.fault.kind == "garble"
    if not request.usd_micros:
        yield "the answer had not begun"
    if over > most - request.usd_micros:
        yield f"it is charged {over} more than the provider bills, {most} were reserved"
    if play.agent != "claude":
        if over < 0:
            yield f"it is charged {-over} less than the provider bills"
        return
    counted = (used.input_tokens, used.cached_tokens, used.written_tokens)
    if counted != (billed.input, billed.cached, billed.written):
        yield f"its input is charged as {counted}, the provider bills {billed}"
    if play.case.fault.after is None and play.case.fault.kind != "stall" and over:
        yield f"it is charged {over} more than the provider, who has told all of it"
    if not (speaks_on or billed.output <= used.output_tokens) or used.output_tokens > 2 * billed.output + NO_TEXT:
        yield f"its output is charged as {used.output_tokens}, the provider bills {billed}"
    if over != (used.output_tokens - billed.output) * PRICE.output:
        yield f"it is charged {over} more than the provider bills, which is not for its output"
