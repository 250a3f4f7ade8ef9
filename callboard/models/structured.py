"""Pure: the JSON schema of an answer, as the structured output of a provider takes it, or in words.

Providers know a part of JSON schema, and enforce it while the model writes. What only bounds a value and is not in that
part goes into its description: answers are validated here in any case. What says that there may be more than it names
(a free map, any value) cannot be enforced at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from pydantic import JsonValue

from callboard.config.json_schema import is_pattern
from callboard.models.port import ChatRequest

SETTING: Final = "structured_output"
"""The setting of a model that says how it is told: ``native``, or in the ``prompt``."""
_SILENT: Final = frozenset(
    {"$anchor", "$comment", "$id", "$schema", "deprecated", "discriminator", "readOnly", "title", "writeOnly"}
)
_STRUCTURE: Final = frozenset(
    {"$dynamicRef", "allOf", "else", "if", "patternProperties", "prefixItems", "then", "unevaluatedProperties"}
    | {"$defs", "definitions", "dependentSchemas", "unevaluatedItems"}
)
"""Without them, a schema would forbid what they allow."""
_OF_COLLECTIONS: Final = frozenset({"additionalProperties", "items", "properties", "required"})
_BESIDE_REFERENCES: Final = frozenset({"default", "description", "examples"})
_SCALARS: Final = frozenset({"boolean", "integer", "null", "number", "string"})
_LOCAL: Final = "#/$defs/"


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a provider takes. ``complete``: every property must be there. ``optional``, ``unions``: so many at most."""

    keywords: frozenset[str]
    formats: frozenset[str]
    complete: bool
    recursive: bool
    optional: int
    unions: int


def prompted(request: ChatRequest) -> bool:
    """Is the model to be told in words, because it (or its server) cannot be told otherwise?"""
    return request.model.settings.get(SETTING) == "prompt"


def told(system: str, schema: Mapping[str, JsonValue]) -> str:
    """The system prompt with what an answer is to be."""
    words = (
        "When you are done, answer with one JSON value that fits this JSON schema, and with nothing else: no words "
        f"around it, no code fence.\n{json.dumps(schema, ensure_ascii=False)}"
    )
    return f"{system}\n\n{words}" if system.strip() else words


def constrained(schema: Mapping[str, JsonValue], dialect: Dialect) -> dict[str, JsonValue] | None:
    """``schema`` in the words of ``dialect``; None: it cannot be said in them."""
    definitions = cast("dict[str, JsonValue]", schema.get("$defs", {}))
    making = _Making(dialect, definitions)
    try:
        made = making.node({key: each for key, each in schema.items() if key != "$defs"}, ())
        kept: dict[str, JsonValue] = {}
        while missing := sorted(making.used - kept.keys()):
            kept |= {name: making.node(definitions[name], (name,)) for name in missing}
    except _Beyond:
        return None
    result: dict[str, JsonValue] = {**made, "$defs": kept} if kept else made
    return result if _within(result, dialect) else None


class _Beyond(Exception):
    """This provider cannot be told. Never leaves this module."""


@dataclass(slots=True)
class _Making:
    """One schema on its way. ``used``: the definitions that something refers to."""

    dialect: Dialect
    definitions: Mapping[str, JsonValue]
    used: set[str] = field(default_factory=set[str])

    def node(self, given: JsonValue, within: tuple[str, ...]) -> dict[str, JsonValue]:
        """``within``: the definitions that it stands in."""
        if not isinstance(given, dict):
            raise _Beyond
        if "$ref" in given:
            return self._reference(given, within)
        left = {key: each for key, each in given.items() if key not in _SILENT}
        if isinstance(merged := left.get("allOf"), list) and len(merged) == 1 and isinstance(merged[0], dict):
            return self.node({**merged[0], **{key: each for key, each in left.items() if key != "allOf"}}, within)
        if _STRUCTURE & left.keys():
            raise _Beyond
        made = self._kind(left, within)
        return self._described(made, left)

    def _reference(self, given: dict[str, JsonValue], within: tuple[str, ...]) -> dict[str, JsonValue]:
        reference = str(given["$ref"])
        name = reference.removeprefix(_LOCAL)
        beside = {key: each for key, each in given.items() if key != "$ref" and key not in _SILENT}
        if name not in self.definitions or not reference.startswith(_LOCAL) or beside.keys() - _BESIDE_REFERENCES:
            raise _Beyond
        target = self.definitions[name]
        if not beside or name in within or not isinstance(target, dict):
            self.used.add(name)
            return {"$ref": reference}  # which may have nothing beside it
        return self.node({**target, **beside}, (*within, name))

    def _kind(self, left: dict[str, JsonValue], within: tuple[str, ...]) -> dict[str, JsonValue]:
        """The structure, taken out of ``left``."""
        arms = left.pop("anyOf", None) or left.pop("oneOf", None)
        if isinstance(arms, list):
            if _OF_COLLECTIONS & left.keys():  # each arm would be closed without them
                raise _Beyond
            return {"anyOf": [self.node(arm, within) for arm in arms]}
        kind = left.pop("type", None)
        if "enum" in left or "const" in left:
            return self._literal(left, kind)
        if kind == "object":
            return self._object(left, within)
        if kind == "array":
            return {"type": "array", "items": self.node(left.pop("items", None), within)}
        kinds = kind if isinstance(kind, list) else [kind]
        if not kinds or not _SCALARS.issuperset(map(str, kinds)):
            raise _Beyond
        return {"type": kind}

    def _literal(self, left: dict[str, JsonValue], kind: JsonValue) -> dict[str, JsonValue]:
        made: dict[str, JsonValue] = {} if kind is None else {"type": kind}
        for word in ("enum", "const"):
            if word in left:
                made[word] = left.pop(word)
        values = [made["const"]] if "const" in made else made["enum"]
        if not isinstance(values, list) or any(isinstance(each, list | dict) for each in values):
            raise _Beyond
        return made

    def _object(self, left: dict[str, JsonValue], within: tuple[str, ...]) -> dict[str, JsonValue]:
        properties, more = left.pop("properties", None), left.pop("additionalProperties", None)
        required: list[JsonValue] = [*cast("list[str]", left.pop("required", []))]
        if not (more is False or (more is None and properties)):
            raise _Beyond
        named = cast("dict[str, JsonValue]", properties or {})
        if self.dialect.complete:
            if any(name not in required and not _has_default(each) for name, each in named.items()):
                raise _Beyond
            required = [*named]
        inner: dict[str, JsonValue] = {name: self.node(each, within) for name, each in named.items()}
        return {"type": "object", "properties": inner, "required": required, "additionalProperties": False}

    def _described(self, made: dict[str, JsonValue], left: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """``made`` with what is left: as it is where the provider knows it, else in words."""
        words = [str(left.pop("description"))] if "description" in left else []
        rest: list[str] = []
        for key, each in left.items():
            if self._knows(key, each):
                made[key] = each
            else:
                rest.append(f"{key}: {json.dumps(each, ensure_ascii=False)}")
        words += [f"({', '.join(rest)})"] if rest else []
        return {**made, "description": " ".join(words)} if words else made

    def _knows(self, key: str, value: JsonValue) -> bool:
        if key == "format":
            return value in self.dialect.formats
        if key == "pattern" and not is_pattern(str(value)):  # look-around, which the class of a decimal has
            return False
        if key == "minItems" and key not in self.dialect.keywords:
            return value in (0, 1)
        return key in self.dialect.keywords


def _has_default(schema: JsonValue) -> bool:
    return isinstance(schema, dict) and "default" in schema


def _within(schema: dict[str, JsonValue], dialect: Dialect) -> bool:
    nodes = list(_nodes(schema))
    optional = sum(len(_keys(node, "properties")) - len(_keys(node, "required")) for node in nodes)
    unions = sum("anyOf" in node or isinstance(node.get("type"), list) for node in nodes)
    few = optional <= dialect.optional and unions <= dialect.unions
    return few and (dialect.recursive or not _is_recursive(schema))


def _keys(node: Mapping[str, JsonValue], name: str) -> Sequence[str]:
    return list(cast("Sequence[str]", node.get(name, ())))


def _nodes(schema: JsonValue) -> Iterator[dict[str, JsonValue]]:
    """All schemas in one that was made here."""
    if not isinstance(schema, dict):
        return
    yield schema
    inner = [*_values(schema, "properties"), *_values(schema, "$defs"), schema.get("items")]
    arms = schema.get("anyOf")
    for each in (*inner, *(arms if isinstance(arms, list) else ())):
        yield from _nodes(each)


def _values(schema: dict[str, JsonValue], name: str) -> Sequence[JsonValue]:
    found = schema.get(name)
    return list(found.values()) if isinstance(found, dict) else ()


def _is_recursive(schema: dict[str, JsonValue]) -> bool:
    definitions = cast("dict[str, JsonValue]", schema.get("$defs", {}))
    leads = {name: {*_referred(each)} for name, each in definitions.items()}
    while leaves := [name for name, to in leads.items() if not to & leads.keys()]:
        for name in leaves:
            del leads[name]
    return bool(leads)


def _referred(schema: JsonValue) -> Iterator[str]:
    for node in _nodes(schema):
        if "$ref" in node:
            yield str(node["$ref"]).removeprefix(_LOCAL)
