"""Pure: whatever the SDK raises -> ``ModelError``. It knows the SDK's errors by what they carry, so it imports none.

An error event in a stream comes as an error with status 200: the type in its body counts before the status.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, cast

from callboard.config.times import duration
from callboard.errors import ModelError, ModelErrorKind
from callboard.models.unstreamed import is_no_stream, parsed

_TYPES: Final[Mapping[str, ModelErrorKind]] = {
    "api_error": "overload",
    "authentication_error": "auth",
    "billing_error": "quota",
    "conflict_error": "overload",
    "invalid_request_error": "bad_request",
    "not_found_error": "bad_request",
    "overloaded_error": "overload",
    "permission_error": "auth",
    "rate_limit_error": "rate",
    "request_too_large": "context",
    "timeout_error": "network",
}
_STATUSES: Final[Mapping[int, ModelErrorKind]] = {
    HTTPStatus.UNAUTHORIZED: "auth",
    HTTPStatus.PAYMENT_REQUIRED: "quota",
    HTTPStatus.FORBIDDEN: "auth",
    HTTPStatus.REQUEST_TIMEOUT: "network",
    HTTPStatus.CONFLICT: "overload",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "context",
    HTTPStatus.TOO_MANY_REQUESTS: "rate",
}
_RETRYABLE: Final = frozenset({"rate", "overload", "network"})
_HINTS: Final[Mapping[ModelErrorKind, str]] = {
    "auth": "check the key of this provider",
    "quota": "raise the spend limit at the provider, or pay",
    "context": "make the input or max_output smaller",
}
_GONE: Final = "the provider does not know the model {!r} (any more): choose another one as the model's name"
_SPENT: Final = re.compile(r"spend_limit|quota|billing|billable|on_hold|credit balance")
_TOO_LONG: Final = re.compile(
    r"prompt is too long|exceed\w* (the )?(model'?s )?(maximum )?context|context (window|length|limit)", re.IGNORECASE
)
_UNSENDABLE: Final = frozenset({"InvalidURL", "LocalProtocolError", "UnsupportedProtocol"})
_LIMITS: Final = "anthropic-ratelimit-"
_LONGEST: Final = 500
_SECOND: Final = 1_000.0
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def failure(raised: Exception, *, model: str, stall: float, now: datetime, begun: bool = False) -> ModelError:
    """What ``raised`` means. ``stall``: the seconds after which silence is an error.

    ``begun``: the answer was under way.
    """
    status, response = getattr(raised, "status_code", None), getattr(raised, "response", None)
    if isinstance(status, int) and response is not None:
        headers: Mapping[str, str] = getattr(response, "headers", None) or _NOTHING
        return _said(status, _error_of(getattr(raised, "body", None)), headers, model=model, now=now)
    unread = isinstance(raised, RecursionError) and begun
    if unread or isinstance(raised, UnicodeDecodeError) or type(raised).__name__ == "JSONDecodeError":
        return ModelError("truncated", f"the stream is malformed: {raised}", retryable=True)
    names = {type(each).__name__ for each in (raised, raised.__cause__) if each is not None}
    if names & _UNSENDABLE:
        return ModelError(
            "bad_request", f"the request cannot be sent: {_shown(names)}; check base_url and headers", retryable=False
        )
    if isinstance(raised, TypeError | ValueError | RecursionError):
        return ModelError("bad_request", f"the request is no JSON: {raised}"[:_LONGEST], retryable=False)
    if any("Timeout" in name for name in names):
        return ModelError("network", f"the provider was silent for {duration(stall)}", retryable=True)
    if begun:
        return ModelError(
            "truncated", f"the connection was lost in the middle of the answer: {_shown(names)}", retryable=True
        )
    return ModelError("network", f"the connection failed: {_shown(names)}", retryable=True)


def unstreamed(kind: str, content: bytes, headers: Mapping[str, str], *, model: str, now: datetime) -> ModelError:
    """The failure of a call that was answered with ``content`` of this ``kind``, which is no stream."""
    error = _error_of(parsed(content))
    return _said(HTTPStatus.OK, error, headers, model=model, now=now) if error else is_no_stream(kind, content)


def limits_of(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers in which the provider speaks of its limits."""
    known = {name.lower(): value for name, value in headers.items()}
    return {name: value for name, value in known.items() if name.startswith(_LIMITS)}


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Seconds that the provider wants us to wait: from milliseconds, seconds or a date."""
    known = {name.lower(): value.strip() for name, value in headers.items()}
    if (exact := _number(known.get("retry-after-ms", ""))) is not None:
        return exact / _SECOND
    said = known.get("retry-after", "")
    if (seconds := _number(said)) is not None:
        return seconds
    try:
        at = parsedate_to_datetime(said)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def _said(
    status: int, error: Mapping[str, str], headers: Mapping[str, str], *, model: str, now: datetime
) -> ModelError:
    """The failure that an ``error`` means which came with this status."""
    kind = _kind(status, error)
    wants_no_retry = headers.get("x-should-retry", "").strip().lower() == "false"
    told = f"the provider {_named(status, error.get('type', ''))}: {error.get('message') or 'no reason given'}"
    gone = status == HTTPStatus.NOT_FOUND or error.get("type") == "not_found_error"
    hint = _GONE.format(model) if gone else _HINTS.get(kind, "")
    message = told[:_LONGEST]
    return ModelError(
        kind,
        f"{message}; {hint}" if hint else message,
        retryable=kind in _RETRYABLE and not wants_no_retry,
        retry_after=retry_after(headers, now=now),
        limits=limits_of(headers),
    )


def _named(status: int, kind: str) -> str:
    """What it answers; an error in the stream of an answer has a good status, which says nothing."""
    if status < HTTPStatus.BAD_REQUEST:
        return f"reports {kind or 'an error'}"
    return f"answers {status}" if kind in {"", str(status)} else f"answers {status} {kind}"


def _kind(status: int, error: Mapping[str, str]) -> ModelErrorKind:
    named, said = error.get("type", ""), error.get("message", "")
    if _SPENT.search(f"{named} {error.get('code', '')} {said.lower()}"):
        return "quota"
    kind = _TYPES.get(named) or _STATUSES.get(status)
    if kind in {None, "bad_request"} and _TOO_LONG.search(said):
        return "context"
    if kind is not None:
        return kind
    turned_down = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return "bad_request" if turned_down else "overload"


def _error_of(body: object) -> Mapping[str, str]:
    """``type``, ``code`` and ``message`` of a body, whatever it is."""
    if isinstance(body, str):
        return {"message": body}
    error = _part(body, "error")
    code = _part(_part(error, "details"), "error_code") or _part(error, "code")
    found = {"type": _part(error, "type"), "code": code, "message": _part(error, "message")}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _part(value: object, name: str) -> object:
    return cast("Mapping[str, object]", value).get(name) if isinstance(value, Mapping) else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None


def _shown(names: set[str]) -> str:
    return ", ".join(sorted(names))
