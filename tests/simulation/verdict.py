"""Pure: was everything kept that the protocol promises? By the history checker, and by what a world alone can know."""

from __future__ import annotations

from collections.abc import Iterator

from callboard.actors.fold import replay
from callboard.actors.history import check
from callboard.actors.receipt import MARGIN, START_WINDOW
from callboard.actors.state import RunState
from callboard.bus.messages import Content, ModelResponded, RunCompleted, RunFailed, ToolReturned
from callboard.bus.subjects import RunKey
from tests.simulation.outcome import Outcome
from tests.simulation.scenarios import SAID, value_of
from tests.simulation.world import ROOT

_NO_RESULT = frozenset({"resolved_failed", "in_doubt"})


def judge(outcome: Outcome) -> list[str]:
    """Everything that is wrong, in words; empty if nothing is."""
    found = [*outcome.troubles]
    violations = check(
        outcome.journals, starts=outcome.starts, receipts=outcome.receipts, at_rest=not outcome.troubles, skew=0.001
    )
    found += [f"{each.rule}: run {each.run} at {each.sequence}: {each.message}" for each in violations]
    states = {key: replay(entries) for key, entries in outcome.journals.items()}
    found += [f"{key} is {state.status}" for key, state in states.items() if state.terminal is None]
    found += _repeated(outcome)
    if ROOT not in states:
        found.append("the run was lost")
    for key, state in states.items():
        found += [f"{key}: {text}" for text in _results(outcome, key, state)]
    return found


def _repeated(outcome: Outcome) -> Iterator[str]:
    """Starts of calls whose result was in the journal, later than a worker that had not seen it could be excused."""
    recorded: dict[tuple[RunKey, str], float] = {}
    for key, entries in outcome.journals.items():
        for entry in entries:
            for event in entry.record.events if entry.record is not None else ():
                if isinstance(event, ToolReturned | ModelResponded) and entry.at is not None:
                    recorded.setdefault((key, event.call), entry.at.timestamp())
    for start in outcome.starts:
        at = recorded.get((start.run, start.call))
        if at is not None and start.at > at + START_WINDOW + MARGIN:
            yield f"{start.run} {start.call} was started {start.at - at:.3f} s after its result was recorded"


def _results(outcome: Outcome, key: RunKey, state: RunState) -> Iterator[str]:
    for call in state.calls.values():
        if call.kind == "tool" and call.status == "done":
            wanted = (value_of(call.key), SAID) if call.key else ()
            if call.problem is None and call.result.value not in wanted:
                yield f"{call.call} has the result {call.result.value!r}"
            if call.problem is not None and call.problem.kind not in _NO_RESULT:
                yield f"{call.call} has the problem {call.problem!r}"
    if outcome.plan.kills:
        return
    match state.terminal:
        case RunCompleted(result=Content(value="done")):
            if outcome.scenario.fails == "poison":
                yield "completed, although it kills its workers"
        case RunFailed(problem=problem) if problem.kind == outcome.scenario.fails:
            pass
        case terminal:
            yield f"ended with {terminal!r}"
