import json
import subprocess
import sys
from pathlib import Path

from callboard.bus.messages import KNOWN
from callboard.bus.schema import export, schemas

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"


def test_the_exported_schemas_are_those_of_the_messages():
    exported = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert exported == dict(schemas()), "run: python -m callboard.bus.schema docs/schemas"


def test_every_event_has_a_schema_that_names_its_type():
    for kind in KNOWN:
        schema = json.loads(schemas()[f"event.{kind}.json"])
        assert schema["properties"]["type"]["const"] == kind


def test_the_export_removes_what_has_no_message_any_more(tmp_path):
    (tmp_path / "event.gone.json").write_text("{}")
    export(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(schemas())


def test_the_export_is_a_command(tmp_path):
    subprocess.run([sys.executable, "-m", "callboard.bus.schema", str(tmp_path)], check=True)
    assert (tmp_path / "task.json").exists()
