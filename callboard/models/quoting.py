"""Pure: ``{{ … }}`` in the strings of a script: the input and earlier results, quoted.

A string that is one placeholder becomes the JSON value itself; inside a longer string it becomes text: strings as
they are, everything else as JSON. What is quoted is not looked at again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from callboard.errors import ModelError

_PLACEHOLDER: Final = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_SHOWN: Final = 12


def quote(value: JsonValue, sources: Mapping[str, JsonValue]) -> JsonValue:
    """``value`` with every placeholder in its strings replaced; keys are left alone.

    Raises ``ModelError`` (``bad_request``, not retryable) for a reference that leads nowhere.
    """
    match value:
        case str():
            whole = _PLACEHOLDER.fullmatch(value)
            return _look_up(whole[1], sources) if whole else quote_text(value, sources)
        case list():
            return [quote(item, sources) for item in value]
        case dict():
            return {key: quote(item, sources) for key, item in value.items()}
        case _:
            return value


def quote_text(text: str, sources: Mapping[str, JsonValue]) -> str:
    """``text`` with every placeholder replaced by text."""
    return _PLACEHOLDER.sub(lambda match: as_text(_look_up(match[1], sources)), text)


def as_text(value: JsonValue) -> str:
    """A string as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _look_up(reference: str, sources: Mapping[str, JsonValue]) -> JsonValue:
    here: JsonValue = dict(sources)
    path: list[str] = []
    for part in reference.split("."):
        match here:
            case dict() if part in here:
                here = here[part]
            case list() if _INDEX.fullmatch(part) and int(part) < len(here):
                here = here[int(part)]
            case _:
                raise _unknown(reference, path, here)
        path.append(part)
    return here


def _unknown(reference: str, path: list[str], here: JsonValue) -> ModelError:
    match here:
        case dict():
            names = [".".join([*path, str(key)]) for key in here]
        case list():
            names = [".".join([*path, str(at)]) for at in range(len(here))]
        case _:
            names = [".".join(path)]
    more = ", …" if len(names) > _SHOWN else ""
    there = f"there is {', '.join(names[:_SHOWN])}{more}" if names else f"{'.'.join(path)} is empty"
    return ModelError("bad_request", f"the script quotes {{{{ {reference} }}}}: {there}", retryable=False)
