"""Shell: fills the tables of the configuration page from the schema; what is written by hand stays.

``python scripts/reference.py docs/configuration.md``. A table stands between ``<!-- keys: Limits -->`` (the name of a
model in the schema) and ``<!-- end of keys -->``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from callboard.config.base import ADDRESS, FAMILY, MODEL, NAME
from callboard.config.file_format import json_schema

Schema: TypeAlias = Mapping[str, Any]
TABLE: Final = re.compile(r"(?<=<!-- keys: )(\w+) -->\n.*?(?=<!-- end of keys -->)", re.DOTALL)
ENDLESS: Final = 10**12
"""A bound that is not worth a word."""
TEXTS: Final = {NAME: "a name", MODEL: "`provider/model`", FAMILY: "`provider/model`", ADDRESS: "an address"}
PLAIN: Final = {"string": "text", "boolean": "`true` or `false`"}
ANYTHING: Final = "anything"
DURATION: Final = ("number", "string")


def fill(page: str) -> str:
    """``page`` with the tables of today."""
    models, anchors = sections(), headings(page)

    def table(match: re.Match[str]) -> str:
        if match[1] not in models:
            sys.exit(f"the schema has no {match[1]!r}: it has {', '.join(sorted(models))}")
        rows = (" | ".join(row).replace("\n", " ") for row in rows_of(models[match[1]], anchors))
        lines = ("| key | value | default | |", "|---|---|---|---|", *(f"| {row} |" for row in rows))
        return f"{match[1]} -->\n\n" + "\n".join(lines) + "\n\n"

    return TABLE.sub(table, page)


def sections() -> Mapping[str, Schema]:
    """The models of the configuration by their names."""
    schema = json_schema()
    return {"ConfigFile": schema, **{name: each for name, each in schema["$defs"].items() if "properties" in each}}


def headings(page: str) -> Mapping[str, str]:
    """The anchor of the heading above the table of each model."""
    found: dict[str, str] = {}
    anchor = ""
    for line in page.splitlines():
        if line.startswith("#"):
            anchor = re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower()).replace(" ", "-")
        elif (mark := re.fullmatch(r"<!-- keys: (\w+) -->", line)) is not None:
            found[mark[1]] = anchor
    return found


def rows_of(model: Schema, anchors: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """The keys of a model: name, what may stand there, default, and what it means."""
    for key, schema in model["properties"].items():
        needed = key in model.get("required", ())
        default = "**needed**" if needed else shown(schema.get("default"), schema)
        yield f"`{key}`", value(schema, anchors), default, meaning(schema)


def meaning(schema: Schema) -> str:
    """The description; of a model without one of its own, what the model says of itself."""
    text = schema.get("description") or sections().get(model_of(schema), {}).get("description", "")
    return re.sub(r"(?<!\w)'([^']+)'(?!\w)", r"`\1`", text).replace("``", "`").replace("|", "\\|")


def value(schema: Schema, anchors: Mapping[str, str]) -> str:
    """What may stand there, in words."""
    if "$ref" in schema:
        name = model_of(schema)
        return f"[a mapping](#{anchors.get(name, name)})" if name in sections() else ANYTHING
    options = [each for each in schema.get("anyOf") or schema.get("oneOf") or () if each.get("type") != "null"]
    if tuple(each.get("type") for each in options) == DURATION:
        return "a duration"
    if options:
        return " or ".join(dict.fromkeys(value(each, anchors) for each in options))
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    match schema.get("type"):
        case "integer" | "number":
            return bounded("a whole number" if schema["type"] == "integer" else "a number", schema)
        case "array":
            return f"a list: {value(schema['items'], anchors)}"
        case "object":
            ((pattern, inner),) = schema.get("patternProperties", {"": schema.get("additionalProperties")}).items()
            told = value(inner, anchors)
            return f"by {TEXTS.get(pattern, 'a name').removeprefix('a ')}: {told}" if told != ANYTHING else "a mapping"
        case kind:
            return TEXTS.get(schema.get("pattern", ""), PLAIN[str(kind)])


def bounded(noun: str, schema: Schema) -> str:
    """A number with its bounds."""
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to", "exclusiveMaximum": "below"}
    bounds = (f"{word} {schema[name]:,}" for name, word in words.items() if schema.get(name, ENDLESS) < ENDLESS)
    return re.sub(r"from ([\d,]+), up to", r"\1 to", ", ".join((noun, *bounds)))


def shown(default: Any, schema: Schema) -> str:
    """A default as somebody would write it; of what is a mapping its own table says it."""
    if default in (None, "", [], {}) or isinstance(default, dict):
        return ""
    if isinstance(default, list):
        return f"`[{', '.join(plain(each, schema['items']) for each in default)}]`"
    return f"`{plain(default, schema)}`"


def plain(default: Any, schema: Schema) -> str:
    """A value of YAML."""
    if isinstance(default, bool):
        return str(default).lower()
    options = tuple(each.get("type") for each in schema.get("anyOf", ()))
    if options[: len(DURATION)] == DURATION:
        minutes = default >= 120 and default % 60 == 0  # noqa: PLR2004 - as people say it: 90s, but 2m
        return f"{default / 60:g}m" if minutes else f"{default:g}s"
    if isinstance(default, str):
        return default if default[0].isalpha() else f'"{default}"'  # what begins with '*' would be an alias
    return f"{default:g}" if isinstance(default, float) else str(default)


def model_of(schema: Schema) -> str:
    """The name of the model that ``schema`` refers to, alone or beside nothing."""
    options = (schema, *schema.get("anyOf", ()))
    return next((each["$ref"].rpartition("/")[2] for each in options if "$ref" in each), "")


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(fill(path.read_text(encoding="utf-8")), encoding="utf-8")
