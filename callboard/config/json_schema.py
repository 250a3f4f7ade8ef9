"""Pure: the JSON schemas that users write (draft 2020-12), and what of a value does not fit one.

Patterns are those of Rust's regex crate, as in pydantic: they take a time that grows with the text, whatever the model
has said. Nothing is fetched: a schema refers to its own parts only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, Final, TypeAlias

from pydantic import JsonValue
from pydantic_core import SchemaError, SchemaValidator, core_schema

Path: TypeAlias = tuple[str | int, ...]
Wrong: TypeAlias = tuple[Path, str]
"""Where, and what."""
_TYPES: Final = "array, boolean, integer, null, number, object, string"
_LISTED: Final = 10
"""So many problems are told of a value; a model that made more of them has to start over anyway."""
_LONGEST: Final = 300
"""Characters of one of them."""


def fault(schema: dict[str, JsonValue]) -> Wrong | None:
    """What is wrong with a schema of objects, if anything is."""
    validator, _ = _library()
    error: Any = next(iter(validator(validator.META_SCHEMA).iter_errors(schema)), None)
    if error is not None:
        return tuple(error.absolute_path), _told(error)
    if schema.get("type") != "object":
        return ("type",), "expected 'type: object' at the top: a list or a text goes into a property of it"
    return next(_beyond(schema, schema, ()), None)


def complaints(value: JsonValue, schema: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """What of ``value`` does not fit ``schema``: where, and what is expected. Nothing: it fits."""
    validator, best_match = _library()
    checking = validator(schema, registry=_registry()(), format_checker=validator.FORMAT_CHECKER)
    found = map(best_match, ([each] for each in checking.iter_errors(value)))
    return listed(line(tuple(each.absolute_path), str(each.message)) for each in found)


def line(path: Sequence[str | int], message: str) -> str:
    """One problem as the model reads it."""
    where = ".".join(map(str, path))
    text = f"{where}: {message}" if where else message
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def listed(lines: Iterable[str]) -> tuple[str, ...]:
    """The first of them, and whether there are more."""
    first = tuple(islice(lines, _LISTED + 1))
    return first if len(first) <= _LISTED else (*first[:_LISTED], "and more")


def _told(error: Any) -> str:
    if error.absolute_path and error.absolute_path[-1] == "type":
        return f"{error.instance!r} is no type: use {_TYPES}"
    return str(error.message)[:_LONGEST]


def _beyond(node: JsonValue, root: dict[str, JsonValue], path: Path) -> Iterator[Wrong]:
    """What a schema may have elsewhere, and here not."""
    if isinstance(node, list):
        for at, each in enumerate(node):
            yield from _beyond(each, root, (*path, at))
    if not isinstance(node, dict):
        return
    pattern, reference = node.get("pattern"), node.get("$ref")
    if isinstance(pattern, str) and not is_pattern(pattern):
        yield (*path, "pattern"), f"{pattern!r} is no pattern: expected a regular expression without look-around"
    if isinstance(node.get("patternProperties"), dict):
        yield (*path, "patternProperties"), "not available: use 'propertyNames' and 'additionalProperties'"
    if isinstance(reference, str) and not _leads_somewhere(reference, root):
        yield (*path, "$ref"), f"{reference!r} leads nowhere: expected '#/$defs/NAME', and NAME under '$defs'"
    for key, each in node.items():
        yield from _beyond(each, root, (*path, key))


def _leads_somewhere(reference: str, root: dict[str, JsonValue]) -> bool:
    from referencing.exceptions import Unresolvable  # noqa: PLC0415 - 0.4 s that only users of schemas pay
    from referencing.jsonschema import DRAFT202012  # noqa: PLC0415 - as above

    whole: Any = DRAFT202012
    try:
        _registry()().with_resource("", whole.create_resource(root)).resolver().lookup(reference)
    except Unresolvable:
        return False
    return True


def is_pattern(text: str) -> bool:
    """Is it one here? Those of classes need not be."""
    try:
        _matcher(text)
    except SchemaError:
        return False
    return True


@cache
def _matcher(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern))


@cache
def _library() -> tuple[Any, Any]:
    """The class of validators, and what finds the one thing that matters in an error."""
    from jsonschema import Draft202012Validator, ValidationError, exceptions, validators  # noqa: PLC0415 - as above

    def matches(_: object, pattern: str, value: object, __: object) -> Iterator[ValidationError]:
        if isinstance(value, str) and is_pattern(pattern) and not _matcher(pattern).isinstance_python(value):
            yield ValidationError(f"{value!r} does not match {pattern!r}")

    making: Any = validators
    telling: Any = exceptions
    return making.extend(Draft202012Validator, {"pattern": matches}), telling.best_match


def _registry() -> Any:
    from referencing import Registry  # noqa: PLC0415 - as above

    return Registry
