"""Pure: bytes to messages and back. Whatever the bytes are, the answer is a message or ``InvalidMessage``.

Bytes from outside are parsed strictly: a duplicate key, NaN or a lone surrogate would mean one thing to us and another
to the next reader. What was encoded here always decodes here; ``encode`` refuses what would not.
"""

from __future__ import annotations

import hashlib
import json
import math
from datetime import datetime
from typing import Any, Final, TypeVar, cast

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import PydanticSerializationError

from callboard.bus.messages import KNOWN, VERSION, Record, Resume, Task, UnknownEvent
from callboard.bus.subjects import RunKey, TaskAddress
from callboard.config.nesting import DEEPEST, nests_deeper
from callboard.errors import EntryTooLarge, InvalidMessage

EVENTS: Final = "Cb-Events"
"""Header: the event types of a record, comma separated."""
FAMILY: Final = "Cb-Family"
"""Header: ``none`` if the writer knew that the run has neither a parent nor an unfinished child."""
PARENT: Final = "Cb-Parent"
"""Header: the parent's run id."""
RECORD_BYTES: Final = 256 * 1024
TASK_BYTES: Final = 1024 * 1024
_BEGINNING: Final = 256
"""Bytes in which version, id and owner of a record have room."""
DEPTH: Final = 100
"""How deep JSON may nest: less than what pydantic, jiter and the readers in other languages stand."""
TASK_DEPTH: Final = DEEPEST + 1
"""The same of a task: the entry that creates its run has more around the input."""
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_M = TypeVar("_M", bound=BaseModel)


def encode(message: Record | Task | Resume) -> bytes:
    """Compact JSON: defaults are left out, the ``type`` of an event never. Raises ``InvalidMessage``."""
    try:
        payload = _record(message) if isinstance(message, Record) else message.model_dump_json(exclude_defaults=True)
        data = payload.encode()
    except (PydanticSerializationError, UnicodeError, RecursionError, ValueError) as error:
        raise InvalidMessage("bad_json", f"cannot be written as JSON: {error}") from error
    limit, deepest = (RECORD_BYTES, DEPTH) if isinstance(message, Record) else (TASK_BYTES, TASK_DEPTH)
    if len(data) > limit:
        raise EntryTooLarge(_too_large(len(data), limit))
    if b"NaN" in data or b"Infinity" in data or b"\\ud" in data or _may_be_deep(data, deepest):
        parse(data, limit=limit, deepest=deepest)
    return data


def _record(record: Record) -> str:
    events: list[str] = []
    for event in record.events:
        body = event.model_dump_json(exclude_defaults=True)
        if event.type in KNOWN:  # its type is a default, and so was left out
            body = f'{{"type":"{event.type}"{"," if len(body) > 2 else ""}{body[1:]}'  # noqa: PLR2004 - "{}"
        events.append(body)
    owner = f'"owner":{json.dumps(record.owner)},' if record.owner else ""
    at = f'"at":"{record.at.isoformat()}",' if record.at else ""
    return f'{{"v":{record.v},"id":"{record.id}",{owner}{at}"events":[{",".join(events)}]}}'


def is_by(payload: bytes, owner: str) -> bool:
    """Is it an entry that ``encode`` made of a record of ``owner``? Costs nearly nothing: it looks at its beginning."""
    parts = payload[:_BEGINNING].split(b'"', 10)  # {"v":1,"id":"…","owner":"…",
    names, token, rest = parts[1:8:2], parts[9:10], parts[10:]
    return bool(owner and rest) and names[:2] + names[3:] == [b"v", b"id", b"owner"] and token == [owner.encode()]


def event_types(record: Record) -> str:
    """The value of the ``Cb-Events`` header. Types that we do not know are not repeated: they are not our text."""
    return ",".join(event.type if event.type in KNOWN else "unknown" for event in record.events)


def decode_record(payload: bytes, *, sequence: int = 0) -> Record:
    """A journal entry. A bare event is a record of one event; without ``id`` one is derived from content and sequence.

    Raises ``InvalidMessage``: ``too_large``, ``bad_json``, ``bad_shape``. A newer version: a record of unknown events.
    """
    value = _object(parse(payload, limit=RECORD_BYTES))
    if "events" not in value:
        value = _wrapped(value)
    version = value.get("v", VERSION)
    if type(version) is not int or version < 1:
        raise InvalidMessage("bad_shape", f"v is {_shown(version)}: give an integer of at least 1")
    derived = f"{sequence}-{hashlib.sha256(payload).hexdigest()[:40]}"
    if version > VERSION:  # not ours to read, and not wrong: who folds it leaves the run to a newer worker
        return Record(v=version, id=derived, events=(UnknownEvent(type="unknown"),))
    if value.get("id") is None:
        value["id"] = derived
    return _validated(Record, value)


def _wrapped(event: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if "type" not in event:
        raise InvalidMessage("bad_shape", "neither a record (events) nor an event (type)")
    return {"events": [event]}


def decode_task(payload: bytes) -> Task | Resume:
    """A task's body; ``resume`` makes it a resume task. Raises ``InvalidMessage`` like ``decode_record``."""
    value = _object(parse(payload, limit=TASK_BYTES, deepest=TASK_DEPTH))
    return _validated(Resume, value) if "resume" in value else _validated(Task, value)


def run_key(address: TaskAddress, body: Task | Resume, *, sequence: int, stored_at: datetime) -> RunKey:
    """Which run a task is for: named by subject or body, else by its idempotency key, else by where it was stored."""
    named = {run for run in (address.run, body.run) if run is not None}
    if len(named) > 1:
        raise InvalidMessage("run_conflict", f"the subject names run {address.run!r}, the body {body.run!r}: name one")
    if named:
        return RunKey(address.tenant, named.pop())
    if isinstance(body, Task) and body.key is not None:
        text = json.dumps([address.tenant, address.agent, body.key])
        return RunKey(address.tenant, "k" + hashlib.sha256(text.encode()).hexdigest()[:40])
    return RunKey(address.tenant, f"t{sequence}-{_base36(round(stored_at.timestamp() * 1000))}")


def canonical(value: JsonValue) -> bytes:
    """The one form of a JSON value that is hashed: sorted keys, no spaces, UTF-8. Raises ``InvalidMessage``."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidMessage("bad_json", f"cannot be written as JSON: {error}") from error


def parse(payload: bytes, *, limit: int, deepest: int = DEPTH) -> JsonValue:
    """Strict JSON of at most ``limit`` bytes. Raises ``InvalidMessage``: ``too_large``, ``bad_json``."""
    if len(payload) > limit:
        raise InvalidMessage("too_large", _too_large(len(payload), limit))
    try:
        value = cast("JsonValue", _DECODER.decode(payload.decode()))
        if b"\\ud" in payload or b"\\uD" in payload:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidMessage("bad_json", f"not JSON: {str(error)[:200]}") from error
    if _may_be_deep(payload, deepest) and nests_deeper(value, deepest):
        raise InvalidMessage("bad_json", f"nests deeper than {deepest}")
    return value


def _validated(model: type[_M], value: dict[str, JsonValue]) -> _M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidMessage("bad_shape", f"{where[:200]}: {first['msg'][:200]}") from error


def _object(value: JsonValue) -> dict[str, JsonValue]:
    if not isinstance(value, dict):
        raise InvalidMessage("bad_shape", f"{type(value).__name__} at the top: send a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is out of range")
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse)


def _may_be_deep(payload: bytes, deepest: int) -> bool:
    return payload.count(b"[") + payload.count(b"{") > deepest


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def _too_large(size: int, limit: int) -> str:
    return f"{size} bytes, at most {limit} are accepted: put large content into the object store and send its reference"


def _shown(value: object) -> str:
    return repr(value)[:40]
