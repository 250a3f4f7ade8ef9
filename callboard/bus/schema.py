"""Shell: the messages as JSON Schemas, for people who write in other languages.

``python -m callboard.bus.schema docs/schemas`` writes them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from callboard.bus.deltas import ModelDelta
from callboard.bus.guard_messages import GuardEvent, Pulse
from callboard.bus.messages import KNOWN, DeadLetter, Record, Resume, Task, UnknownEvent

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> Mapping[str, str]:
    """File name to content: the messages, and each event under its type."""
    models: dict[str, type[BaseModel]] = {
        "record": Record,
        "task": Task,
        "resume": Resume,
        "dead-letter": DeadLetter,
        "guard-event": GuardEvent,
        "pulse": Pulse,
        "delta": ModelDelta,
        **{f"event.{kind}": model for kind, model in KNOWN.items()},
    }
    return {f"{name}.json": _text(model) for name, model in sorted(models.items())}


def export(folder: Path) -> None:
    """Write every schema into ``folder`` and remove those that have no message any more."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = schemas()
    for path in folder.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")


def _text(model: type[BaseModel]) -> str:
    schema: dict[str, Any] = {"$schema": _DIALECT, **model.model_json_schema(mode="validation")}
    for part in (schema, *schema.get("$defs", {}).values()):
        _tell_apart(part)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _tell_apart(schema: dict[str, Any]) -> None:
    """An event says its type, and is not also one of a type that nobody knows: it fits one schema, not two."""
    kind = schema.get("properties", {}).get("type", {})
    if kind.get("const") in KNOWN:
        schema["required"] = ["type", *schema.get("required", ())]
    elif schema.get("title") == UnknownEvent.__name__:
        kind["not"] = {"enum": sorted(KNOWN)}


if __name__ == "__main__":
    export(Path(sys.argv[1]))
