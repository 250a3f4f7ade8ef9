"""Pure: the one tree of errors. Its axis is who has to act.

``ConfigError``: the user, before anything starts. ``BusError``, ``ModelError``, ``ToolError``: the outside;
``retryable`` says whether the same call may succeed later. ``RunKilled``: somebody ended the run on purpose.
``RunFailed``: the run ended by itself without a result. ``Bug``: us.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
ModelErrorKind = Literal[
    "rate", "overload", "quota", "auth", "bad_request", "context", "network", "truncated", "refusal"
]


class CallboardError(Exception):
    """Base of every error that callboard raises on purpose."""

    retryable: bool = False


class ConfigError(CallboardError):
    """What the user wrote is wrong. The message says where (``file:line:column``), the value, and what to do."""


class BusError(CallboardError):
    """The bus did not do what was asked. ``retry_after`` is in seconds, when the bus could tell."""

    def __init__(self, message: str, *, retryable: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after


class BusUnreachable(BusError):
    """No server answers, or it went away and did not come back within the deadline."""


class BusRefused(BusError):
    """The server answered, and the answer is no: permissions, version, a stream with other settings."""


class QueueFull(BusError):
    """The task queue is at its bound and refuses the publisher. Nothing was stored; try after ``retry_after``."""


class StaleAppend(BusError):
    """A compare-and-set append lost: the journal has entries that the writer has not folded. Read, then decide."""


class InvalidMessage(BusError):
    """A message that does not validate. ``reason`` is a short machine-readable word for CB_DEAD."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class EntryTooLarge(InvalidMessage):
    """A journal entry above 256 KiB. Nothing was stored; large content belongs into the object store."""

    def __init__(self, message: str) -> None:
        super().__init__("too_large", message)


class ModelError(CallboardError):
    """A model call failed. ``kind`` is normalised over providers; ``retry_after`` is in seconds.

    ``limits`` are the headers in which the provider speaks of its limits, as in a reply.
    """

    def __init__(
        self,
        kind: ModelErrorKind,
        message: str,
        *,
        retryable: bool,
        retry_after: float | None = None,
        limits: Mapping[str, str] = _NONE,
    ) -> None:
        super().__init__(message)
        self.limits = limits
        self.kind: ModelErrorKind = kind
        self.retryable = retryable
        self.retry_after = retry_after


class ToolError(CallboardError):
    """A tool failed in a way that the model may read and correct. ``kind`` is a short machine-readable word."""

    def __init__(self, kind: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.retryable = retryable


class StepInDoubt(ToolError):
    """A step that must not run twice was started by a worker that died: nobody knows whether it took effect."""

    def __init__(self, call: str, message: str) -> None:
        super().__init__("in_doubt", message)
        self.call = call


class StepConflict(CallboardError):
    """Two steps of one name at the same time: the journal could not tell them apart."""


class RunFailed(CallboardError):
    """The run ended without a result. ``kind`` is the typed reason from its journal."""

    def __init__(self, run: str, kind: str, message: str) -> None:
        super().__init__(message)
        self.run = run
        self.kind = kind


class RunKilled(CallboardError):
    """The run was ended by somebody else; ``reason`` and ``by`` are from its journal."""

    def __init__(self, run: str, reason: str, by: str) -> None:
        super().__init__(f"run {run} was killed by {by}: {reason}")
        self.run = run
        self.reason = reason
        self.by = by


class Bug(CallboardError):
    """callboard itself is wrong. Please report it with the message."""
