"""What the SDK raises, and what it means."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import anthropic
import httpx2
import pytest

from callboard.errors import ModelError
from callboard.models.anthropic.failures import failure, limits_of, retry_after

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/messages")
KEY = "sk-" + "PLACEHOLDER" * 2


def meant(raised: Exception) -> ModelError:
    return failure(raised, model="claude-test", stall=60.0, now=NOW)


def refused(status: int, body: Any = None, **headers: str) -> ModelError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx2.Response(status, headers=named, request=REQUEST)
    return meant(anthropic.APIStatusError("no", response=response, body=body))


def error(kind: str, message: str = "no", **more: Any) -> Any:
    return {"type": "error", "error": {"type": kind, "message": message, **more}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable"),
    [
        (429, error("rate_limit_error"), "rate", True),
        (429, error("rate_limit_error", details={"error_code": "ramp_limit_exceeded"}), "rate", True),
        (429, error("rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}), "quota", False),
        (400, error("invalid_request_error", details={"error_code": "contract_spend_limit_reached"}), "quota", False),
        (400, error("invalid_request_error", "Your credit balance is too low"), "quota", False),
        (403, error("permission_error", details={"error_code": "organization_on_hold"}), "quota", False),
        (429, error("insufficient_quota"), "quota", False),
        (402, error("billing_error"), "quota", False),
        (529, error("overloaded_error"), "overload", True),
        (200, error("overloaded_error"), "overload", True),
        (200, error("rate_limit_error"), "rate", True),
        (200, error("api_error"), "overload", True),
        (200, error("invalid_request_error"), "bad_request", False),
        (200, "no json", "overload", True),
        (500, error("api_error"), "overload", True),
        (502, "<html>Bad gateway</html>", "overload", True),
        (504, error("timeout_error"), "network", True),
        (408, None, "network", True),
        (409, error("conflict_error"), "overload", True),
        (401, error("authentication_error"), "auth", False),
        (403, error("permission_error"), "auth", False),
        (403, None, "auth", False),
        (400, error("invalid_request_error"), "bad_request", False),
        (400, error("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), "context", False),
        (400, error("invalid_request_error", "input length and `max_tokens` exceed context limit"), "context", False),
        (413, error("request_too_large"), "context", False),
        (413, None, "context", False),
        (404, error("not_found_error", "model: claude-test"), "bad_request", False),
        (422, {"error": "odd"}, "bad_request", False),
        (418, [], "bad_request", False),
    ],
)
def test_a_refusal_is_classified(status: int, body: Any, kind: str, *, retryable: bool) -> None:
    got = refused(status, body)
    assert (got.kind, got.retryable) == (kind, retryable)


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (529, error("overloaded_error", "Overloaded"), "the provider answers 529 overloaded_error: Overloaded"),
        (200, error("overloaded_error", "Overloaded"), "the provider reports overloaded_error: Overloaded"),
        (200, "no json", "the provider reports an error: no json"),
        (400, error("400", "no"), "the provider answers 400: no"),
        (502, None, "the provider answers 502: no reason given"),
    ],
)
def test_a_status_that_says_something_is_told_once_with_the_words_of_the_provider(
    status: int, body: Any, told: str
) -> None:
    assert str(refused(status, body)) == told


def test_the_real_sdk_makes_the_errors_that_are_classified() -> None:
    client = anthropic.Anthropic(api_key=KEY, base_url="http://127.0.0.1", max_retries=0)
    with client:
        response = httpx2.Response(429, text=json.dumps(error("rate_limit_error", "slow down")), request=REQUEST)
        got = meant(client._make_status_error_from_response(response))
    assert (got.kind, str(got)) == ("rate", "the provider answers 429 rate_limit_error: slow down")


def test_the_provider_may_ask_not_to_be_asked_again_and_never_the_other_way_round() -> None:
    assert not refused(529, error("overloaded_error"), x_should_retry="false").retryable
    assert not refused(400, error("invalid_request_error"), x_should_retry="true").retryable


def test_a_refusal_says_what_to_do() -> None:
    assert "check the key" in str(refused(401, error("authentication_error", "it is no key")))
    assert "'claude-test' (any more)" in str(refused(404, error("not_found_error", "model: claude-test")))
    assert "spend limit" in str(refused(402, error("billing_error")))
    assert len(str(refused(502, "<html>" * 1_000))) < 600
    assert "no reason given" in str(refused(500))
    unsaid = failure(anthropic.APIConnectionError(request=REQUEST), model="m", stall=1.0, now=NOW)
    assert unsaid.kind == "network"


def test_limits_come_with_a_refusal() -> None:
    told = {"anthropic_ratelimit_requests_remaining": "0", "retry_after": "7", "server": "x"}
    got = refused(429, error("rate_limit_error"), **told)
    assert (dict(got.limits), got.retry_after) == ({"anthropic-ratelimit-requests-remaining": "0"}, 7.0)
    assert limits_of({"Anthropic-RateLimit-Tokens-Limit": "5"}) == {"anthropic-ratelimit-tokens-limit": "5"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": " 3 "}, 3.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "300"}, 300.0),
        ({"retry-after": "-4"}, 0.0),
        ({"retry-after": "9", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "9", "retry-after-ms": "soon"}, 9.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:42 GMT"}, 42.0),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:42 -0000"}, 42.0),
        ({"retry-after": "Sat, 21 Nov 2026 11:59:00 GMT"}, 0.0),
        ({"retry-after": "in a while"}, None),
        ({"retry-after": "Sat, 21 Nov 99999 12:00:42 GMT"}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=NOW) == seconds


def test_whatever_retry_after_says_is_seconds_or_nothing() -> None:
    chance = Random(1)
    parts = ["Sat,", "21", "Nov", "2026", "99999", "0", "-1", "12:00:00", "24:61:61", "GMT", "+9999", "\u0661", "1e400"]
    for _ in range(2_000):
        seconds = retry_after({"retry-after": " ".join(chance.choices(parts, k=chance.randint(0, 7)))}, now=NOW)
        assert seconds is None or 0 <= seconds < float("inf")


def caused(raised: Exception, cause: Exception) -> Exception:
    raised.__cause__ = cause
    return raised


@pytest.mark.parametrize(
    ("raised", "kind", "retryable", "says"),
    [
        (anthropic.APITimeoutError(REQUEST), "network", True, "silent for 1 min"),
        (httpx2.ReadTimeout("x"), "network", True, "silent for 1 min"),
        (httpx2.RemoteProtocolError("x"), "network", True, "RemoteProtocolError"),
        (httpx2.ReadError("x"), "network", True, "ReadError"),
        (httpx2.DecodingError("x"), "network", True, "DecodingError"),
        (ConnectionResetError("x"), "network", True, "ConnectionResetError"),
        (
            caused(anthropic.APIConnectionError(request=REQUEST), httpx2.ConnectError("x")),
            "network",
            True,
            "ConnectError",
        ),
        (
            caused(anthropic.APIConnectionError(request=REQUEST), httpx2.UnsupportedProtocol("x")),
            "bad_request",
            False,
            "check base_url",
        ),
        (httpx2.InvalidURL("x"), "bad_request", False, "check base_url"),
        (json.JSONDecodeError("x", "doc", 0), "truncated", True, "malformed"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), "truncated", True, "malformed"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "x"), "bad_request", False, "no JSON"),
        (ValueError("Out of range float values"), "bad_request", False, "no JSON"),
        (RuntimeError("the client has been closed"), "network", True, "RuntimeError"),
    ],
)
def test_everything_else_is_classified_too(raised: Exception, kind: str, says: str, *, retryable: bool) -> None:
    got = meant(raised)
    assert (got.kind, got.retryable, got.retry_after) == (kind, retryable, None)
    assert says in str(got)


def test_a_date_counts_from_now() -> None:
    assert retry_after({"retry-after": "Sat, 21 Nov 2026 12:00:42 GMT"}, now=NOW + timedelta(seconds=40)) == 2.0


def test_a_chunk_that_nests_too_deep_is_malformed_and_such_a_request_is_a_bad_one() -> None:
    deep = RecursionError("too deep")
    assert failure(deep, model="m", stall=1.0, now=NOW, begun=True).kind == "truncated"
    assert meant(deep).kind == "bad_request"
