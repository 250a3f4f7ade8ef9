"""Journals that stand in files."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.bus.messages import VERSION
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.cli.timeline import run_as_json
from callboard.errors import ConfigError
from callboard.guards.journal_text import journals_in
from tests.support.journals import at, few, journals

CREATED = {"type": "run.created", "agent": "a", "at": "2026-11-21T12:00:00Z"}
ENTRY = {"sequence": 1, "at": "2026-11-21T12:00:00Z", "owner": "o1", "id": "i1", "events": [CREATED]}


@st.composite
def read(draw: st.DrawFn) -> tuple[Stored, ...]:
    """A journal as a bus gives it: each entry has an instant, and what is no record has a problem."""
    entries = draw(journals.filter(lambda found: any(entry.record and entry.record.owner for entry in found)))
    return tuple(
        Stored(entry.sequence, None, "bad_json", at=at(entry.sequence))
        if entry.record is None
        else Stored(entry.sequence, entry.record.model_copy(update={"v": VERSION}), at=at(entry.sequence))
        for entry in entries
    )


@few
@given(read())
def test_a_journal_that_is_shown_as_json_is_read_back_whole(entries: tuple[Stored, ...]) -> None:
    text = json.dumps(run_as_json(RunKey("acme", "r1"), entries, ()), indent=2)
    first, second = journals_in(f"{text}\n\n{text} ", "two.json")
    assert first == second == (RunKey("acme", "r1"), entries)


def test_what_could_not_be_read_when_it_was_shown_stays_unreadable_and_order_does_not_matter() -> None:
    bad = {"sequence": 7, "at": ENTRY["at"], "problem": "bad_json", "events": []}
    empty = {"sequence": 3, "at": ENTRY["at"]}
    ((key, entries),) = journals_in(json.dumps({"run": "r1", "entries": [bad, empty, ENTRY]}), "x")
    assert key == RunKey("default", "r1")
    assert [(entry.sequence, entry.record is None, entry.problem) for entry in entries] == [
        (1, False, ""), (3, True, "it says nothing"), (7, True, "bad_json")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (" \n", "x.json: it is empty"),
        ("\n  {", "x.json:2:3: no JSON"),
        ("[" * 100_000, "x.json:1:1: no JSON"),
        ("7", "x.json:1:1: this: "),
        ('{"run": "r1", "entries": []}', "x.json:1:1: entries: "),
        ('{"run": "r 1", "entries": [{"sequence": 1, "at": "2026-11-21T12:00:00Z"}]}', "x.json:1:1: run: "),
        ('{"run": "r1", "entries": [{"sequence": 1, "at": "noon"}]}', "entries.0.at"),
        (json.dumps({"run": "r1", "entries": [{**ENTRY, "owner": ""}]}), "run 'r1' has no entry with an owner"),
        (json.dumps({"run": "r1", "entries": [{**ENTRY, "events": [{"type": "run.created"}]}]}), "entry 1: events.0"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_what_to_do(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        tuple(journals_in(text, "x.json"))
    assert problem in str(error.value)
    assert "callboard runs show RUN --json" in str(error.value)
