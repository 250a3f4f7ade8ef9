"""Pure: what goes wrong on purpose, and to which requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final, Literal, TypeAlias

from callboard.testing.script import Frame, Request, Wire

Refusal: TypeAlias = Literal[
    "rate", "quota", "billing", "server_error", "unavailable", "overloaded", "auth", "bad_request", "context", "retired"
]
"""The answer is an error instead of a stream."""

InStream: TypeAlias = Literal["drop", "truncate", "stall", "garble", "error_event"]
"""The answer begins (``drop`` and ``stall`` without ``after``: not even that) and goes wrong."""

Other: TypeAlias = Literal["slow", "bad_arguments", "cache_miss"]
"""The answer is whole, and late, or odd, or dear."""


def _of_openai(status: int, kind: str, code: str, message: str) -> dict[Wire, tuple[int, str, str, str]]:
    return {"openai": (status, kind, code, message), "openai-chat": (status, kind, code, message)}


REFUSALS: Final[Mapping[Refusal, Mapping[Wire, tuple[int, str, str, str]]]] = {
    "rate": {
        "anthropic": (429, "rate_limit_error", "", "This request would exceed your organization's rate limit."),
        **_of_openai(429, "requests", "rate_limit_exceeded", "Rate limit reached for {model}."),
    },
    "quota": {
        "anthropic": (429, "rate_limit_error", "enforced_spend_limit_reached", "The spend limit is reached."),
        **_of_openai(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    },
    "billing": {
        "anthropic": (402, "billing_error", "", "There is an issue with your billing."),
        **_of_openai(429, "billing_error", "billing_hard_limit_reached", "Billing hard limit has been reached."),
    },
    "server_error": {
        "anthropic": (500, "api_error", "", "Internal server error"),
        **_of_openai(500, "server_error", "", "The server had an error while processing your request."),
    },
    "unavailable": {
        "anthropic": (503, "api_error", "", "Service unavailable"),
        **_of_openai(503, "server_error", "", "The service is unavailable."),
    },
    "overloaded": {
        "anthropic": (529, "overloaded_error", "", "Overloaded"),
        **_of_openai(503, "service_unavailable_error", "server_is_overloaded", "The engine is overloaded."),
    },
    "auth": {
        "anthropic": (401, "authentication_error", "", "invalid x-api-key"),
        **_of_openai(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    },
    "bad_request": {
        "anthropic": (400, "invalid_request_error", "", "messages: this is no valid request"),
        **_of_openai(400, "invalid_request_error", "", "This is no valid request."),
    },
    "context": {
        "anthropic": (400, "invalid_request_error", "", "prompt is too long: 208310 tokens > 200000 maximum"),
        **_of_openai(
            400,
            "invalid_request_error",
            "context_length_exceeded",
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
        ),
    },
    "retired": {
        "anthropic": (404, "not_found_error", "", "model: {model}"),
        **_of_openai(
            404,
            "invalid_request_error",
            "model_not_found",
            "The model '{model}' does not exist or you do not have access to it.",
        ),
    },
}
"""Status, type, code and words of each provider."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of trouble, for the requests that ``at`` and ``between`` name; without them, for all.

    ``at``: a request's number (from 1), numbers (a ``range`` too), or a function of the request. ``between``: seconds
    since the server's start, an outage. ``after``: chunks that come before a fault of the stream; None is at the
    point that hurts: before the headers for ``drop`` and ``stall``, before the terminal event for the others.
    ``seconds``: how late ``slow`` is, how long ``stall`` lasts (None: until the client leaves). ``retry_after``:
    seconds to wait, told in the ``retry_form``. ``should_retry`` becomes ``x-should-retry``. ``status`` replaces
    the status. ``message`` replaces the provider's words.
    """

    kind: Refusal | InStream | Other
    at: int | Container[int] | Callable[[Request], bool] | None = None
    between: tuple[float, float] | None = None
    after: int | None = None
    seconds: float | None = None
    retry_after: float | None = None
    retry_form: Literal["seconds", "ms", "date"] = "seconds"
    should_retry: bool | None = None
    status: int | None = None
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def hits(self, request: Request, since_start: float) -> bool:
        """Whether it is for this request."""
        if self.between is not None and not self.between[0] <= since_start < self.between[1]:
            return False
        if self.at is None:
            return True
        if isinstance(self.at, int):
            return request.number == self.at
        return self.at(request) if callable(self.at) else request.number in self.at


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer that is an error."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]


def first_hit(faults: Iterable[Fault], request: Request, since_start: float) -> Fault | None:
    """The fault for this request: the first in the list."""
    return next((fault for fault in faults if fault.hits(request, since_start)), None)


def refusal(fault: Fault, request: Request, now: datetime) -> Refused | None:
    """The error to answer with; None: the fault is of another kind."""
    for kind in REFUSALS:
        if fault.kind == kind:
            said = refuse(kind, request, fault.message)
            return Refused(fault.status or said.status, _headers(fault, now), said.body)
    return None


def refuse(kind: Refusal, request: Request, message: str = "") -> Refused:
    """An error of this kind, in the provider's words or with ``message``."""
    status, name, code, words = REFUSALS[kind][request.wire]
    return Refused(status, {}, error_body(request, name, message or words.format(model=request.model), code=code))


def error_body(request: Request, kind: str, message: str, *, code: str = "") -> dict[str, Any]:
    """An error as the provider of this wire writes it."""
    if request.wire != "anthropic":
        return {"error": {"message": message, "type": kind, "param": None, "code": code or None}}
    details = {"details": {"error_code": code}} if code else {}
    error = {"type": kind, "message": message, **details}
    return {"type": "error", "error": error, "request_id": f"req_{request.number:06}"}


def error_event(fault: Fault, request: Request, *, number: int, said: int) -> Frame:
    """An error in the middle of a stream: the provider is overloaded."""
    message = fault.message or "Overloaded"
    if request.wire == "anthropic":
        return Frame(json.dumps(error_body(request, "overloaded_error", message)), "error", said, error=True)
    if request.wire == "openai":
        event = {"type": "error", "code": "server_is_overloaded", "message": message, "param": None}
        return Frame(json.dumps(event | {"sequence_number": number}), "error", said, error=True)
    return Frame(
        json.dumps(error_body(request, "server_error", message, code="server_is_overloaded")), "", said, error=True
    )


def garbled(frame: Frame) -> Frame:
    """A chunk that is no JSON."""
    return Frame(frame.data[: len(frame.data) // 2], frame.event, frame.said)


def _headers(fault: Fault, now: datetime) -> dict[str, str]:
    told = dict(fault.headers)
    if fault.retry_after is not None and fault.retry_form == "ms":
        told["retry-after-ms"] = f"{fault.retry_after * 1000:g}"
    elif fault.retry_after is not None and fault.retry_form == "date":
        told["retry-after"] = format_datetime(now + timedelta(seconds=fault.retry_after), usegmt=True)
    elif fault.retry_after is not None:
        told["retry-after"] = f"{fault.retry_after:g}"
    if fault.should_retry is not None:
        told["x-should-retry"] = "true" if fault.should_retry else "false"
    return told
