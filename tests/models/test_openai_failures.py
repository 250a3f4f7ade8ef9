"""What OpenAI and compatible servers refuse or report becomes the right error."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.errors import ModelError
from callboard.models.openai.failures import limits, refused, reported, retry_after, truncated, unreachable
from callboard.models.unquoted import without

NOW = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
RETRYABLE = {"rate", "overload", "network", "truncated"}


def refusal(status: int, body: Any = None, **headers: str) -> ModelError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return refused(status, named, body, model="gpt-6", now=NOW)


def error(code: Any = None, kind: Any = None, message: str = "no") -> dict[str, Any]:
    return {"message": message, "type": kind, "param": None, "code": code}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, error("rate_limit_exceeded", "requests"), "rate"),
        (429, error("insufficient_quota", "insufficient_quota"), "quota"),
        (429, error("billing_hard_limit_reached", "billing_error"), "quota"),
        (402, error(), "quota"),
        (403, error("insufficient_quota"), "quota"),
        (401, error("invalid_api_key", "invalid_request_error"), "auth"),
        (403, error("unsupported_country_region_territory"), "auth"),
        (400, error("unsupported_parameter", "invalid_request_error"), "bad_request"),
        (422, {"detail": "what is this"}, "bad_request"),
        (404, error("model_not_found", "invalid_request_error"), "bad_request"),
        (400, error("context_length_exceeded", "invalid_request_error"), "context"),
        (400, error(400, "BadRequestError", "This model's maximum context length is 4096 tokens."), "context"),
        (400, {"error": error(400, "exceed_context_size_error")}, "context"),
        (500, error(None, "server_error", "the request exceeds the available context size"), "context"),
        (413, "<html>", "context"),
        (400, error("content_filter"), "refusal"),
        (400, error("invalid_prompt", "invalid_request_error"), "refusal"),
        (408, None, "network"),
        (409, None, "overload"),
        (500, error(None, "server_error"), "overload"),
        (503, error("server_is_overloaded"), "overload"),
        (529, "", "overload"),
    ],
)
def test_a_status_and_its_codes_become_the_kind_of_the_error(status: int, body: Any, kind: str) -> None:
    found = refusal(status, body)
    assert (found.kind, found.retryable) == (kind, kind in RETRYABLE)


@given(st.sampled_from([400, 402, 403, 429, 500]), st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_what_has_no_quota_left_is_never_retried(status: int, headers: dict[str, str]) -> None:
    for code in ("insufficient_quota", "billing_not_active", "spend_limit_reached"):
        found = refused(
            status, {**headers, "x-should-retry": "true", "retry-after": "1"}, error(code), model="m", now=NOW
        )
        assert (found.kind, found.retryable) == ("quota", False)


def test_the_provider_may_forbid_a_retry_and_not_order_one() -> None:
    assert not refusal(503, None, x_should_retry="false").retryable
    assert refusal(503, None, x_should_retry="true").retryable
    assert not refusal(400, None, x_should_retry="true").retryable


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500"}, 1.5),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Sat, 21 Nov 2026 18:00:30 GMT"}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 18:00:30 -0000"}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 17:59:00 GMT"}, 0.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({}, None),
    ],
)
def test_every_form_of_retry_after_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=NOW) == seconds


@given(st.text())
def test_no_header_stops_the_reading(said: str) -> None:
    found = retry_after({"retry-after": said, "retry-after-ms": said}, now=NOW)
    assert found is None or found >= 0


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Please try again in 1.2s. Visit https://example.com to learn more.", 1.2),
        ("Please try again in 6ms.", 0.006),
        ("Please try again in 7m12s.", 432.0),
        ("Please try again in 1h2m3.5s.", 3723.5),
        ("Please retry after 20 seconds.", 20.0),
        ("Please try again in a while.", None),
        ("Please try again in .s", None),
        ("Please try again later.", None),
    ],
)
def test_a_rate_limit_may_say_in_words_how_long_to_wait(words: str, seconds: float | None) -> None:
    body = error("rate_limit_exceeded", "tokens", f"Rate limit reached for m: Limit 30000, Used 29000. {words}")
    assert refusal(429, body).retry_after == pytest.approx(seconds)
    assert reported(body).retry_after == pytest.approx(seconds)


def test_a_header_counts_before_words_and_words_only_for_a_rate_limit() -> None:
    told = error("rate_limit_exceeded", "tokens", "Please try again in 9s.")
    assert refusal(429, told, retry_after="2").retry_after == 2.0
    assert refusal(500, error("server_error", "x", "Please try again in 9s.")).retry_after is None
    assert reported({"code": "server_error", "message": "Please try again in 9s."}).retry_after is None


def test_the_headers_about_limits_are_handed_on_as_they_came() -> None:
    headers = {"X-RateLimit-Remaining-Requests": "0", "x-ratelimit-reset-requests": "6m0s", "date": "now"}
    told = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}
    assert limits(headers) == told
    assert refused(429, headers, None, model="m", now=NOW).limits == told


def test_an_error_says_what_to_do_next() -> None:
    assert str(refusal(404, error("model_not_found", message="There is none"))) == (
        "the provider answers 404 model_not_found: There is none: "
        "is there a model 'gpt-6' at this base URL? It may be misspelt or retired"
    )
    assert "add credit" in str(refusal(429, error("insufficient_quota")))


@pytest.mark.parametrize("code", [400, "400"])
def test_a_status_that_is_the_code_too_is_told_once(code: Any) -> None:
    assert str(refusal(400, error(code, "BadRequestError", "no"))) == "the provider answers 400 BadRequestError: no"
    assert str(reported(error(code, "BadRequestError", "no"))) == "the provider reports 400 BadRequestError: no"
    assert str(refusal(500, error(code, "400", "no"))) == "the provider answers 500 400: no"


def test_what_a_provider_says_about_a_wrong_key_is_not_repeated() -> None:
    assert "qwerty" not in str(refusal(401, error("invalid_api_key", message="Incorrect API key: qwerty")))
    assert "qwerty" not in str(reported(error("invalid_api_key", message="Incorrect API key: qwerty")))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("<html>\n  gone </html>", "<html> gone </html>"),
        ({"error": "model is required"}, "model is required"),
        ({"object": "error", "message": "vLLM says so", "code": 400}, "vLLM says so"),
        ({"detail": "Not here"}, "Not here"),
        ({"detail": [{"msg": "Field required"}]}, '[{"msg":"Field required"}]'),
        ({"error": {"message": "x" * 9_999}}, "x" * 400),
        (None, ""),
        ([1], ""),
    ],
)
def test_the_message_is_found_in_every_form_that_servers_have(body: Any, message: str) -> None:
    told = str(refusal(418, body))
    assert told.startswith("the provider answers 418")
    assert told.endswith(message)
    assert len(told) < 500


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (error("server_error"), "overload"),
        (error("server_is_overloaded"), "overload"),
        (error("rate_limit_exceeded"), "rate"),
        (error("insufficient_quota"), "quota"),
        (error("context_length_exceeded"), "context"),
        (error(None, None, "Input is too long: the context size was exceeded"), "context"),
        (error("invalid_prompt"), "refusal"),
        (error("invalid_image_format"), "bad_request"),
        (error("invalid_api_key"), "auth"),
        (error(429), "rate"),
        (error(500, "InternalServerError"), "overload"),
        (error(True), "overload"),
        ({"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}, "bad_request"),
        (None, "overload"),
        ("it broke", "overload"),
    ],
)
def test_an_error_in_the_stream_is_told_by_its_code(event: Any, kind: str) -> None:
    found = reported(event, {"x-ratelimit-limit-requests": "1"})
    assert (found.kind, found.retryable, dict(found.limits)) == (
        kind,
        kind in RETRYABLE,
        {"x-ratelimit-limit-requests": "1"},
    )


def test_what_the_network_broke_may_be_retried() -> None:
    assert (truncated("cut").kind, truncated("cut").retryable) == ("truncated", True)
    assert (unreachable("lost").kind, unreachable("lost").retryable) == ("network", True)


def test_no_secret_stays_in_an_error() -> None:
    secret = f"PLACEHOLDER-{NOW.year}"
    told = ModelError("rate", f"slow down, {secret}!", retryable=True, retry_after=3.0, limits={"a": "b"})
    kept = without(told, (secret, "", "none"))
    assert str(kept) == "slow down, ***!"
    assert (kept.kind, kept.retryable, kept.retry_after, kept.limits) == ("rate", True, 3.0, {"a": "b"})
    assert without(kept, (secret,)) is kept
    assert without(ModelError("rate", "none left", retryable=True), ("none",)).args == ("none left",)
