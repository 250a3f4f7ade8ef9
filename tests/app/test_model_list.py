"""What a provider's list of models says about one of them."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from callboard.app.model_list import Listing, described, headers, list_url, listed, model_url, verdict
from callboard.config.providers import Provider

PARTS = ("sk", "PLACEHOLDER")
KEY = "-".join((*PARTS, "1"))
CLAUDE = Provider("anthropic", KEY, headers={"X-Team": "t"})
GPT = Provider("openai", KEY, "http://127.0.0.1:1/v1/")
LOCAL = Provider("openai-chat", "", "http://127.0.0.1:1/v1")
TODAY = date(2026, 11, 21)


def page(*models: dict[str, Any]) -> Listing:
    return listed(200, json.dumps({"data": models}).encode())


def test_each_provider_is_asked_as_it_wants() -> None:
    assert list_url(CLAUDE) == "https://api.anthropic.com/v1/models?limit=1000"
    assert model_url(CLAUDE, "m") == "https://api.anthropic.com/v1/models/m"
    assert list_url(GPT) == "http://127.0.0.1:1/v1/models"
    assert headers(GPT) == {"Authorization": f"Bearer {KEY}"}
    assert headers(LOCAL) == {}
    assert headers(CLAUDE) == {
        "Authorization": f"Bearer {KEY}",
        "anthropic-version": "2026-10-21",
        "X-Team": "t",
    }


@pytest.mark.parametrize(
    ("provider", "model", "level", "text"),
    [
        (CLAUDE, {"id": "m", "lifecycle": "active"}, "good", "listed"),
        (
            CLAUDE,
            {"id": "m", "lifecycle": "retired", "retires_at": "2026-01-02T00:00:00Z"},
            "wrong",
            "retired on 2026-01-02: choose another",
        ),
        (CLAUDE, {"id": "m", "lifecycle": "retired"}, "wrong", "retired: choose another"),
        (
            CLAUDE,
            {"id": "m", "lifecycle": "deprecated", "retires_at": "2026-01-02T00:00:00Z"},
            "odd",
            "deprecated, it ends on 2026-01-02: choose another in time",
        ),
        (
            CLAUDE,
            {"id": "m", "lifecycle": "deprecated"},
            "odd",
            "deprecated, its end is not announced: choose another in time",
        ),
        (GPT, {"id": "m", "shutdown_date": "2026-11-21"}, "wrong", "retired on 2026-11-21: choose another"),
        (
            GPT,
            {"id": "m", "shutdown_date": "2026-11-22"},
            "odd",
            "deprecated, it ends on 2026-11-22: choose another in time",
        ),
        (GPT, {"id": "m", "shutdown_date": None}, "good", "listed"),
        (GPT, {"id": "mm"}, "wrong", "its provider lists no 'm', it has mm"),
        (LOCAL, {"id": "other"}, "odd", "its provider lists no 'm', it has other"),
    ],
)
def test_a_model_is_good_odd_or_wrong(provider: Provider, model: dict[str, Any], level: str, text: str) -> None:
    assert verdict(provider, page(model), "m", today=TODAY) == (level, text)


def test_a_name_that_is_not_there_is_answered_with_the_nearest() -> None:
    found = page(*({"id": f"gpt-{number}"} for number in range(9)))
    assert verdict(GPT, found, "gpt-33", today=TODAY)[1] == "its provider lists no 'gpt-33': did you mean 'gpt-3'?"
    assert verdict(GPT, found, "claude", today=TODAY)[1] == "its provider lists no 'claude', but many others"
    assert verdict(GPT, page(), "gpt-33", today=TODAY) == ("wrong", "its provider lists no 'gpt-33'")


@pytest.mark.parametrize(
    ("status", "content", "level"),
    [
        (401, b"", "wrong"),
        (403, b"", "wrong"),
        (404, b"{}", "odd"),
        (200, b"<html>", "odd"),
        (200, b"[]", "odd"),
        (200, b"[" * 100_000, "odd"),
    ],
)
def test_an_answer_that_is_no_list_says_how_bad_that_is(status: int, content: bytes, level: str) -> None:
    found = listed(status, content)
    assert found.models == {}
    assert verdict(CLAUDE, found, "m", today=TODAY) == (level, found.problem)
    assert str(status) in found.problem


def test_what_is_no_model_in_a_list_is_passed_over() -> None:
    assert listed(200, b'{"data": [1, {"id": "a"}, {"name": "b"}]}').models == {"a": {"id": "a"}}
    assert described(200, b'{"id": "a"}') == {"id": "a"}
    assert described(404, b'{"id": "a"}') is None
    assert described(200, b"{}") is None
