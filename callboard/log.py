"""Shell: logs. One line per event on stderr, as JSON or for people, with what is bound to the context and no secrets.

Entries go through the standard library's ``logging``, so that those of other libraries take the same way; ``configure``
sets structlog as the renderer of all. Until then a logger costs nothing and only warnings are shown. structlog is
imported by ``configure``, because that takes 0.3 s.
"""

from __future__ import annotations

import base64
import json as json_module
import logging
import re
import sys
from collections.abc import Generator, Iterable, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final, cast
from urllib.parse import quote, quote_plus

from callboard.errors import ConfigError

REDACTED: Final = "[redacted]"
LEVELS: Final = ("debug", "info", "warning", "error")
_DEEP: Final = 8
"""Values nested deeper than this are shown as their ``repr``: nothing that is logged can recurse for ever."""
_SHORTEST_FORM: Final = 4
"""An encoded form with fewer characters than this is in every text: only the secret itself is looked for."""

_context: ContextVar[Mapping[str, object]] = ContextVar("callboard_log", default={})  # noqa: B039 - never mutated
_EventDict = MutableMapping[str, Any]


class _Entry:
    """The message of a log record: an event with its fields, readable by any handler."""

    def __init__(self, event: str, fields: Mapping[str, object]) -> None:
        self.event = event
        self.fields = {**_context.get(), **fields}

    def __str__(self) -> str:
        return " ".join([self.event, *(f"{name}={_shown(value)}" for name, value in self.fields.items())])


class Logger:
    """Says events with fields: ``log.info("task claimed", attempt=2)``. Cheap to make and to hold."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, /, **fields: object) -> None:
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        self._log(logging.ERROR, event, fields)

    def exception(self, event: str, /, **fields: object) -> None:
        """An error with the traceback of the exception that is being handled."""
        self._log(logging.ERROR, event, fields, traceback=True)

    def _log(self, level: int, event: str, fields: Mapping[str, object], *, traceback: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, _Entry(event, fields), exc_info=traceback)


def get_logger(name: str) -> Logger:
    """The logger of that name: a module's ``__name__``, or the actor's."""
    return Logger(name)


def bind(**fields: object) -> None:
    """Put ``fields`` on every later line of this context: of this task and those that it starts."""
    _context.set({**_context.get(), **fields})


@contextmanager
def bound(**fields: object) -> Generator[None]:
    """Put ``fields`` on every line of the body, and of the tasks that it starts."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def configure(*, json: bool, level: str, secrets: frozenset[str] = frozenset()) -> None:
    """Send all logs from ``level`` up to stderr, without ``secrets``. Called again, it replaces what it set before."""
    if level not in LEVELS:
        raise ConfigError(f"log level is {level!r}: use one of {', '.join(LEVELS)}")
    import structlog  # noqa: PLC0415 - 0.3 s

    processors = structlog.processors
    renderer = (
        processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    complete = [_add_fields, structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name]
    stamp = processors.TimeStamper(fmt="iso", utc=True)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*complete, stamp],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            processors.format_exc_info,
            Redactor(secrets),
            renderer,
        ],
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *complete,
            stamp,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    _install(formatter, level)


def _install(formatter: logging.Formatter, level: str) -> None:
    handler = _Handler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())


class _Handler(logging.Handler):
    """The one handler that ``configure`` owns. It writes to what stderr is by then: a progress display may own it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - logging's own fallback would show the entry with its secrets
            entry = _Entry("an entry could not be rendered", {"error": type(error).__name__, "at": _place(record)})
            line = self.format(logging.LogRecord(record.name, logging.ERROR, "", 0, entry, None, None))
        with suppress(OSError, ValueError):  # stderr is gone: no reason to end the work
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


def _place(record: logging.LogRecord) -> str:
    return f"{record.pathname}:{record.lineno}"


def _add_fields(_: object, __: str, event: _EventDict) -> _EventDict:
    """What is bound to the context, and the fields of our own entries."""
    record = event.get("_record")
    entry = record.msg if isinstance(record, logging.LogRecord) else None
    if isinstance(entry, _Entry):
        return {**event, **entry.fields, "event": entry.event}
    return {**_context.get(), **event}


class Redactor:
    """A structlog processor that replaces the secrets it knows, plain or encoded, wherever they stand in an entry."""

    def __init__(self, secrets: frozenset[str]) -> None:
        forms = sorted({form for secret in secrets if secret for form in _forms(secret)}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_expression, forms))) if forms else None

    def __call__(self, _: object, __: str, event: _EventDict) -> _EventDict:
        return {self.text(str(key)): self._value(value, 0) for key, value in event.items()}

    def text(self, text: str) -> str:
        """``text`` without the secrets."""
        return self._pattern.sub(REDACTED, text) if self._pattern else text

    def _value(self, value: object, depth: int) -> object:
        """``value`` as JSON types, without secrets."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool | int | float):
            shown = self.text(str(value))
            return shown if shown != str(value) else value
        if depth < _DEEP and isinstance(value, Mapping):
            items = cast("Mapping[object, object]", value).items()
            return {self.text(str(key)): self._value(each, depth + 1) for key, each in items}
        if depth < _DEEP and isinstance(value, list | tuple | set | frozenset):
            return [self._value(each, depth + 1) for each in cast("Iterable[object]", value)]
        if isinstance(value, bytes | bytearray):
            return self.text(value.decode("utf-8", "backslashreplace"))
        return self.text(_shown(value))


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - a broken repr must not cost the line, nor show it raw
        return f"<{type(value).__name__}: repr raised {type(error).__name__}>"


def _expression(form: str) -> str:
    """``form`` as a regular expression; the escapes of URLs may be written in either case."""
    return re.sub("%[0-9A-F]{2}", lambda escape: f"(?i:{escape[0]})", re.escape(form))


def _forms(secret: str) -> set[str]:
    """The secret and how it looks in base64 (also inside a longer text), in URLs, in JSON and in a ``repr``."""
    raw = secret.encode("utf-8", "surrogatepass")
    escaped = {json_module.dumps(secret)[1:-1], json_module.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    quoted = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    encoded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw).decode()
        inner = whole[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        encoded |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {secret} | {form for form in escaped | quoted | encoded if len(form) >= _SHORTEST_FORM}
