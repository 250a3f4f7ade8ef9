import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from callboard.bus.codec import encode
from callboard.bus.messages import KNOWN, Record
from callboard.bus.schema import export, schemas
from tests.support.journals import OWNER, SIGNALLED, T0

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
TEXTS = dict(schemas())
RECORDS = jsonschema.Draft202012Validator(json.loads(TEXTS["record.json"]))


def test_the_exported_schemas_are_those_of_the_messages():
    exported = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert exported == TEXTS, "run: python -m callboard.bus.schema docs/schemas"


def test_every_event_has_a_schema_that_names_its_type():
    for kind in KNOWN:
        schema = json.loads(TEXTS[f"event.{kind}.json"])
        assert schema["properties"]["type"]["const"] == kind


@pytest.mark.parametrize("pool", [*OWNER, *SIGNALLED], ids=lambda pool: pool[0].type)
def test_what_is_written_fits_the_schema_of_records(pool):
    for event in (pool[0], pool[-1]):
        RECORDS.validate(json.loads(encode(Record(id="e1", owner="o1", at=T0, events=(event,)))))


@pytest.mark.parametrize(
    ("event", "fits"),
    [
        ({"type": "run.killed", "reason": "enough", "by": "ops"}, True),
        ({"type": "run.killed"}, True),
        ({"type": "run.vanished", "reason": 5}, True),  # of a newer version
        ({"type": "run.killed", "reason": 5}, False),
        ({"type": "timer.fired"}, False),
        ({"reason": "enough"}, False),
    ],
)
def test_an_event_fits_the_schema_of_its_type_and_no_other(event, fits):
    record = {"v": 1, "id": "e1", "events": [event]}
    assert RECORDS.is_valid(record) is fits
    if event.get("type") in KNOWN:
        assert jsonschema.Draft202012Validator(json.loads(TEXTS[f"event.{event['type']}.json"])).is_valid(event) is fits


def test_the_export_removes_what_has_no_message_any_more(tmp_path):
    (tmp_path / "event.gone.json").write_text("{}")
    export(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(TEXTS)


def test_the_export_is_a_command(tmp_path):
    subprocess.run([sys.executable, "-m", "callboard.bus.schema", str(tmp_path)], check=True)
    assert (tmp_path / "task.json").exists()
