"""The page about alerts says what the code does."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from callboard.bus.guard_messages import GuardEvent
from callboard.config.alerts import Webhook
from callboard.guards.alerts.digest import ID, LISTED, SIGNATURE, Alert, Backoff, digest, signature
from tests.docs.page import blocks

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/guards/alerts.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def is_genuine() -> Any:
    (snippet,) = blocks(PAGE)
    namespace: dict[str, Any] = {}
    exec(snippet.text, namespace)
    return namespace["is_genuine"]


def test_the_snippet_accepts_what_is_posted(is_genuine: Any) -> None:
    now = int(time.time())
    assert is_genuine("secret", b'{"a": 1}', signature("secret", b'{"a": 1}', now))


def test_the_snippet_refuses_everything_else(is_genuine: Any) -> None:
    now, body = int(time.time()), b"{}"
    genuine = signature("secret", body, now)
    assert not is_genuine("other", body, genuine)
    assert not is_genuine("secret", b"{ }", genuine)
    assert not is_genuine("secret", body, signature("secret", body, now - 3_600))
    assert not is_genuine("secret", body, genuine.replace(f"t={now}", f"t={now - 1}"))
    for garbage in ("", "t=,v1=", "v1=abc", f"t={now}", "t=²,v1=x", "x"):
        assert not is_genuine("secret", body, garbage)


def test_the_post_is_the_one_that_is_shown() -> None:
    (shown,) = re.findall(r"<!-- check: post -->\n```json\n(.*?)```", PAGE, re.DOTALL)
    event = GuardEvent(
        id="0f6c2b", at=datetime(2026, 11, 21, 2, 13, 7, tzinfo=UTC), guard="loop", action="kill", acted=True, run="r7",
        agent="triage", sequence=118, evidence=(104, 111, 118), reason="the same search gave the same result 12 times",
    )  # fmt: skip
    assert json.loads(shown) == json.loads(digest([Alert("acme", event)], prefix="cb").body)


def test_the_settings_are_those_of_the_code() -> None:
    rows = [[cell.strip() for cell in row.split("|")] for row in re.findall(r"^\| `\w+` \|.*$", PAGE, re.MULTILINE)]
    shown = {row[1].strip("`"): re.findall(r"`([^`]+)`", row[2]) or row[2] for row in rows}
    fields = Webhook.model_fields
    assert shown.keys() == fields.keys()
    assert shown["on"] == list(fields["on"].default)
    assert (float(shown["every"]), float(shown["timeout"])) == (fields["every"].default, fields["timeout"].default)
    assert all(f"`{header}`" in PAGE for header in (ID, SIGNATURE))
    assert f"at most {LISTED}, the strongest" in PAGE
    assert f"up to {Backoff().longest:g} seconds" in PAGE
