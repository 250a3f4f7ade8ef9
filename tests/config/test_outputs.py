"""``output`` in the configuration: a class or a schema, and where what is wrong with it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from callboard.app.agents import load_agents
from callboard.config.loader import load
from callboard.errors import ConfigError

MODELS = """
from decimal import Decimal
from pydantic import BaseModel, RootModel

class Line(BaseModel):
    price: Decimal

class Invoice(BaseModel):
    number: str
    lines: list[Line] = []

class Tree(BaseModel):
    below: list["Tree"]

class Numbers(RootModel[list[int]]):
    pass

class Odd(BaseModel):
    model_config = {"arbitrary_types_allowed": True}
    what: BaseException

plain = 3
"""


def loaded(folder: Path, output: str, **env: str) -> tuple[dict[str, Any] | None, type[BaseModel] | None]:
    (folder / "models.py").write_text(MODELS)
    path = folder / "agents.yaml"
    path.write_text(f"agents:\n  a:\n    output: {output}\n    model: {{provider: scripted, turns: [{{text: hi}}]}}\n")
    code = load_agents(load(path, env=env))["a"]
    return code.spec.output, code.output


def test_a_class_is_kept_as_its_schema_and_checks_answers(tmp_path: Path):
    schema, model = loaded(tmp_path, "models.py:Invoice")
    assert model is not None
    assert model.__name__ == "Invoice"
    assert schema == model.model_json_schema()


def test_a_class_of_a_package_is_found(tmp_path: Path):
    schema, model = loaded(tmp_path, "callboard.bus.values:Usage")
    assert (model is not None, schema["title"]) == (True, "Usage")


def test_a_class_that_holds_itself_is_an_object_at_the_top(tmp_path: Path):
    schema, _ = loaded(tmp_path, "models.py:Tree")
    assert (schema["type"], "Tree" in schema["$defs"]) == ("object", True)


def test_a_schema_stays_as_it_is_written(tmp_path: Path):
    schema, model = loaded(tmp_path, "{type: object, properties: {n: {type: integer}}, required: [n]}")
    assert schema == {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert model is None


def test_without_an_output_results_are_text(tmp_path: Path):
    assert loaded(tmp_path, "null") == (None, None)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("gone.py:Invoice", "3:13: agents.a.output: got 'gone.py:Invoice': there is no such file"),
        ("models.py", "3:13: agents.a.output: got 'models.py': expected 'file.py:Class' or 'package.module:Class'"),
        ("5", "3:13: agents.a.output: got 5: expected text or a mapping"),
        ("[text]", "3:13: agents.a.output: got a list: expected text or a mapping"),
        ("models.py:Nobody", "3:13: agents.a.output: 'models.py:Nobody' is no pydantic model: name a subclass of"),
        ("models.py:nobody", "(there are: Invoice, Line, Numbers, Odd, Tree)"),
        ("models.py:plain", "is no pydantic model"),
        ("models.py:BaseModel", "is no pydantic model"),
        ("json:JSONDecoder", "'json:JSONDecoder' is no pydantic model: name a subclass of pydantic.BaseModel"),
        ("models.py:Numbers", "3:13: agents.a.output: Numbers is no object in JSON"),
        ("models.py:Odd", "3:13: agents.a.output: Odd has no JSON schema"),
        ("{type: array}", "3:20: agents.a.output.type: expected 'type: object' at the top"),
        ("{}", "3:5: agents.a.output.type: expected 'type: object' at the top"),
        ("{type: object, properties: {n: {type: int}}}", "3:51: agents.a.output.properties.n.type: 'int' is no type"),
        ("{type: object, properties: {n: {$ref: '#/$defs/N'}}}", "n.$ref: '#/$defs/N' leads nowhere"),
        ("{type: object, title: '${env:NAME}'}", "journals of runs keep this text"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, output: str, says: str):
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, output, NAME="x")
    assert says in str(caught.value)
