"""A run told in lines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from callboard.app.run_event import RunEvent
from callboard.bus.messages import (
    Amount,
    BudgetRaised,
    ChildFinished,
    ChildSpawned,
    Content,
    GuardDenied,
    ModelFailed,
    ModelLateUsage,
    ModelRequested,
    ModelResponded,
    Problem,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunKilled,
    RunPaused,
    RunReleased,
    RunResumed,
    RunSettled,
    RunSteered,
    RunSuspended,
    SignalReceived,
    TimerSet,
    ToolCall,
    ToolInDoubt,
    ToolLateResult,
    ToolRequested,
    ToolResolved,
    ToolReturned,
    UnknownEvent,
    Usage,
    Wait,
)
from callboard.cli.tables import age
from callboard.cli.teller import Teller, dollars, plain, short

T0 = datetime(2026, 11, 21, tzinfo=UTC)


def told(*events, teller: Teller | None = None) -> list[str]:
    teller = teller or Teller()
    lines = [teller.tell(RunEvent(n, T0 + timedelta(seconds=n), event)) for n, event in enumerate(events)]
    return [f"{line.sign} {line.text}" for line in lines if line is not None]


def test_a_run_is_told_from_its_beginning_to_its_end() -> None:
    teller = Teller()
    lines = told(
        RunCreated(agent="calc", input=Content(value="2+2"), at=T0),
        RunClaimed(task=1, worker="w1"),
        ModelRequested(call="m1", model="scripted"),
        ModelResponded(
            call="m1",
            tool_calls=(ToolCall(id="t1", name="add", arguments={"a": 2}),),
            usage=Usage(input_tokens=1_000, output_tokens=234, cost_usd_micros=1_500),
        ),
        ToolRequested(call="t1", tool="add"),
        ToolReturned(call="t1", result=Content(value=4)),
        RunClaimed(task=2, worker="w2"),
        RunCompleted(),
        teller=teller,
    )
    assert lines == [
        "▶ calc  2+2", "✓ model  calls add  1234 tokens", "✓ add(a=2)  → 4", "↻ taken up by w2", "✓ calc done",
    ]  # fmt: skip
    assert (teller.turns, teller.tokens, dollars(teller.cost_usd_micros)) == (1, 1_234, "$0.0015")
    assert teller.open == {}


def test_what_is_out_of_the_ordinary_has_its_own_sign() -> None:
    lines = told(
        RunCreated(agent="lead", at=T0),
        ModelFailed(call="m1", problem=Problem(kind="rate", message="slow down"), retry_at=T0),
        ModelFailed(call="m1", problem=Problem(kind="auth", message="no key"), retry_at=T0, left="for_good"),
        ModelRequested(call="m1", attempt=3, model="b/x", entry=1, instead="the circuit of a/x is open"),
        ToolReturned(call="t0", problem=Problem(kind="unknown_tool", message="no")),
        ToolInDoubt(call="pay", policy="ask"),
        ToolResolved(call="pay", decision="done", by="ada"),
        TimerSet(timer="nap", at=T0),
        TimerSet(timer="deadline", at=T0),
        ChildSpawned(child="c1", call="t1", agent="finder", input=Content(value="look")),
        RunSuspended(waits=((Wait(kind="child", name="c1"),), (Wait(kind="timer", name="deadline"),))),
        ChildFinished(child="c1", outcome="failed"),
        RunSteered(text="left", by="bob"),
        SignalReceived(name="go", value={"a": 1}),
        RunReleased(reason="w1 is leaving"),
        UnknownEvent(type="brand.new"),
        ToolLateResult(call="t9", result=Content(value=1)),
        RunSettled(running=("t9",)),
    )
    assert lines == [
        "▶ lead  null",
        "✗ model: rate: slow down; it is called again",
        "✗ model: auth: no key; the next model is asked",
        "⇄ goes on with b/x: the circuit of a/x is open",
        "✗ t0  unknown_tool: no",
        "? pay is in doubt; somebody must say what became of it",
        "! pay: ada says done",
        "⏲ nap until 00:00:00Z",
        "↳ finder  look",
        "⏸ waits for finder",
        "↲ finder failed",
        "✎ note from bob: left",
        '✉ go = {"a": 1}',
        "⇄ released: w1 is leaving",
        "· t9 returned after the end: 1",
        "· the worker has stopped everything, still running: t9",
    ]


def test_the_ends_say_why() -> None:
    failed = RunFailed(problem=Problem(kind="turns", message="used up", hint="raise limits.turns"))
    assert told(RunCreated(agent="a", at=T0), failed)[1] == "✗ a failed: turns: used up (raise limits.turns)"
    assert told(RunKilled(reason="enough", by="ada")) == ["■ killed by ada: enough"]


def test_what_a_guard_does_is_told_as_its_deed() -> None:
    over = Problem(kind="budget", message="it has used $1.93 of $2.00", hint="top up")
    later = T0 + timedelta(hours=3)
    lines = told(
        RunCreated(agent="a", at=T0),
        RunSteered(text="you have asked this 12 times", by="guard:loop", guard="loop"),
        GuardDenied(guard="budget", call="m7", problem=over, wrap_up=True),
        GuardDenied(
            guard="breaker", call="m8", problem=Problem(kind="circuit_open", message="it fails"), retry_at=later
        ),
        GuardDenied(guard="budget", call="m9", problem=over),
        ToolReturned(call="t1", problem=Problem(kind="denied", message="the same call again")),
        RunPaused(name="guard-taint", reason="look at this", by="guard:taint", guard="taint"),
        RunPaused(name="audit", by="ada", until=later),
        RunPaused(name="above-1", by="ada", reason="it is late", parent="r0"),
        RunResumed(name="audit", by="ada"),
        BudgetRaised(more=Amount(usd_micros=500_000, input_tokens=1_000, output_tokens=2, model_calls=3, tool_calls=4)),
        BudgetRaised(more=Amount(), by="ada"),
        RunFailed(problem=over, guard="budget", partial=Content(value="three of five are done")),
    )
    assert lines == [
        "▶ a  null",
        "✎ nudged by guard loop: you have asked this 12 times",
        "⊘ denied by guard budget: it has used $1.93 of $2.00; one more turn, to wrap up",
        "⊘ denied by guard breaker: it fails; asked again at 03:00:00Z",
        "⊘ denied by guard budget: it has used $1.93 of $2.00",
        "⊘ t1  denied: the same call again",
        "⏸ paused by guard taint: look at this",
        "⏸ paused by ada until 03:00:00Z: no reason",
        "⏸ paused with its parent by ada: it is late",
        "▶ resumed by ada",
        "+ budget raised by somebody: $0.5000 · 1,000 input tokens · 2 output tokens · 3 model calls · 4 tool calls",
        "+ budget raised by ada: nothing",
        "✗ a failed: budget: it has used $1.93 of $2.00 (top up); it left a partial result: three of five are done",
    ]
    assert told(RunKilled(reason="round in circles", by="guard:loop", guard="loop")) == [
        "■ killed by guard loop: round in circles"
    ]


def test_a_run_that_is_held_says_what_it_waits_for() -> None:
    waits = (Wait(kind="go", name="guard-budget"), Wait(kind="signal", name="yes"), Wait(kind="child", name="c9"))
    assert told(RunSuspended(waits=(waits,))) == ["⏸ waits for the end of the pause guard-budget, signal yes, c9"]


def test_what_failed_and_what_came_late_is_counted_too() -> None:
    teller, used = Teller(), Usage(input_tokens=10, output_tokens=1, cost_usd_micros=100)
    told(
        ModelFailed(call="m1", problem=Problem(kind="network", message="gone"), usage=used),
        ModelResponded(call="m2", usage=used),
        RunKilled(),
        ModelLateUsage(call="m3", usage=used),
        teller=teller,
    )
    assert (teller.turns, teller.tokens, teller.cost_usd_micros) == (1, 33, 300)


def test_ages_have_one_unit() -> None:
    assert [age(value) for value in (0.0, 7.4, 75.0, 7_300.0, 90_000.0)] == ["1 s", "7 s", "1 min", "2 h", "1 d"]


@given(st.text())
def test_no_text_can_move_the_cursor_or_grow_beyond_its_width(text: str) -> None:
    assert all(letter.isprintable() or letter in "\n\t" for letter in plain(text))
    assert len(short(text, 20)) <= 20
    assert "\n" not in short(text, 20)
