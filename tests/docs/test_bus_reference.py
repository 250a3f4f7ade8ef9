"""The tables of the bus reference are what the code says."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

from callboard.bus import codec, topology, values
from callboard.bus.deltas import ModelDelta, decode_delta
from callboard.bus.guard_messages import GuardEvent, Pulse
from callboard.bus.guard_words import Action
from callboard.bus.messages import KNOWN, SIGNALS, TERMINAL, DeadLetter, OwnerEvent, Record, Resume, Signal, Task
from callboard.bus.subjects import RunKey, Subjects, TaskAddress
from callboard.guards.kit import ACTIONS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/bus-reference.md").read_text(encoding="utf-8")
SUBJECTS = Subjects()
KEY = RunKey("TENANT", "RUN")
OWNERS = {kind.model_fields["type"].default for kind in get_args(OwnerEvent)}
INTERNAL_REASONS = {"bad_header", "bad_reply"}
"""Of messages that we send, or that a server sends: never of a letter."""


def table(*head: str) -> list[list[str]]:
    """The rows of the one table with this head."""
    line = f"| {' | '.join(head)} |\n"
    assert PAGE.count(line) >= 1, head
    rows = PAGE.partition(line)[2].splitlines()[1:]
    return [
        [cell.strip() for cell in row.strip("|").split(" | ")]
        for row in rows[: next(at for at, row in enumerate(rows) if not row.startswith("|"))]
    ]


def section(title: str) -> str:
    return PAGE.partition(f" {title}\n")[2].partition("\n## ")[0]


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def example(mark: str) -> list[str]:
    found = re.findall(rf"<!-- check: {mark} -->\n```json\n(.*?)```", PAGE, re.DOTALL)
    return [line for block in found for line in block.splitlines()]


def test_every_event_has_a_row_with_its_writer_and_its_fields() -> None:
    rows = {codes(row[0])[0]: row for row in table("event", "who", "fields")}
    assert rows.keys() == KNOWN.keys()
    for kind, (_, who, named) in rows.items():
        writer = "owner" if kind in OWNERS else "signal" if kind in SIGNALS else "information"
        assert who == writer + (", terminal" if kind in TERMINAL else ""), kind
        assert codes(named) == [name for name in KNOWN[kind].model_fields if name != "type"], kind
    assert {kind.model_fields["type"].default for kind in get_args(Signal)} == SIGNALS


def test_every_event_has_an_example_that_is_one() -> None:
    records = [codec.decode_record(line.encode(), sequence=1) for line in example("events")]
    assert {record.events[0].type for record in records} == KNOWN.keys()
    for line, record in zip(example("events"), records, strict=True):
        given = json.loads(line)
        assert given.keys() <= {"type", *type(record.events[0]).model_fields}, line


def test_the_examples_of_tasks_and_letters_are_valid_and_have_no_foreign_field() -> None:
    for mark, model in (("task", Task), ("resume", Resume), ("dead-letter", DeadLetter)):
        (line,) = example(mark)
        assert json.loads(line).keys() <= model.model_fields.keys()
        model.model_validate_json(line)
    letter = DeadLetter.model_validate_json(example("dead-letter")[0])
    assert json.loads(base64.b64decode(letter.payload)) == {"inputs": 5}


@pytest.mark.parametrize(
    ("title", "model"), [("Tasks", Task), ("Records and events", Record), ("Dead letters", DeadLetter)]
)
def test_the_fields_of_a_message_are_listed(title: str, model: Any) -> None:
    rows = section(title).partition("| field | what |\n|---|---|\n")[2].partition("\n\n")[0]
    assert [codes(row)[0] for row in rows.splitlines()] == list(model.model_fields)


def test_the_fields_of_a_resume_task_are_listed() -> None:
    rows = PAGE.partition("A **resume task**")[2].partition("|---|---|\n")[2].partition("\n\n")[0]
    assert [codes(row)[0] for row in rows.splitlines()] == list(Resume.model_fields)


def test_the_fields_of_guard_events_and_pulses_are_listed() -> None:
    tables = section("Guard events").split("| field | what |\n|---|---|\n")[1:]
    shown = [[codes(row)[0] for row in each.partition("\n\n")[0].splitlines()] for each in tables]
    assert shown == [list(GuardEvent.model_fields), list(Pulse.model_fields)]


def test_the_fields_of_a_delta_are_listed_and_its_example_is_one() -> None:
    rows = section("Text as it grows").partition("| field | what |\n|---|---|\n")[2].partition("\n\n")[0]
    assert [codes(row)[0] for row in rows.splitlines()] == list(ModelDelta.model_fields)
    (line,) = example("delta")
    assert json.loads(line).keys() == ModelDelta.model_fields.keys()
    assert decode_delta(line.encode()) is not None


def test_every_action_of_a_guard_is_listed_from_the_mildest_to_the_strongest() -> None:
    rows = table("action", "what it means, if `acted`")
    assert tuple(codes(row[0])[0] for row in rows) == ACTIONS == get_args(Action)


def test_the_examples_of_guard_events_and_pulses_are_valid() -> None:
    for mark, model in (("guard-event", GuardEvent), ("pulse", Pulse)):
        (line,) = example(mark)
        assert json.loads(line).keys() <= model.model_fields.keys()
        model.model_validate_json(line)


def test_the_fields_of_values_are_listed() -> None:
    for name, named in table("value", "fields"):
        model = getattr(values, name.title().replace(" ", ""))
        bare = re.sub(r"\([^)]*\)", "", named)
        assert codes(bare) == list(model.model_fields), name


def test_the_subjects_are_those_that_the_code_builds() -> None:
    address = TaskAddress("TENANT", "AGENT", "high")
    built = {
        SUBJECTS.task(address),
        SUBJECTS.task(TaskAddress("TENANT", "AGENT", "high", "RUN")),
        SUBJECTS.run(KEY),
        SUBJECTS.live(KEY),
        SUBJECTS.tokens(KEY),
        SUBJECTS.timer(KEY, "TIMER"),
        SUBJECTS.due(KEY, "TIMER"),
        SUBJECTS.dead("TENANT", "AGENT"),
        SUBJECTS.guard("TENANT", "GUARD", "ACTION"),
        SUBJECTS.pulse("GUARD", 3).replace(".3", ".PARTITION"),
        SUBJECTS.gate("TENANT", "GUARD"),
        SUBJECTS.ledger("TENANT", "ACCOUNT"),
        SUBJECTS.state("KEY"),
    }
    wanted = {
        re.sub(r"\b(TENANT|AGENT|RUN|TIMER|GUARD|ACTION|PARTITION|ACCOUNT|KEY)\b", lambda m: f"<{m[0].lower()}>", each)
        for each in built
    }
    shown = {codes(row[0])[0] for row in table("subject", "what", "kept in")}
    assert {each.replace(".high", ".<lane>") for each in wanted} | {"cb.blob.<sha256>.<chunk>", "$SRV.PING"} == shown


def test_the_streams_have_the_settings_that_are_shown() -> None:
    defaults = {each.name: each.default for each in fields(topology.StreamSpec)}
    shown = {codes(row[0])[0]: (codes(row[1]), codes(row[2])) for row in table("stream", "subjects", "settings")}
    for spec in topology.topology(SUBJECTS):
        ours = {
            f"{name}: {getattr(spec, name)}"
            for name, default in defaults.items()
            if name not in {"name", "subjects", "republish"} and getattr(spec, name) != default
        }
        subjects, settings = shown.pop(spec.name)
        assert (subjects, set(settings)) == (list(spec.subjects), ours), spec.name
    assert not shown


def test_the_consumers_are_those_that_are_shown() -> None:
    rows = {codes(row[0])[0]: row for row in table("consumer", "on", "filter", "`ack_wait` alone / in a cluster")}
    task = topology.task_consumer(SUBJECTS, "AGENT", "high", ack_wait=1.0)
    filters = [each.replace("AGENT", "<agent>").replace(".high", ".<lane>") for each in task.filter_subjects]
    assert codes(rows.pop("<agent>_<lane>")[2]) == filters
    for spec in (topology.feed_consumer(SUBJECTS, ack_wait=1.0), topology.due_consumer(SUBJECTS, ack_wait=1.0)):
        assert codes(rows.pop(spec.name)[2]) == list(spec.filter_subjects)
    alerts = topology.alerts_consumer(SUBJECTS, "WEBHOOK")
    row = rows.pop(alerts.name.replace("WEBHOOK", "<webhook>"))
    assert (codes(row[2]), row[3]) == (list(alerts.filter_subjects), f"{alerts.ack_wait:g} s")
    assert not rows
    assert PAGE.count(f"{topology.ACK_WAIT_ALONE:g} s / {topology.ACK_WAIT_CLUSTER:g} s") == 3


def test_the_headers_are_those_that_journals_carry() -> None:
    shown = [codes(row[0])[0] for row in table("header", "what")]
    assert shown[:3] == [codec.EVENTS, codec.FAMILY, codec.PARENT]
    journal = (ROOT / "callboard/bus/journal.py").read_text(encoding="utf-8")
    assert all(f'"{name}"' in journal for name in shown[3:])


def test_every_reason_of_a_dead_letter_is_listed() -> None:
    said: set[str] = set()
    for path in (ROOT / "callboard").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        said |= set(re.findall(r'(?:InvalidMessage\(\s*|super\(\).__init__\()"(\w+)", ', source))
        for buried in re.findall(r"\.bury\((.*)", source):
            said |= set(re.findall(r'"(\w{2,})"', buried))
    kinds_of_errors = {"in_doubt"}  # StepInDoubt tells its base class
    assert {codes(row[0])[0] for row in table("reason", "what is wrong")} == said - INTERNAL_REASONS - kinds_of_errors


def test_every_way_to_fail_is_listed() -> None:
    listed = {kind for row in table("kind", "what happened") for kind in codes(row[0])}
    decide = (ROOT / "callboard/actors/decide.py").read_text(encoding="utf-8")
    attempt = (ROOT / "callboard/actors/attempt.py").read_text(encoding="utf-8")
    said = set(re.findall(r'_fail\(\s*"(\w+)"', decide)) | set(re.findall(r'Problem\(kind="(\w+)"', attempt))
    assert said <= listed


def test_the_limits_of_sizes_are_those_of_the_code() -> None:
    assert codec.RECORD_BYTES == 256 * 1024
    assert codec.TASK_BYTES == 1024 * 1024
    assert "at most 100 levels" in PAGE
    assert codec.DEPTH == 100
