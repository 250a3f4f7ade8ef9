"""What a webhook is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.bus.guard_messages import GuardEvent
from callboard.config.alerts import DEFAULT_ON, Alerts, Webhook
from callboard.guards.alerts.digest import LISTED, Alert, Backoff, answer, digest, signature, wanted

T0 = datetime(2026, 11, 21, tzinfo=UTC)


def event(number: int = 1, *, guard: str = "loop", action: str = "kill", **fields) -> GuardEvent:
    given = {"reason": f"reason {number}", "run": f"r{number}", "acted": True, **fields}
    return GuardEvent(id=f"e{number}", at=T0 + timedelta(seconds=number), guard=guard, action=action, **given)


def alert(number: int = 1, *, tenant: str = "acme", **fields) -> Alert:
    return Alert(tenant, event(number, **fields))


def test_by_default_kills_pauses_denials_of_the_budget_and_the_breaker_are_told() -> None:
    told = [
        (guard, action)
        for guard in ("budget", "loop", "breaker")
        for action in ("observe", "warn", "nudge", "throttle", "deny", "pause", "kill")
        if wanted(event(guard=guard, action=action), DEFAULT_ON)
    ]
    assert ("budget", "deny") in told
    assert ("loop", "deny") not in told
    assert ("budget", "warn") not in told
    assert ("breaker", "warn") in told
    assert {("budget", "kill"), ("loop", "kill"), ("budget", "pause"), ("loop", "pause")} <= set(told)


@pytest.mark.parametrize("mode", ["shadow", "warn"])
def test_a_guard_that_only_says_so_pages_nobody(mode: str) -> None:
    assert not wanted(event(mode=mode), ("*.*",))
    assert wanted(event(), ("*.*",))


def test_one_alert_has_its_own_id_and_says_everything_that_is_short() -> None:
    told = digest([alert(7, threshold=2.0, value=2.01, evidence=(3, 4), data={"x": 1}, agent="a")], prefix="cb")
    body = json.loads(told.body)
    assert (told.id, told.count) == ("acme.loop.e7", 1)
    assert body["text"] == "loop kill acme/r7: reason 7"
    assert body["alerts"] == [
        {
            "id": "acme.loop.e7", "at": "2026-11-21T00:00:07Z", "guard": "loop", "action": "kill", "reason": "reason 7",
            "run": "r7", "agent": "a", "evidence": [3, 4], "threshold": 2.0, "value": 2.01, "tenant": "acme",
        }
    ]  # fmt: skip
    long = json.loads(digest([alert(1, reason="x" * 9_000, value="y" * 9_000, run="")], prefix="cb").body)
    assert long["alerts"][0]["reason"] == "x" * 2_000
    assert "value" not in long["alerts"][0]
    assert long["text"] == f"loop kill: {'x' * 2_000}"


def test_many_alerts_are_counted_and_the_strongest_are_listed() -> None:
    denied = [alert(n, guard="budget", action="deny") for n in range(100)]
    told = digest([*denied, alert(200), *denied], prefix="cb")
    body = json.loads(told.body)
    assert (body["count"], body["counts"]) == (101, {"budget.deny": 100, "loop.kill": 1})
    assert body["text"] == "101 alerts: 100 budget.deny, 1 loop.kill. First: loop kill acme/r200: reason 200"
    assert [each["action"] for each in body["alerts"]] == ["kill"] + ["deny"] * (LISTED - 1)
    assert [each["id"] for each in body["alerts"][1:3]] == ["acme.budget.e0", "acme.budget.e1"]


@given(st.permutations(range(6)), st.lists(st.integers(0, 5)))
def test_a_digest_of_the_same_alerts_is_the_same_whatever_their_order(order: list[int], again: list[int]) -> None:
    alerts = [alert(n) for n in order]
    twice = digest([*alerts, *(alert(n) for n in again)], prefix="cb")
    assert twice == digest(sorted(alerts, key=lambda each: each.id), prefix="cb")
    assert twice.id != digest(alerts[1:], prefix="cb").id


def test_a_signature_is_of_the_time_and_the_body() -> None:
    mac = "e9232c9945da8456c2dea6b39da7786c07b00bca7a64d5dd1283674713a7b72a"
    assert signature("s", b"{}", 1_700_000_000) == f"t=1700000000,v1={mac}"
    others = {signature("s", b"{}", 1), signature("s", b"{}", 2), signature("s", b"[]", 1), signature("t", b"{}", 1)}
    assert len({each.partition(",")[2] for each in others}) == 4


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, "taken"), (204, "taken"), (299, "taken"), (301, "refused"), (307, "refused"), (400, "refused"),
     (404, "refused"), (410, "refused"), (408, "again"), (425, "again"), (429, "again"), (500, "again"), (503, "again"),
     (199, "refused")],
)  # fmt: skip
def test_an_answer_means_taken_again_or_refused(status: int, kind: str) -> None:
    assert answer(status).kind == kind


def test_the_receiver_may_say_how_long_to_wait() -> None:
    assert answer(429, "17").retry_after == 17.0
    assert answer(503, "Wed, 21 Oct 2026 07:28:00 GMT").retry_after == 0.0
    assert answer(503, "²").retry_after == 0.0
    assert Backoff().pause(1, "x", retry_after=30.0) == 30.0
    assert Backoff().pause(1, "x", retry_after=86_400.0) == 300.0


@given(st.integers(1, 10_000), st.text(max_size=20))
def test_pauses_double_up_to_the_longest_and_are_spread(attempt: int, key: str) -> None:
    full = min(300.0, 2.0 ** min(attempt - 1, 20))
    assert full / 2 <= Backoff().pause(attempt, key) <= full


def test_posts_of_different_alerts_wait_for_different_times() -> None:
    assert len({Backoff().pause(5, f"acme.loop.e{n}") for n in range(50)}) > 25


def test_a_secret_and_an_address_do_not_show() -> None:
    alerts = Alerts.model_validate(
        {"webhooks": {"ops": {"url": "https://hooks.example.com/T0PSECRET", "secret": "hush"}}}
    )
    assert "hush" not in repr(alerts) + str(alerts.model_dump())
    assert "T0PSECRET" not in repr(alerts)
    assert alerts.webhooks["ops"].secret.get_secret_value() == "hush"


def test_a_webhook_may_ask_for_anything() -> None:
    hook = Webhook.model_validate({"url": "http://127.0.0.1:8080/a?b#c", "secret": "s", "on": ["*.*", "my-guard.deny"]})
    assert [wanted(event(guard=guard, action="deny"), hook.on) for guard in ("my-guard", "other")] == [True, True]
    assert not wanted(event(guard="other", action="deny"), hook.on[1:])


@pytest.mark.parametrize(
    "wrong",
    [{"url": "ftp://x/"}, {"url": "https://user:password@x/"}, {"url": "https:///x"}, {"secret": ""}, {"on": ["kill"]},
     {"on": ["a b.kill"]}, {"on": ["loop.explode"]}, {"every": 0}],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Webhook.model_validate({"url": "https://x/", "secret": "s", **wrong})
