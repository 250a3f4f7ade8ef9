"""Pure: a journal -> what its model was asked, and what it answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from callboard.actors.conversation import conversation
from callboard.actors.fold import EMPTY, fold
from callboard.actors.state import RunState
from callboard.actors.summaries import SYSTEM
from callboard.bus.messages import ModelRequested, ModelResponded
from callboard.bus.ports import Stored
from callboard.config.kept import whole_spec
from callboard.testing.cassette import Asked, message_json, tools_json


@dataclass(frozen=True, slots=True)
class Answer:
    """An answered call: its place in the stream, what was asked, the answer. Its text may be in the object store."""

    sequence: int
    asked: Asked
    event: ModelResponded


def answers(entries: Sequence[Stored], *, run: str, given: JsonValue) -> Iterator[Answer]:
    """The answered calls of a run's journal, in their order. ``given``: the run's whole input."""
    state, asked = EMPTY, dict[str, Asked]()
    for entry in entries:
        record = entry.record
        if record is None:
            continue
        for at, event in enumerate(record.events):
            if isinstance(event, ModelRequested):
                before = record.model_copy(update={"events": record.events[:at]})
                asked[event.call] = _asked(event, fold(state, entry.sequence, before), run=run, given=given)
            elif isinstance(event, ModelResponded) and event.call in asked:
                yield Answer(entry.sequence, asked.pop(event.call), event)
        state = fold(state, entry.sequence, record)


def _asked(event: ModelRequested, state: RunState, *, run: str, given: JsonValue) -> Asked:
    """Summaries, and last turns that a budget allows, are not compared: their text has sizes and sums in it."""
    assert state.created is not None, "an intent follows the creation of its run"
    spec = whole_spec(state.created.spec)
    if event.purpose != "turn":
        return Asked(SYSTEM, {}, None)
    if event.wrap_up:
        return Asked(spec.system, {}, None)
    messages = conversation(state, given, run=run, tools=spec.tools)
    return Asked(spec.system, tools_json(spec.tools), tuple(map(message_json, messages)), spec.output)
