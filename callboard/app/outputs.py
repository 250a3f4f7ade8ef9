"""Shell: the pydantic models that agents have as their ``output`` are imported; runs keep their JSON schemas."""

from __future__ import annotations

from typing import Any, TypeGuard, cast

from pydantic import BaseModel, JsonValue, RootModel
from pydantic.errors import PydanticUserError

from callboard.config.resolved import ClassRef
from callboard.errors import ConfigError
from callboard.tools.registry import load_module

Schema = dict[str, JsonValue]


def output_of(given: ClassRef | Schema | None) -> tuple[Schema | None, type[BaseModel] | None]:
    """The schema of an agent's results, and the class that checks them. Raises ``ConfigError`` with the place."""
    if not isinstance(given, ClassRef):
        return given, None
    try:
        model = output_class(given)
        return schema_of(model), model
    except ConfigError as error:
        raise ConfigError(f"{given.at}: {error}") from error


def output_class(ref: ClassRef) -> type[BaseModel]:
    """The class that ``ref`` names. Raises ``ConfigError``."""
    module = load_module(ref.source, f"output {ref.text!r}")
    found: object = getattr(module, ref.name, None)
    if _is_model(found):
        return found
    message = f"{ref.text!r} is no pydantic model: name a subclass of pydantic.BaseModel"
    here = [each for each in vars(module).values() if _is_model(each) and each.__module__ == module.__name__]
    known = ", ".join(sorted(each.__name__ for each in here))
    raise ConfigError(f"{message} (there are: {known})" if known else message)


def schema_of(model: type[BaseModel]) -> Schema:
    """What its results look like. Raises ``ConfigError`` for a class that JSON cannot say."""
    try:
        schema = model.model_json_schema()
    except PydanticUserError as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise ConfigError(f"{model.__name__} has no JSON schema: {reason}") from error
    schema = _at_the_top(schema)
    if schema.get("type") != "object":
        raise ConfigError(f"{model.__name__} is no object in JSON: make what it holds a field of a pydantic model")
    return schema


def _at_the_top(schema: dict[str, Any]) -> dict[str, Any]:
    """A class that holds itself is only a reference to its own definition: that comes to the top."""
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    definitions = cast("dict[str, dict[str, Any]]", schema.get("$defs", {}))
    return {**definitions[name], "$defs": definitions} if name in definitions else schema


def _is_model(value: object) -> TypeGuard[type[BaseModel]]:
    return (
        isinstance(value, type) and issubclass(value, BaseModel) and value is not BaseModel and value is not RootModel
    )
