"""A guard asked before an effect says what it would say of the journal with that effect in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from callboard.actors.fold import EMPTY, replay
from callboard.actors.gate import Ask
from callboard.actors.identity import idempotency_key
from callboard.bus.guard_words import Action, Missing
from callboard.bus.messages import (
    Content,
    ModelRequested,
    ModelResponded,
    Record,
    RunPaused,
    RunResumed,
    ToolCall,
    ToolRequested,
    ToolReturned,
)
from callboard.bus.subjects import RunKey
from callboard.config.guards import CustomGuard, GuardSettings, LoopSettings, StuckSettings
from callboard.config.spec import AgentSpec, ToolSpec
from callboard.guards.hosted import missing_of
from callboard.guards.kit import Guard, Seen, Verdict
from callboard.guards.preview import Previewer, ahead, event_id, intent_of, said, seconds_left, seen_in
from tests.support.journals import T0, at, claimed, few, journal, journals

KEY = RunKey("t1", "r1")
SPEC = AgentSpec(name="a", tools=(ToolSpec(name="book", effect="critical", in_doubt="ask"),))


def ask(kind: Any = "tool", call: str = "t1", **fields: Any) -> Ask:
    return Ask(KEY, SPEC, fields.pop("state", EMPTY), kind, call, fields.pop("attempt", 1), fields.pop("name", "book"),
        **fields)  # fmt: skip


class Weaver(Guard[int]):
    """Everything that it has seen matters for all that it says later."""

    name = "weaver"
    gates = True

    def start(self, run: RunKey) -> int:
        return 7

    def observe(self, state: int, seen: Seen) -> tuple[int, Sequence[Verdict]]:
        for word in (seen.event.type, getattr(seen.event, "call", ""), seen.owner, str(seen.sequence), str(seen.place)):
            state = (state * 31 + sum(word.encode())) % 1_000_003
        return state, (Verdict(("warn", "throttle", "deny", "kill")[state % 4], str(state)),)


@dataclass
class Says(Guard[int]):
    """Counts, and says ``action`` from the ``after``-th intent on."""

    action: Action
    after: int = 1
    call: str = ""
    missing: Missing = "open"  # type: ignore[misc]
    breaks: bool = False
    name = "says"
    gates = True

    def start(self, run: RunKey) -> int:
        return 0

    def observe(self, state: int, seen: Seen) -> tuple[int, Sequence[Verdict]]:
        if not isinstance(seen.event, ToolRequested | ModelRequested):
            return state, ()
        if self.breaks:
            raise ZeroDivisionError
        return state + 1, (Verdict(self.action, "enough", call=self.call),) if state + 1 >= self.after else ()


def previewer(guard: Guard[Any], **fields: Any) -> Previewer:
    return Previewer(guard.name, guard, fields.get("mode", "enforce"), guard.missing, guard.start(KEY))


def verdict_on(guard: Previewer, asked: Ask, last: int = 0) -> Verdict | None:
    judged = guard.judge(asked.call, ahead(asked, last, T0))
    return None if judged is None else judged.verdict


@few
@given(journals)
def test_a_guard_says_before_an_intent_what_it_says_of_the_intent_once_it_is_written(entries):
    beside, asked, state = Weaver(), previewer(Weaver()), 7
    for entry in entries:
        seens = () if entry.record is None else tuple(seen_in(KEY, entry.sequence, entry.record, at=T0))
        for seen in seens:
            state, verdicts = beside.observe(state, seen)
            match seen.event:
                case ModelRequested(call=call):
                    kind = "model"
                case ToolRequested(call=call):
                    kind = "tool"
                case _:
                    continue
            owned, pending = EMPTY.evolve(owner=seen.owner), entry.record.events[: seen.place]
            before = verdict_on(asked, ask(kind, call, state=owned, pending=pending), entry.sequence - 1)
            assert before == (None if verdicts[0].action == "warn" else verdicts[0])
        for seen in seens:
            asked.see(seen)
    assert asked.state == state


def test_what_would_be_written_is_one_entry_behind_the_last_with_the_intent_as_its_end():
    pending = (ModelResponded(call="m1", tool_calls=(ToolCall(id="t1", name="book"),)),)
    seens = ahead(ask(pending=pending, state=EMPTY.evolve(owner="o1")), 4, T0)
    intent = ToolRequested(call="t1", tool="book", effect="idempotent", key=idempotency_key(KEY, "t1"), in_doubt="ask")
    assert [(seen.sequence, seen.place, seen.event, seen.owner) for seen in seens] == [
        (5, 0, pending[0], "o1"), (5, 1, intent, "o1")]  # fmt: skip


def test_the_intent_of_an_ask_is_the_one_that_is_written():
    assert intent_of(ask("model", "m1", name="p/m", attempt=2, wrap_up=True)) == ModelRequested(
        call="m1", attempt=2, model="p/m", wrap_up=True
    )
    steps = [intent_of(ask("step", "s#1", name="s", effect=effect)) for effect in ("critical", "at_most_once")]
    assert [(step.tool, step.in_doubt) for step in steps] == [("s", "ask"), ("s", "continue")]
    assert intent_of(ask(name="unknown")).in_doubt == "continue"


@pytest.mark.parametrize("action", ["throttle", "deny", "pause", "kill"])
def test_a_gate_hears_what_can_hold_an_effect_and_keeps_nothing_of_it(action):
    guard = previewer(Says(action, after=2))
    assert verdict_on(guard, ask()) is None
    assert verdict_on(guard, ask()) is None
    guard.see(seen_of(ToolRequested(call="t0", tool="book")))
    assert verdict_on(guard, ask()).action == action
    assert guard.state == 1


@pytest.mark.parametrize("action", ["observe", "warn", "nudge"])
def test_what_cannot_hold_an_effect_is_left_to_the_sidecar(action):
    assert verdict_on(previewer(Says(action)), ask()) is None


def test_a_verdict_that_names_a_call_counts_for_that_call_alone_until_it_has_its_outcome():
    guard = previewer(Says("deny", call="t1"))
    guard.see(seen_of(ModelRequested(call="m1")))
    assert verdict_on(guard, ask(call="t1")).action == "deny"
    assert verdict_on(guard, ask(call="t2")) is None
    guard.see(seen_of(ToolReturned(call="t1", result=Content(value=1))))
    guard.guard.after = 99
    assert verdict_on(guard, ask(call="t1")) is None


def test_the_strongest_verdict_counts():
    guard = previewer(Says("throttle", call="t1"))
    guard.see(seen_of(ModelRequested(call="m1")))
    guard.guard.action = "deny"
    assert verdict_on(guard, ask(call="t1")).action == "deny"


@pytest.mark.parametrize(("missing", "action"), [("open", "warn"), ("closed", "deny")])
def test_a_guard_that_raises_fails_as_it_says(missing, action):
    guard = previewer(Says("kill", missing=missing, breaks=True))
    guard.see(seen_of(ToolRequested(call="t0", tool="book")))
    judged = guard.judge("t1", ahead(ask(), 1, T0))
    assert (judged.verdict.action, judged.verdict.reason) == (action, "guard says failed: ZeroDivisionError()")


def test_an_open_guard_that_raises_at_every_call_says_so_once_and_lets_all_of_them_start():
    guard = previewer(Says("kill", breaks=True))
    assert verdict_on(guard, ask(call="t1")).action == "warn"
    assert [verdict_on(guard, ask(call=call)) for call in ("t1", "t2", "t3")] == [None, None, None]


def test_a_closed_guard_that_raises_denies_every_call():
    guard = previewer(Says("kill", missing="closed", breaks=True))
    assert [verdict_on(guard, ask(call=call)).action for call in ("t1", "t2", "t3")] == ["deny"] * 3


def test_a_pause_that_was_ended_is_not_said_again_of_the_next_effect_but_of_the_one_after_it():
    guard = previewer(Says("pause"))
    assert verdict_on(guard, ask()).action == "pause"
    guard.see(seen_of(RunPaused(name="guard-says")))
    guard.see(seen_of(RunResumed(name="me")))
    assert verdict_on(guard, ask()).action == "pause"
    guard.see(seen_of(RunResumed(name="guard-says")))
    assert verdict_on(guard, ask()) is None
    guard.see(seen_of(ToolRequested(call="t1", tool="book")))
    assert verdict_on(guard, ask(call="t2")).action == "pause"


def test_a_pause_that_ended_by_itself_is_not_said_again_of_the_next_effect():
    guard = previewer(Says("pause"))
    guard.see(seen_of(RunPaused(name="guard-says", until=at(5))))
    assert guard.judge("t1", ahead(ask(), 1, at(4))).verdict.action == "pause"
    assert guard.judge("t1", ahead(ask(), 1, at(5))) is None


def test_what_a_gate_did_has_the_same_id_however_often_it_is_asked():
    judged = previewer(Says("deny")).judge("t1", ahead(ask(), 6, T0))
    event = said(ask(), judged, at=at(1), sequence=6)
    assert (event.guard, event.action, event.acted, event.run, event.agent, event.call, event.sequence) == (
        "says", "deny", True, "r1", "a", "t1", 6)  # fmt: skip
    assert event.id == said(ask(), judged, at=at(9), sequence=8).id
    others = {event_id(ask(attempt=2), "says", "deny"), event_id(ask(call="t2"), "says", "deny")}
    assert len({*others, event.id, event_id(ask(), "other", "deny"), event_id(ask(), "says", "kill")}) == 5


def test_in_shadow_a_gate_only_says():
    judged = previewer(Says("deny"), mode="shadow").judge("t1", ahead(ask(), 6, T0))
    assert not judged.acts
    assert not said(ask(), judged, at=T0, sequence=6).acted


def test_the_time_that_is_left_is_that_of_the_deadline():
    running = replay(journal(claimed(deadline=T0 + timedelta(seconds=9))))
    assert seconds_left(ask(state=running), T0) == 9
    assert seconds_left(ask(state=running), at(10)) == 0
    assert seconds_left(ask(state=replay(journal(claimed()))), T0) == float("inf")
    assert seconds_left(ask(), T0) == float("inf")


def test_a_guard_is_closed_if_it_is_configured_so_or_else_if_its_class_says_so():
    settings = GuardSettings(
        loop=LoopSettings(missing="closed"),
        stuck=StuckSettings(missing="closed"),
        custom={"one": CustomGuard(use="a:B", missing="closed"), "two": CustomGuard(use="a:B")},
    )
    spec, guard = AgentSpec(name="a", guards=settings), Says("deny")
    assert [missing_of(spec, name, guard) for name in ("loop", "stuck", "one", "two", "mine")] == [
        "closed", "closed", "closed", "open", "open"]  # fmt: skip


def test_an_entry_is_seen_event_by_event_at_the_time_that_its_record_says():
    events = (ModelRequested(call="m1"), ToolRequested(call="t1", tool="book"))
    seens = tuple(seen_in(KEY, 4, Record(id="i", owner="o1", at=at(4), events=events), at=T0))
    assert [(seen.place, seen.event, seen.at, seen.record) for seen in seens] == [
        (0, events[0], at(4), "i"), (1, events[1], at(4), "i")]  # fmt: skip


def seen_of(event: Any) -> Seen:
    return Seen(KEY, 1, T0, event, "o1")
