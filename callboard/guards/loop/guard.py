"""Pure: the loop guard: turns in, what is said about them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Final

from callboard.bus.guard_words import Missing
from callboard.bus.messages import (
    TERMINAL,
    ChildFinished,
    ChildSpawned,
    Content,
    ContextRelieved,
    Event,
    ModelRequested,
    ModelResponded,
    Problem,
    RunClaimed,
    RunCreated,
    RunSteered,
    SignalReceived,
    ToolRequested,
    ToolResolved,
    ToolReturned,
)
from callboard.bus.subjects import RunKey
from callboard.config.guards import LoopSettings
from callboard.guards.kit import Guard, Seen, Verdict
from callboard.guards.loop.declared import kind_of, kinds_in, sleeps
from callboard.guards.loop.fingerprint import asking_of, digest, outcome_of, said_in, text_key
from callboard.guards.loop.ladder import climb, heard, nudged
from callboard.guards.loop.lineage import circle
from callboard.guards.loop.plain import canonical
from callboard.guards.loop.repetition import repeated
from callboard.guards.loop.signals import Fired, answered_alike
from callboard.guards.loop.state import Asked, Count, Ladder, LoopState, Memory, Streak, Turn
from callboard.guards.loop.streaks import after, heard_again, spoken, written_anew
from callboard.guards.loop.verbs import thinks
from callboard.guards.loop.weigh import weigh
from callboard.guards.loop.weighed import NEWS, WAITED, Weighed
from callboard.guards.loop.worth import SURE

Said = tuple[LoopState, Sequence[Verdict]]
_CIRCLES: Final = 2
_TOO_MANY_CIRCLES: Final = 3
_SENTENCE: Final = 24
"""Characters. Shorter answers may be the same for ever: "Noted."."""
_SCRIPTED: Final = 2
_SCRIPT: Final = 2
"""A person may ask in the same words so many times as often as the model may do the same."""
_DENIED: Final = "denied"
"""The problem of a call that a gate refused."""


class LoopGuard(Guard[LoopState]):
    """Nudges a run that brings nothing new, denies its exact repeats, and kills it if it goes on all the same."""

    name: ClassVar[str] = "loop"
    missing: ClassVar[Missing] = "open"
    gates: ClassVar[bool] = True

    def __init__(self, settings: LoopSettings | None = None) -> None:
        self._settings = LoopSettings() if settings is None else settings

    def start(self, run: RunKey) -> LoopState:  # noqa: ARG002 - all runs begin alike
        """A run of which nothing was seen."""
        return LoopState()

    def wakes(self, event: Event) -> bool:
        """It denies nothing before the model was told."""
        return isinstance(event, RunSteered) and event.guard == self.name

    def observe(self, state: LoopState, seen: Seen) -> Said:
        """The next state, and what there is to say. What a fenced owner wrote, or comes after the end, is nothing."""
        event = seen.event
        if state.over or (seen.owner and state.owner and seen.owner != state.owner and event.type != "run.claimed"):
            return state, ()
        match event:
            case ModelResponded(purpose="turn"):
                return self._responded(state, event, seen)
            case ToolRequested():
                return self._requested(state, event)
            case ToolReturned():
                return self._outcome(state, event.call, seen, result=event.result, problem=event.problem)
            case ChildSpawned():
                return self._spawned(state, event, seen)
            case ChildFinished():
                return self._joined(state, event, seen)
            case RunCreated():
                return self._created(event, seen)
            case RunClaimed():
                return replace(state, owner=seen.owner, turn=_again(state.turn)), ()
            case ModelRequested(purpose="turn"):
                told = state.ladder.heard
                return (state if state.told == told else replace(state, told=told)), ()
            case _:
                return self._beside(state, event, seen), ()

    def _beside(self, state: LoopState, event: Event, seen: Seen) -> LoopState:
        """What is no work of the run."""
        match event:
            case RunSteered():
                return self._steered(state, event, seen)
            case ContextRelieved():  # what its model cannot see any more is new to it when it looks again
                return replace(state, memory=Memory())
            case SignalReceived() | ToolResolved():
                return self._person(state, f"{event.type} {canonical(event.value)}")
            case _:
                return replace(state, over=True) if event.type in TERMINAL else state

    def _created(self, event: RunCreated, seen: Seen) -> Said:
        path = (*event.lineage, event.agent)
        state = LoopState(owner=seen.owner, kinds=kinds_in(event.spec), path=path)
        times, agents = circle(path)
        if times < _CIRCLES:
            return state, ()
        note = (
            f"{' and '.join(agents)} hand this work to each other: {times} times so far. Do not hand it on: do it "
            f"yourself, or finish and say what is missing."
        )
        found = Fired("lineage", digest("lineage"), times, _CIRCLES, note)
        ladder, said = nudged(
            state.ladder, found, self._settings, streak=state.streak, at=seen.at, sequence=seen.sequence
        )
        return replace(state, ladder=ladder), said

    def _responded(self, state: LoopState, event: ModelResponded, seen: Seen) -> Said:
        early: Sequence[Verdict] = ()
        if state.turn is not None:  # a call of it was left in doubt
            state, early = self._close(state, state.turn, seen)
        asked = [call for call in event.tool_calls if not thinks(call.name)]
        text = event.text.value if isinstance(event.text.value, str) else ""
        waiting = {
            call.id: Asked(call.name, state.kinds.get(call.name, "write"), asking_of(call.name, call.arguments),
                call.arguments, sleeps=sleeps(call.name, call.arguments))
            for call in asked
        }  # fmt: skip
        garbled = repeated(text)
        if waiting:
            turn = Turn(waiting, text=said_in(text), garbled=garbled, told=state.told)
            return replace(state, turn=turn, answer=Count(), warned=0), early
        thoughts = [call.arguments for call in event.tool_calls]
        text = f"{text}\n{canonical(thoughts)}" if thoughts else text
        said = said_in(text)[0] if thoughts else text_key(text)
        answer = spoken(state.answer, said if len(text) >= _SENTENCE else None)
        state = replace(state, answer=answer, warned=state.warned if answer.times > 1 else 0)
        turn = Turn({}, said=said, text=said_in(text), garbled=garbled, told=state.told, thinks=bool(thoughts))
        state, late = self._close(state, turn, seen)
        return state, (*early, *late)

    def _requested(self, state: LoopState, event: ToolRequested) -> Said:
        turn = state.turn
        asked = None if turn is None else turn.waiting.get(event.call)
        if turn is None or asked is None:
            return state, ()
        kind = asked.kind if event.tool in state.kinds else kind_of(event.effect)
        started = replace(asked, kind=kind, started=True)
        state = replace(state, turn=replace(turn, waiting={**turn.waiting, event.call: started}))
        known = state.memory.calls.get(asked.asking.key)
        if (
            state.ladder.rung == "calm"
            or kind == "poll"
            or asked.asking.key not in state.streak.suspects
            or known is None
        ):
            return state, ()
        if known.count < self._settings.repeats or known.waits or known.changes < state.memory.changes:
            return state, ()
        reason = f"{asked.tool} was called {known.count} times in this way, always with the same result: not again"
        return state, (
            Verdict("deny", reason, evidence=state.streak.trail, call=event.call, value=known.count,
                threshold=self._settings.repeats, data={"signal": "repeat", "tools": [asked.tool]}),
        )  # fmt: skip

    def _spawned(self, state: LoopState, event: ChildSpawned, seen: Seen) -> Said:
        turn = state.turn
        if turn is not None and event.call in turn.waiting:
            asked = replace(turn.waiting[event.call], kind="delegate", started=True)
            turn = replace(turn, waiting={**turn.waiting, event.call: asked})
            state = replace(state, turn=turn, children={**state.children, event.child: event.call})
        times, agents = circle((*state.path, event.agent))
        if times < _TOO_MANY_CIRCLES or state.ladder.rung == "killed":
            return state, ()
        reason = f"{' and '.join(agents)} handed this work to each other {times} times, and were told not to"
        verdict = Verdict(
            "kill",
            reason,
            evidence=(seen.sequence,),
            value=times,
            threshold=_TOO_MANY_CIRCLES,
            data={"signal": "lineage", "agents": list(agents)},
            unread=state.ladder.rung == "nudged" and not state.ladder.heard,
        )
        return replace(state, ladder=replace(state.ladder, rung="killed")), (verdict,)

    def _joined(self, state: LoopState, event: ChildFinished, seen: Seen) -> Said:
        call = state.children.get(event.child)
        if call is None:
            return state, ()
        left = {child: of for child, of in state.children.items() if child != event.child}
        problem = event.problem
        if problem is None and event.outcome != "completed":
            problem = Problem(kind=event.outcome, message=f"the delegate's run {event.outcome}")
        return self._outcome(replace(state, children=left), call, seen, result=event.result, problem=problem)

    def _outcome(self, state: LoopState, call: str, seen: Seen, *, result: Content, problem: Problem | None) -> Said:
        turn = state.turn
        if turn is None or call not in turn.waiting:
            return state, ()
        asked = turn.waiting[call]
        outcome = outcome_of(result, problem, tool=asked.tool, arguments=asked.arguments)
        if problem is not None and problem.kind == _DENIED and not asked.started:
            outcome = replace(outcome, mood="plain", denied=True)
        waiting = {each: of for each, of in turn.waiting.items() if each != call}
        turn = replace(turn, waiting=waiting, answered=(*turn.answered, (asked, outcome)))
        return (replace(state, turn=turn), ()) if waiting else self._close(state, turn, seen)

    def _close(self, state: LoopState, turn: Turn, seen: Seen) -> Said:
        memory, weighed = weigh(state.memory, turn, seen.at)
        news = weighed.is_news
        if turn.said is not None:
            weighed = _told(state, weighed)
        polled = weighed.polled
        if polled and state.news_at is not None:
            weighed = replace(weighed, unchanged=min(weighed.unchanged, (seen.at - state.news_at).total_seconds()))
        elif state.polled and not weighed.is_news and turn.said is None and not turn.garbled:
            weighed = replace(weighed, weight=0.0, mark=None, polled=True)  # a sleep between two looks
        if (weighed.slept or state.slept) and weighed.errors[0] is None and turn.said is None:
            weighed = replace(weighed, weight=weighed.weight * WAITED)
        stuck = state.streak.stuck if weighed.stuck is None else weighed.stuck
        if stuck >= self._settings.errors:
            weighed = replace(weighed, gain=min(weighed.gain, 1 / stuck))
        weighed = written_anew(state.streak, turn, weighed)
        streak = after(state.streak, turn, weighed, sequence=seen.sequence)
        news_at = seen.at if weighed.is_work or state.news_at is None else state.news_at
        person = replace(state.person, again=0) if news else state.person
        state = replace(state, memory=memory, turn=None, streak=streak, news_at=news_at, polled=polled,
            slept=weighed.slept, asked=False, person=person)  # fmt: skip
        ladder, said = climb(state, weighed, self._settings, told=turn.told, at=seen.at, sequence=seen.sequence)
        return replace(state, ladder=ladder), said

    def _steered(self, state: LoopState, event: RunSteered, seen: Seen) -> LoopState:
        if not event.guard:
            return self._person(state, event.text)
        if event.guard != self.name:
            return state
        warned = state.warned or answered_alike(state, self._settings)
        return replace(state, ladder=heard(state.ladder, seen.at), warned=warned)

    def _person(self, state: LoopState, text: str) -> LoopState:
        """A person's word takes everything back. The same words over and over, while nothing is new, are a script's."""
        said = said_in(text, of="person")
        person = heard_again(state.person, said)
        if person.again >= _SCRIPT * self._settings.repeats:
            return replace(state, person=person, asked=True)
        return replace(state, person=person, asked=True, streak=Streak(), ladder=Ladder(), polled=False)


def _told(state: LoopState, weighed: Weighed) -> Weighed:
    """Talk is no news, unless a person asked; and a script that asks the same again must be told more."""
    if not state.asked or weighed.weight >= SURE:
        return replace(weighed, gain=0.0)
    gain = 1.0 if state.person.again < _SCRIPTED else weighed.gain
    return replace(weighed, weight=0.0 if gain >= NEWS else weighed.weight, gain=gain)


def _again(turn: Turn | None) -> Turn | None:
    """The turn in the hands of another owner: what was begun before may be denied to it. Children go on."""
    if turn is None:
        return None
    waiting = {
        call: replace(asked, started=asked.started and asked.kind == "delegate")
        for call, asked in turn.waiting.items()
    }  # fmt: skip
    return replace(turn, waiting=waiting)
