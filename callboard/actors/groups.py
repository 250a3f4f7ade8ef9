"""Pure: exceptions out of task groups. No ``except*`` for unwrapping: Python 3.11.2 wraps what it raises again."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import cast


def first(error: BaseException) -> BaseException:
    """The first exception that is no group."""
    inner = cast("tuple[BaseException, ...]", getattr(error, "exceptions", ()))
    return first(inner[0]) if inner else error


@contextmanager
def alone(kind: type[Exception]) -> Generator[None]:
    """Let the body's task groups raise an error of ``kind`` as itself; a group with anything else stays as it is."""
    try:
        yield
    except BaseExceptionGroup as group:
        if group.split(kind)[1] is not None:
            raise
        raise first(group) from None
