"""Several gates as one: all or nothing."""

from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.actors.fold import EMPTY
from callboard.actors.gate import GRANT, Answer, Ask, Ending, Grant, Refusal
from callboard.actors.passage import Passage, answer_of, ended
from callboard.actors.state import RunState
from callboard.bus.messages import Amount, Problem, Record, RunSteered
from callboard.bus.subjects import RunKey
from callboard.clock import SystemClock
from callboard.config.spec import AgentSpec
from callboard.guards.chain import Chain

KEY = RunKey("t1", "r1")
ASK = Ask(KEY, AgentSpec(name="a"), EMPTY, "tool", "c1", 1, "search")
NO = Refusal("strict", Problem(kind="denied", message="no"))


@dataclass
class Scripted:
    """A gate that answers what it is told to, after ``wait`` is set, and remembers what it was told."""

    answer: Answer | Exception = Grant()
    wait: anyio.Event | None = None
    breaks: bool = False
    log: list[Any] = field(default_factory=list)

    def enter(self, key: RunKey) -> "Scripted":
        self.log.append(key)
        return self

    def folded(self, sequence: int, record: Record | None) -> None:
        self.log.append((sequence, record))

    async def admit(self, ask: Ask) -> Answer:
        self.log.append("asked")
        if self.wait is not None:
            await self.wait.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def done(self, ask: Ask, grant: Grant, ending: Ending) -> None:
        await anyio.lowlevel.checkpoint()  # a cancelled scope would end it here
        self.log.append((grant, ending.how))
        if self.breaks:
            raise RuntimeError("broken")

    async def leave(self, state: RunState) -> None:
        self.log.append(state)


class Prompt(Scripted):
    """One that need not wait."""

    def admit(self, ask: Ask) -> Answer:  # type: ignore[override]
        self.log.append("asked")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def done(self, ask: Ask, grant: Grant, ending: Ending) -> None:  # type: ignore[override]
        self.log.append((grant, ending.how))
        if self.breaks:
            raise RuntimeError("broken")


@dataclass
class Numbered:
    """A gate by its number, that ``waits`` or does not, and does what its kind says."""

    kind: str
    shared: list[Any]
    at: int

    def enter(self, key: RunKey) -> "Numbered":
        return self

    def folded(self, sequence: int, record: Record | None) -> None:
        """It does not look."""

    def admit(self, ask: Ask) -> Answer:
        self.shared.append(self.at)
        if self.kind == "raises":
            raise RuntimeError("broken")
        return NO if self.kind == "refuses" else Grant(Amount(usd_micros=self.at))

    def done(self, ask: Ask, grant: Grant, ending: Ending) -> None:
        assert grant.reserved.usd_micros == self.at
        self.shared.append((self.at, ending.how))
        if self.kind == "breaks":
            raise RuntimeError("broken")

    async def leave(self, state: RunState) -> None:
        """Nothing is left."""


class Waiting(Numbered):
    """The same, after a moment."""

    async def admit(self, ask: Ask) -> Answer:  # type: ignore[override]
        await anyio.lowlevel.checkpoint()
        return super().admit(ask)

    async def done(self, ask: Ask, grant: Grant, ending: Ending) -> None:  # type: ignore[override]
        await anyio.lowlevel.checkpoint()
        super().done(ask, grant, ending)


few = settings(max_examples=60)
scripts = st.lists(
    st.tuples(st.sampled_from(["grants", "grants", "breaks", "refuses", "raises"]), st.booleans()), max_size=5
)


def made(kind: str, log: list[Any], at: int, *, waits: bool) -> Numbered:
    return (Waiting if waits else Numbered)(kind, log, at)


def reserving(micros: int) -> Scripted:
    return Scripted(Grant(Amount(usd_micros=micros, model_calls=1)))


@pytest.mark.parametrize("kind", [Scripted, Prompt])
async def test_a_part_that_does_not_mind_how_it_goes_is_not_told(kind):
    parts = [kind(GRANT), kind(Grant(Amount(usd_micros=5))), kind(GRANT)]
    gate = Chain(parts).enter(KEY)
    granted = await answer_of(gate, ASK)
    assert isinstance(granted, Grant)
    assert granted.reserved == Amount(usd_micros=5)
    await ended(gate, ASK, granted, Ending("done"))
    assert [part.log[2:] for part in parts] == [[], [(Grant(Amount(usd_micros=5)), "done")], []]


@pytest.mark.parametrize("kind", [Scripted, Prompt])
async def test_a_chain_of_those_that_do_not_mind_does_not_mind_either(kind):
    parts = [kind(GRANT), kind(GRANT)]
    gate = Chain(parts).enter(KEY)
    assert await answer_of(gate, ASK) is GRANT
    await ended(gate, ASK, GRANT, Ending("done"))
    assert [part.log[2:] for part in parts] == [[], []]


async def test_a_chain_enters_all_and_lets_all_see_every_entry():
    parts = [Scripted(), Scripted()]
    record = Record(id="x", events=(RunSteered(text="hi"),))
    gate = Chain(parts).enter(KEY)
    gate.folded(7, record)
    gate.folded(8, None)
    assert [part.log for part in parts] == [[KEY, (7, record), (8, None)]] * 2


async def test_a_chain_that_is_left_tells_all_its_parts():
    parts = [Scripted(), Scripted()]
    await Chain(parts).enter(KEY).leave(EMPTY)
    assert [part.log for part in parts] == [[KEY, EMPTY]] * 2


def test_a_chain_of_those_that_need_not_wait_answers_at_once():
    parts = [Prompt(Grant(Amount(usd_micros=5))), Prompt(), Prompt(Grant(Amount(usd_micros=7)))]
    gate = Chain(parts).enter(KEY)
    answer = gate.admit(ASK)
    assert isinstance(answer, Grant)
    assert answer.reserved == Amount(usd_micros=12)
    assert gate.done(ASK, answer, Ending("done")) is None
    assert [part.log[1:] for part in parts] == [["asked", (part.answer, "done")] for part in parts]


@few
@given(parts=scripts)
async def test_whoever_waits_a_chain_asks_in_order_and_tells_each_that_granted_once(parts: list[tuple[str, bool]]):
    log: list[Any] = []
    gates = [made(kind, log, at, waits=waits) for at, (kind, waits) in enumerate(parts)]
    stops = next((at for at, (kind, _) in enumerate(parts) if kind in ("refuses", "raises")), None)
    chain = Chain(gates).enter(KEY)
    if stops is not None:
        answer = None
        with suppress(RuntimeError):
            answer = await answer_of(chain, ASK)
        broken = parts[stops][0] == "raises" or any(kind == "breaks" for kind, _ in parts[:stops])
        assert answer == (None if broken else NO)
        told = [(at, "unstarted") for at in reversed(range(stops))]
        assert log == [*range(stops + 1), *told]
        return
    answer = await answer_of(chain, ASK)
    assert isinstance(answer, Grant)
    breaks = any(kind == "breaks" for kind, _ in parts)
    with pytest.raises(RuntimeError, match="broken") if breaks else nullcontext():
        await ended(chain, ASK, answer, Ending("done"))
    assert log == [*range(len(parts)), *((at, "done") for at in reversed(range(len(parts))))]


async def test_a_grant_of_a_chain_reserves_what_its_parts_reserve_and_each_gets_its_own_back():
    parts = [reserving(5), Scripted(), reserving(7)]
    gate = Chain(parts).enter(KEY)
    answer = await gate.admit(ASK)
    assert isinstance(answer, Grant)
    assert answer.reserved == Amount(usd_micros=12, model_calls=2)
    await gate.done(ASK, answer, Ending("done"))
    assert [part.log[-1] for part in parts] == [(part.answer, "done") for part in parts]


async def test_the_first_refusal_wins_and_what_was_granted_before_it_never_happened():
    first, second, third = reserving(5), Scripted(NO), Scripted()
    assert await Chain([first, second, third]).enter(KEY).admit(ASK) == NO
    assert first.log[1:] == ["asked", (first.answer, "unstarted")]
    assert second.log[1:] == ["asked"]
    assert third.log[1:] == []


async def test_what_was_granted_is_given_back_when_a_later_gate_is_cancelled_while_it_waits():
    first, second = reserving(5), Scripted(wait=anyio.Event())
    with anyio.move_on_after(0.01):
        await Chain([first, second]).enter(KEY).admit(ASK)
    assert first.log[1:] == ["asked", (first.answer, "unstarted")]


async def test_what_was_granted_is_given_back_when_a_later_gate_breaks():
    first, second = reserving(5), Scripted(RuntimeError("broken"))
    with pytest.raises(RuntimeError, match="broken"):
        await Chain([first, second]).enter(KEY).admit(ASK)
    assert first.log[1:] == ["asked", (first.answer, "unstarted")]


async def test_all_hear_of_the_end_although_one_breaks():
    parts = [Scripted(breaks=True), Scripted()]
    gate = Chain(parts).enter(KEY)
    answer = await gate.admit(ASK)
    assert isinstance(answer, Grant)
    with pytest.raises(RuntimeError, match="broken"):
        await gate.done(ASK, answer, Ending("failed"))
    assert [part.log[-1] for part in parts] == [(Grant(), "failed")] * 2


async def test_each_gate_hears_when_what_it_granted_begins():
    begun: list[str] = []

    @dataclass(frozen=True, slots=True)
    class Said(Grant):
        name: str = ""

        def begin(self) -> None:
            begun.append(self.name)

    gate = Chain([Scripted(Said(name="first")), Scripted(), Scripted(Said(name="last"))]).enter(KEY)
    grant = await answer_of(gate, ASK)
    assert isinstance(grant, Grant)
    async with Passage(gate, ASK, grant, SystemClock()) as passage:
        assert begun == []
        passage.start()
        assert begun == ["first", "last"]
