"""What a reader is shown of answers that grow: whatever is lost, repeated or late, it ends as the journal's text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.app.answers import NO_ANSWERS, Answer, recorded, said
from callboard.app.reader import Reader, entered, heard
from callboard.app.run_event import After, RunEvent, TextEvent, sequence_of
from callboard.bus.deltas import ModelDelta, NoTokens, TextReplaced, decode_delta
from callboard.bus.messages import (
    Content,
    Event,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Problem,
    Record,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunKilled,
    RunSteered,
)
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from tests.support.journals import T0

PROBLEM = Problem(kind="model_network", message="gone")


def delta(n: int, text: str, *, call: str = "m1", attempt: int = 1) -> ModelDelta:
    return ModelDelta(call=call, attempt=attempt, n=n, text=text)


def requested(attempt: int = 1, call: str = "m1") -> ModelRequested:
    return ModelRequested(call=call, attempt=attempt)


def responded(text: str, call: str = "m1") -> ModelResponded:
    return ModelResponded(call=call, text=Content(value=text))


def failed(attempt: int = 1) -> ModelFailed:
    return ModelFailed(call="m1", attempt=attempt, problem=PROBLEM)


def shown(*items: Event | ModelDelta) -> list[ModelDelta | TextReplaced]:
    """What is shown of one call."""
    answers, told = NO_ANSWERS, []
    for item in items:
        if isinstance(item, ModelDelta):
            answers, more = said(answers, item)
        else:
            text = item.text.value if isinstance(item, ModelResponded) else ""
            answers, more = recorded(answers, item, str(text))
        told += more
    return told


def test_pieces_are_shown_as_they_come_and_the_journal_adds_the_rest():
    assert shown(requested(), delta(0, "Hel"), delta(3, "lo"), responded("Hello.")) == [
        delta(0, "Hel"), delta(3, "lo"), delta(5, "."),
    ]  # fmt: skip


def test_an_answer_of_which_nothing_was_heard_is_shown_whole():
    assert shown(requested(), responded("Hello.")) == [delta(0, "Hello.")]
    assert shown(requested(), responded("")) == []


def test_what_was_shown_is_not_shown_again():
    assert shown(requested(), delta(0, "Hel"), delta(0, "Hel"), delta(1, "ello"), responded("Hello")) == [
        delta(0, "Hel"), delta(3, "lo"),
    ]  # fmt: skip


def test_a_piece_behind_a_gap_waits_for_the_journal_or_for_a_message_that_fills_it():
    assert shown(requested(), delta(3, "lo"), responded("Hello")) == [delta(0, "Hello")]
    assert shown(requested(), delta(3, "lo"), delta(0, "Hello"), responded("Hello")) == [delta(0, "Hello")]


@pytest.mark.parametrize("end", [(failed(),), ()], ids=["failed", "its worker was lost"])
def test_the_text_of_an_attempt_that_is_made_again_is_replaced(end: tuple[Event, ...]):
    told = shown(
        requested(), delta(0, "Hel"), *end, requested(2), delta(3, "lo"), delta(0, "Hi", attempt=2), responded("Hi")
    )
    assert told == [delta(0, "Hel"), TextReplaced(call="m1", attempt=1), delta(0, "Hi", attempt=2)]


def test_an_attempt_that_showed_nothing_is_not_replaced():
    assert shown(requested(), failed(), requested(2), responded("Hi")) == [delta(0, "Hi", attempt=2)]


def test_an_intent_that_is_written_again_replaces_nothing():
    assert shown(requested(), delta(0, "Hel"), requested(), responded("Hello")) == [delta(0, "Hel"), delta(3, "lo")]


@pytest.mark.parametrize("end", [failed(), responded(""), RunKilled(reason="enough")])
def test_pieces_that_come_after_the_end_are_not_shown(end: Event):
    assert shown(requested(), end, delta(0, "Hel")) == []


def test_pieces_of_what_the_journal_does_not_know_are_not_shown():
    assert (
        shown(delta(0, "x"), requested(), delta(0, "x", attempt=2), delta(0, "x", call="m2"), responded("", "m3")) == []
    )


@pytest.mark.parametrize("final", ["Jello!", "He", ""])
def test_text_that_is_not_what_the_journal_has_is_replaced(final: str):
    rest = [delta(0, final)] if final else []
    assert shown(requested(), delta(0, "Hello"), responded(final)) == [
        delta(0, "Hello"), TextReplaced(call="m1", attempt=1), *rest,
    ]  # fmt: skip


# --- any journal, any loss, repetition and order, any reader that leaves and comes back


@dataclass(frozen=True)
class History:
    """A journal, and every piece that was ever told of it."""

    entries: tuple[Stored, ...]
    deltas: tuple[ModelDelta, ...]
    answers: dict[str, str]


@st.composite
def histories(draw: st.DrawFn) -> History:
    events: list[list[Event]] = [[RunCreated(agent="a", at=T0), RunClaimed(task=1)]]
    deltas: list[ModelDelta] = []
    answers: dict[str, str] = {}
    texts = st.text("ab☃\n", max_size=8)
    for call in [f"m{number}" for number in range(1, draw(st.integers(1, 3)) + 1)]:
        attempts = draw(st.integers(1, 3))
        for attempt in range(1, attempts + 1):
            events += draw(st.sampled_from([[], [[RunSteered(text="x")]]]))
            _add(draw, events, requested(attempt, call))
            said_by_it = draw(texts)
            deltas += draw(_pieces(said_by_it, call, attempt))
            if attempt == attempts:
                answers[call] = said_by_it if draw(st.integers(0, 4)) else draw(texts)  # now and then an adapter lies
                events.append([responded(answers[call], call)])  # an intent is stored before its effect starts
            elif draw(st.booleans()):
                events.append([ModelFailed(call=call, attempt=attempt, problem=PROBLEM)])
            else:
                events.append([RunClaimed(task=1)])
    last = draw(st.sampled_from([RunCompleted(), RunKilled()]))
    _add(draw, events, last)
    entries = tuple(
        Stored(number * 3, Record(id=f"e{number}", owner="o", at=T0, events=tuple(together)))
        for number, together in enumerate(events, start=1)
    )
    return History(entries, tuple(deltas), answers)


def _add(draw: st.DrawFn, events: list[list[Event]], event: Event) -> None:
    """In an entry of its own, or together with what happened before."""
    if len(events) > 1 and draw(st.booleans()):
        events[-1].append(event)
    else:
        events.append([event])


@st.composite
def _pieces(draw: st.DrawFn, text: str, call: str, attempt: int) -> list[ModelDelta]:
    starts = draw(st.lists(st.integers(0, len(text)), max_size=6))
    return [delta(n, text[n : n + draw(st.integers(0, 8))], call=call, attempt=attempt) for n in starts]


@dataclass
class Client:
    """Keeps what it is told; checks that it is told nothing twice."""

    texts: dict[tuple[str, int], str] = field(default_factory=dict)
    events: list[tuple[int, str]] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    after: After = 0
    last: ModelDelta | None = None

    def take(self, told: RunEvent | TextEvent) -> None:
        assert told.sequence >= sequence_of(self.after)
        self.after = told if isinstance(told, RunEvent) else told.sequence
        event = told.event
        if isinstance(told, RunEvent):
            self.events.append((told.sequence, told.event.type))
        if isinstance(event, TextReplaced):
            self.texts.pop((event.call, event.attempt))
            self.last = None
        elif isinstance(event, ModelDelta):
            key = event.call, event.attempt
            assert event.text
            assert len(self.texts.get(key, "")) == event.n
            assert not [known for known in self.texts if known[0] == event.call and known != key]
            self.texts[key] = self.texts.get(key, "") + event.text
            self.last = event
        elif isinstance(event, ModelResponded):
            self.answers[event.call] = "".join(text for (call, _), text in self.texts.items() if call == event.call)


def _texts(entry: Stored) -> dict[str, str]:
    assert entry.record is not None
    return {event.call: str(event.text.value) for event in entry.record.events if isinstance(event, ModelResponded)}


def _connected(draw: st.DataObject, history: History, client: Client, *, stays: bool) -> bool:
    """One connection: the journal from its beginning, any pieces in between. False: it broke off."""
    reader = Reader(client.after, client.last)
    for item in _items(draw, history):
        told: Sequence[RunEvent | TextEvent]
        if isinstance(item, ModelDelta):
            reader, told = heard(reader, item)
        else:
            reader, told = entered(reader, item, _texts(item) if item.sequence > sequence_of(client.after) else {})
        for each in told:
            client.take(each)
            if not stays and draw.draw(st.integers(0, 9)) == 0:
                return False
    return True


def _items(draw: st.DataObject, history: History) -> Iterator[Stored | ModelDelta]:
    for entry in history.entries:
        yield entry
        if history.deltas:
            yield from draw.draw(st.lists(st.sampled_from(history.deltas), max_size=4))


@given(histories(), st.data())
def test_whatever_is_lost_repeated_or_late_a_reader_that_comes_and_goes_has_the_text_of_the_journal(
    history: History, data: st.DataObject
) -> None:
    client = Client()
    for connection in range(5):
        if _connected(data, history, client, stays=connection == 4):
            break
    assert client.answers == history.answers
    assert client.events == [
        (entry.sequence, event.type) for entry in history.entries if entry.record for event in entry.record.events
    ]


def test_a_reader_that_comes_back_in_the_middle_of_an_answer_is_told_only_the_rest():
    entries = [
        Stored(number, Record(id=f"e{number}", owner="o", events=events))
        for number, events in enumerate(
            [
                (RunCreated(agent="a", at=T0), RunClaimed(task=1)),
                (requested(),),
                (RunSteered(text="x"),),
                (responded("Hello"),),
            ],
            start=1,
        )
    ]
    reader = Reader(2, delta(1, "el"))
    for entry in entries[:2]:
        reader, told = entered(reader, entry, {})
        assert told == ()
    assert reader.answers["m1"] == Answer(1, 1, "el")
    reader, told = heard(reader, delta(0, "Hell"))
    assert told == (TextEvent(2, delta(3, "l")),)
    reader, told = entered(reader, entries[2], {})
    assert told == (RunEvent(3, None, RunSteered(text="x")),)
    reader, told = entered(reader, entries[3], {"m1": "Hello"})
    assert told == (TextEvent(3, delta(4, "o")), RunEvent(4, None, responded("Hello")))


def test_what_is_no_piece_is_none_and_a_simulation_tells_nobody():
    piece = delta(3, "x")
    assert decode_delta(piece.model_dump_json().encode()) == piece
    for bad in (b"", b"{}", b'{"call": "m1", "attempt": 0, "n": 0, "text": ""}', b'{"type": "model.replaced"}'):
        assert decode_delta(bad) is None
    with NoTokens().telling(RunKey("t", "r"), "m1", 1) as tell:
        tell("x")


def test_an_entry_that_does_not_validate_shows_nothing():
    reader, told = entered(Reader(), Stored(3, None, "no JSON"), {})
    assert (told, reader.sequence) == ((), 3)


def test_what_a_summary_says_is_not_shown():
    answers, shown = recorded(NO_ANSWERS, ModelRequested(call="s1", purpose="summary"))
    assert (answers, shown) == (NO_ANSWERS, ())
    assert said(answers, delta(0, "earlier", call="s1")) == (answers, ())
