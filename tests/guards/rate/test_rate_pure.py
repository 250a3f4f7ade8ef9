"""The limits as values: no minute sees more than its limit, tenants take turns, providers are understood."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.bus.messages import Usage
from callboard.config.guards import RateLimit
from callboard.config.spec import ModelChoice
from callboard.guards.rate import gcra
from callboard.guards.rate import line as lines
from callboard.guards.rate.estimate import counted, too_large
from callboard.guards.rate.families import limit_of, line_of
from callboard.guards.rate.gcra import Bucket
from callboard.guards.rate.headers import EARNED, Learned, learn, narrowed
from callboard.guards.rate.line import Line, Want
from callboard.guards.rate.wire import Allowed

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def want(name: str, *, tenant: str = "t", inputs: int = 0, outputs: int = 0, lease: float = 60.0) -> Want:
    return Want(name, tenant, inputs, outputs, lease)


def most_in_a_minute(taken: list[tuple[float, float]]) -> float:
    """The most that a strict provider, which looks at every window of 60 s, ever sees."""
    return max(
        (sum(cost for at, cost in taken if start <= at < start + 60) for start, _ in taken),
        default=0.0,
    )


# ---- one bucket -----------------------------------------------------------------------------------------------------
@settings(max_examples=100, deadline=None)
@given(
    st.integers(2, 400),
    st.lists(st.tuples(st.floats(0, 40), st.floats(0.001, 1.2)), min_size=1, max_size=60),
    st.booleans(),
)
def test_no_minute_sees_more_than_its_limit(limit, calls, eager):
    """Costs of up to 1.2 times the limit, with pauses; ``eager``: without."""
    bucket, now, taken = Bucket(limit), 0.0, []
    for pause, share in calls:
        cost = min(share * limit, limit)
        now += (0.0 if eager else pause) + bucket.wait(cost, now + (0.0 if eager else pause))
        assert bucket.wait(cost, now) <= 1e-6
        bucket = bucket.take(cost, now)
        taken.append((now, cost))
    assert most_in_a_minute(taken) <= limit * (1 + 1e-6)


def test_one_a_minute_is_one_a_minute():
    bucket = Bucket(1)
    assert bucket.wait(1, 5.0) == 0.0
    assert bucket.take(1, 5.0).wait(1, 64.9) > 0


def test_a_bucket_of_the_usual_kind_would_break_the_limit(monkeypatch):
    monkeypatch.setattr(gcra, "_BURST", 0.5)
    monkeypatch.setattr(Bucket, "_rate", property(lambda bucket: bucket.limit / 60))
    with pytest.raises(AssertionError):
        test_no_minute_sees_more_than_its_limit.hypothesis.inner_test(60, [(0.0, 1 / 60)] * 100, eager=True)


@pytest.mark.parametrize("limit", [20, 60, 1_000])
def test_who_has_much_to_do_gets_nearly_all_of_the_limit(limit):
    bucket, now, count = Bucket(limit), 0.0, 0
    while now < 600:
        now += bucket.wait(1, now)
        bucket, count = bucket.take(1, now), count + 1
    assert count / 10 >= limit * 0.9


def test_a_bucket_that_rested_lets_a_burst_go_at_once():
    bucket, at_once = Bucket(200), 0
    while not bucket.wait(1, 0.0):
        bucket, at_once = bucket.take(1, 0.0), at_once + 1
    assert at_once == 10


def test_what_was_not_used_is_there_again():
    bucket = Bucket(60).take(30, 0.0)
    waits = bucket.wait(1, 0.0)
    assert bucket.correct(-30).wait(1, 0.0) < waits
    assert bucket.correct(10).wait(1, 0.0) > waits


# ---- a line ---------------------------------------------------------------------------------------------------------
def drain(line: Line, *, until: float, now: float = 0.0) -> tuple[Line, list[tuple[float, Want]]]:
    """Let everybody go as soon as they may, and begin; they come again so that nobody is forgotten."""
    gone: list[tuple[float, Want]] = []
    while now < until:
        for queue in tuple(line.queues.values()):
            for each, _ in queue:
                line = lines.join(line, each, now)
        line, found, wait = lines.next_up(line, now)
        if found is not None:
            gone.append((now, found))
            line = lines.begun(line, found, now)
        elif wait == inf:
            break
        else:
            now += max(wait, 1e-6)
    return line, gone


def test_tenants_take_turns_however_many_calls_one_has():
    line = Line.of(RateLimit(requests=60))
    for number in range(50):
        line = lines.join(line, want(f"a{number}", tenant="greedy"), 0.0)
    for number in range(5):
        line = lines.join(line, want(f"b{number}", tenant="modest"), 0.0)
    _, gone = drain(line, until=100)
    assert len(gone) == 55
    assert Counter(each.tenant for _, each in gone[:10]) == {"greedy": 5, "modest": 5}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3_000), st.integers(0, 900)), max_size=40))
def test_everybody_goes_at_last_and_no_limit_is_broken(wants):
    limit = RateLimit(requests=30, input_tokens=20_000, output_tokens=4_000)
    line = Line.of(limit)
    for number, (tenant, inputs, outputs) in enumerate(wants):
        line = lines.join(line, want(f"w{number}", tenant=tenant, inputs=inputs, outputs=outputs), 0.0)
    _, gone = drain(line, until=100_000)
    assert {each.id for _, each in gone} == {f"w{number}" for number in range(len(wants))}
    assert most_in_a_minute([(at, 1) for at, _ in gone]) <= 30
    assert most_in_a_minute([(at, each.input_tokens) for at, each in gone]) <= 20_000 * (1 + 1e-6)
    assert most_in_a_minute([(at, each.output_tokens) for at, each in gone]) <= 4_000 * (1 + 1e-6)


def test_a_permit_comes_back_with_the_end_of_the_call_or_of_its_lease():
    line = Line.of(RateLimit(concurrency=2))
    for name in ("a", "b", "c"):
        line = lines.join(line, want(name), 0.0)
    line, gone = drain(line, until=0.001)
    assert [each.id for _, each in gone] == ["a", "b"]
    line = lines.ended(line, "a", 0.001, inputs=None, outputs=None, started=True)
    line, gone = drain(line, until=1.0)
    assert [each.id for _, each in gone] == ["c"]
    line = lines.join(line, want("d"), 1.0)
    line, found, wait = lines.next_up(line, 1.0)
    assert (found, wait) == (None, lines.HEARD)
    line, gone = drain(line, until=70.0, now=1.0)
    assert [(round(at), each.id) for at, each in gone] == [(60, "d")]


def test_a_call_that_never_started_costs_nothing_and_one_that_used_less_gives_the_rest_back():
    limit = RateLimit(requests=20, input_tokens=2_000, output_tokens=2_000)
    fresh = lines.join(Line.of(limit), want("a", inputs=500, outputs=500), 0.0)
    line, found, _ = lines.next_up(fresh, 0.0)
    assert found is not None
    later = want("b", inputs=10, outputs=10)
    used = lines.ended(line, "a", 0.0, inputs=None, outputs=None, started=True)
    less = lines.ended(line, "a", 0.0, inputs=20, outputs=5, started=True)
    none = lines.ended(line, "a", 0.0, inputs=None, outputs=None, started=False)
    assert used.wait(later, 0.0) > less.wait(later, 0.0) > none.wait(later, 0.0)
    assert none.wait(later, 0.0) == 0.0
    assert lines.ended(Line.of(RateLimit(concurrency=1)), "x", 0.0, inputs=1, outputs=1, started=True) == Line.of(
        RateLimit(concurrency=1)
    )


def test_calls_that_may_need_more_than_the_limit_do_not_get_more_back_than_was_taken():
    line, now, starts = Line.of(RateLimit(input_tokens=1_000)), 0.0, []
    for name in ("a", "b", "c"):
        line, found, wait = lines.next_up(lines.join(line, want(name, inputs=5_000), now), now)
        while found is None:
            now += wait
            line, found, wait = lines.next_up(lines.join(line, want(name, inputs=5_000), now), now)
        starts.append((now, 900.0))
        line = lines.ended(line, name, now, inputs=900, outputs=0, started=True)
    assert most_in_a_minute(starts) <= 1_000


def test_a_line_that_is_frozen_lets_nobody_go_until_then():
    line = lines.join(lines.freeze(Line.of(RateLimit(requests=60)), 30.0), want("a"), 29.0)
    assert lines.freeze(line, 3.0).frozen == 30.0
    _, gone = drain(line, until=40.0, now=29.0)
    assert [at for at, _ in gone] == [pytest.approx(30.0, abs=0.01)]


def test_who_is_not_heard_of_again_and_who_leaves_is_forgotten():
    line = lines.freeze(Line.of(RateLimit(requests=60)), 3.5)
    line = lines.join(lines.join(line, want("a"), 0.0), want("b"), 1.0)
    line = lines.leave(lines.join(line, want("c", tenant="other"), 1.0), "c")
    line, found, _ = lines.next_up(line, 3.6)
    assert found == want("b")
    assert lines.join(line, want("b"), 3.7).queues == {}, "it is under way"


def busy(line: Line, now: float, number: int, tenants: str) -> Line:
    """Small calls of ``tenants`` come and come, and those that wait go on waiting."""
    for tenant in tenants:
        waiting = [each for each, _ in line.queues.get(tenant, ()) if not each.away]
        for each in waiting or [want(f"{tenant}{number}", tenant=tenant, inputs=50)]:
            line = lines.join(line, each, now)
    return line


@settings(max_examples=60, deadline=None)
@given(
    share=st.floats(0.01, 3.0),
    ahead=st.integers(0, 3),
    tenants=st.sampled_from(("t", "tu", "tuv")),
    absences=st.lists(st.tuples(st.integers(0, 4), st.floats(2.5, 40.0)), max_size=3),
)
def test_a_call_of_any_size_is_let_go_after_a_bounded_number_of_others(share, ahead, tenants, absences):
    """Others never end; it may be put off meanwhile (``absences``: after so many others, for so many seconds)."""
    line, now, passed = Line.of(RateLimit(input_tokens=1_000)), 0.0, 0
    for number in range(ahead):
        line = lines.join(line, want(f"first{number}", inputs=50), now)
    big, back = want("big", inputs=round(1_000 * share)), 0.0
    line = lines.join(line, big, now)
    while "big" not in line.held:
        here = now >= back
        if here and absences and passed >= absences[0][0]:
            _, seconds = absences.pop(0)
            back, here = now + seconds, False
            line = lines.join(line, replace(big, away=seconds + 30.0), now)
        for number in range(ahead):
            if any(each.id == f"first{number}" for each, _ in line.queues.get("t", ())):
                line = lines.join(line, want(f"first{number}", inputs=50), now)
        if here:
            line = lines.join(line, big, now)
        line = busy(line, now, passed, tenants)
        line, found, wait = lines.next_up(line, now)
        if found is None:
            now += min(wait, 1.0)
        elif found.id != "big":
            line, passed = lines.begun(line, found, now), passed + 1
            assert passed <= (ahead + 1) * len(tenants)


def test_a_call_that_comes_back_finds_its_place_or_that_it_may_start():
    first, second = want("first", inputs=900), want("second", inputs=10)
    line = lines.next_up(lines.join(Line.of(RateLimit(input_tokens=1_000, concurrency=1)), want("x"), 0.0), 0.0)[0]
    line = lines.join(lines.join(line, replace(first, away=60.0), 0.0), second, 0.0)
    line, found, _ = lines.next_up(lines.join(line, second, 50.0), 50.0)
    assert found is None, "it keeps its place although nobody waits"
    line = lines.ended(line, "x", 50.0, inputs=0, outputs=0, started=True)
    line, found, _ = lines.next_up(line, 55.0)
    assert found is not None
    assert found.id == "first"
    again = lines.join(line, first, 56.0)
    assert again.held["first"] == (first, 56.0 + first.lease)
    assert again.wait(second, 70.0) > 0


def test_a_call_that_never_comes_back_costs_nothing():
    away = want("away", inputs=900)
    line = lines.join(Line.of(RateLimit(input_tokens=1_000, concurrency=1)), replace(away, away=10.0), 0.0)
    line, found, _ = lines.next_up(line, 0.0)
    assert found is not None
    line = lines.join(line, want("next", inputs=50), 14.0)
    line, found, _ = lines.next_up(line, 14.0)
    assert found is not None
    assert found.id == "next"


# ---- calls that arrive later than they were let go ---------------------------------------------------------------
def arrivals(limit: RateLimit, wants: list[tuple[Want, float]]) -> list[tuple[float, Want]]:
    """All come at once, are let go as soon as they may, and arrive, each so many seconds late."""
    line, now, late = Line.of(limit), 0.0, {each.id: seconds for each, seconds in wants}
    coming: list[tuple[float, Want]] = []
    arrived: list[tuple[float, Want]] = []
    for each, _ in wants:
        line = lines.join(line, each, now)
    while coming or line.queues:
        while coming and coming[0][0] <= now:
            arrived.append(coming.pop(0))
            line = lines.begun(line, arrived[-1][1], now)
        for queue in tuple(line.queues.values()):
            for each, _ in queue:
                line = lines.join(line, each, now)
        line, found, wait = lines.next_up(line, now)
        if found is None:
            now = min([now + max(wait, 1e-6), *(at for at, _ in coming)])
        else:
            coming = sorted([*coming, (now + late[found.id], found)], key=lambda each: each[0])
    return arrived


LATE = st.floats(0, 0.9 * lines.BEGIN)


@settings(max_examples=40, deadline=None)
@given(st.integers(20, 200), st.lists(st.tuples(LATE, st.integers(1, 3_000)), min_size=1, max_size=60))
def test_however_late_calls_arrive_no_minute_of_their_provider_sees_more_than_its_limit(requests, calls):
    limit = RateLimit(requests=requests, input_tokens=20_000)
    wants = [(want(f"w{at}", inputs=inputs), late) for at, (late, inputs) in enumerate(calls)]
    seen = arrivals(limit, wants)
    assert len(seen) == len(calls), "and all of them arrive"
    assert most_in_a_minute([(at, 1) for at, _ in seen]) <= requests
    assert most_in_a_minute([(at, each.input_tokens) for at, each in seen]) <= 20_000 * (1 + 1e-6)


@pytest.mark.parametrize("held_back", [True, False])
def test_calls_that_come_late_at_first_would_bunch_up_if_what_they_took_was_earned_meanwhile(monkeypatch, held_back):
    if not held_back:
        monkeypatch.setattr(lines, "_held_back", lambda line, now: line)
    wants = [(want(f"w{at}"), 9.0 if at < 20 else 0.0) for at in range(100)]
    most = most_in_a_minute([(at, 1) for at, _ in arrivals(RateLimit(requests=60), wants)])
    assert (most <= 60) == held_back


def test_a_call_that_never_says_that_it_begins_holds_the_others_back_for_so_long_only():
    line = lines.next_up(lines.join(Line.of(RateLimit(requests=20)), want("lost"), 0.0), 0.0)[0]
    line, found, _ = lines.next_up(lines.join(line, want("a"), 9.0), 9.0)
    assert found is None
    assert lines.next_up(line, lines.BEGIN)[1] is None, "what it took counts from then"
    later = lines.join(lines.next_up(line, lines.BEGIN)[0], want("a"), lines.BEGIN + 4.0)
    assert lines.next_up(later, lines.BEGIN + 4.0)[1] == want("a")


def test_a_call_that_another_has_let_go_counts_when_it_begins():
    line = Line.of(RateLimit(requests=20, concurrency=1))
    waiting = lines.join(line, want("a"), 0.0)
    line = lines.begun(waiting, want("a"), 0.0)
    assert (line.queues, set(line.held), dict(line.coming)) == ({}, {"a"}, {})
    line = lines.ended(line, "a", 0.0, inputs=None, outputs=None, started=True)
    assert lines.next_up(lines.join(line, want("b"), 0.0), 0.0)[1] is None


def test_a_call_that_begins_long_after_it_was_let_go_counts_once_more():
    line = lines.next_up(lines.join(Line.of(RateLimit(requests=20)), want("a"), 0.0), 0.0)[0]
    line = lines.begun(lines.next_up(line, 30.0)[0], want("a"), 30.0)
    assert lines.next_up(lines.join(line, want("b"), 30.0), 30.0)[1] is None


# ---- headers --------------------------------------------------------------------------------------------------------
def test_what_anthropic_says_is_understood():
    headers = {
        "Anthropic-RateLimit-Requests-Limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-11-21T12:00:40Z",
        "anthropic-ratelimit-input-tokens-limit": "40000",
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-output-tokens-remaining": "10",
        "anthropic-ratelimit-output-tokens-reset": "2026-11-21T12:00:59Z",
    }
    learned = learn(headers, now=NOW)
    assert learned.allowed == Allowed(requests=50, input_tokens=40_000, output_tokens=8_000)
    assert learned.frozen == pytest.approx(40 * EARNED), "that is when all of it is there again"


def test_what_openai_says_is_understood():
    headers = {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6m0s",
        "x-ratelimit-remaining-requests": "-1",
        "x-ratelimit-reset-requests": "1h0m0s",
    }
    learned = learn(headers, now=NOW)
    assert learned.allowed == Allowed(requests=500, input_tokens=30_000)
    assert learned.frozen == pytest.approx(360 * EARNED)


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [("1h2m3s", 3_723.0), ("20ms", 0.02), ("1.5s", 1.5), ("nonsense", 0.0), ("", 0.0), ("2026-11-21T12:00:01", 1.0),
     ("2026-11-21T11:00:00Z", 0.0), ("5", 0.0)],
)  # fmt: skip
def test_a_reset_is_a_duration_or_an_instant(reset, seconds):
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": reset}
    assert learn(headers, now=NOW).frozen == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["-1", "0", "", "many", "1e9", "²", "9" * 20])
def test_a_limit_that_is_not_known_changes_nothing(value):
    assert learn({"x-ratelimit-limit-requests": value}, now=NOW) == Learned()


def test_a_provider_narrows_what_is_configured_and_never_widens_it():
    configured = RateLimit(requests=100, output_tokens=4_000, concurrency=3)
    said = narrowed(configured, Allowed(requests=50, input_tokens=40_000, output_tokens=8_000))
    assert said == RateLimit(requests=50, input_tokens=40_000, output_tokens=4_000, concurrency=3)
    assert narrowed(configured, Allowed()) == configured


def test_a_limit_that_turns_out_to_be_smaller_holds_for_what_was_taken_before():
    line = Line.of(RateLimit(requests=600))
    for number in range(30):
        line = lines.next_up(lines.join(line, want(f"w{number}"), 0.0), 0.0)[0]
    smaller = lines.relimited(line, RateLimit(requests=20, input_tokens=9))
    assert lines.relimited(line, RateLimit(requests=600)) == line
    assert smaller.wait(want("x"), 0.0) > line.wait(want("x"), 0.0) > 0
    assert smaller.inputs == Bucket(9)
    assert lines.relimited(smaller, RateLimit(requests=20)).inputs is None


# ---- families -------------------------------------------------------------------------------------------------------
LIMITS = {
    name: RateLimit(requests=number)
    for number, name in enumerate(
        ("anthropic/claude-*", "anthropic/claude-opus-*", "anthropic/claude-opus-5", "anthropic:batch/claude-*", "x/*"),
        start=1,
    )
}


@pytest.mark.parametrize(
    ("provider", "name", "key", "line", "requests"),
    [
        ("anthropic", "claude-haiku-5", None, "anthropic/claude-*", 1),
        ("anthropic", "claude-opus-4", None, "anthropic/claude-opus-*", 2),
        ("anthropic", "claude-opus-5", None, "anthropic/claude-opus-5", 3),
        ("anthropic", "claude-opus-5", "batch", "anthropic:batch/claude-*", 4),
        ("anthropic", "claude-opus-5", "mine", "anthropic:mine/claude-opus-5", 3),
        ("anthropic", "other", None, None, None),
        ("anthropic", "", "mine", None, None),
        ("x", "", None, "x/*", 5),
        ("xy", "m", None, None, None),
    ],
)
def test_a_model_waits_in_the_line_of_its_family_and_its_key(provider, name, key, line, requests):
    assert line_of(LIMITS, ModelChoice(provider=provider, name=name, key_name=key)) == line
    if line is not None:
        assert limit_of(LIMITS, line) == RateLimit(requests=requests)


def test_a_line_that_nobody_configured_has_no_limit():
    assert limit_of(LIMITS, "anthropic/other") is None


# ---- estimate -------------------------------------------------------------------------------------------------------
def test_what_was_read_from_a_cache_counts_against_a_limit_except_with_anthropic():
    usage = Usage(input_tokens=1, cached_tokens=2, written_tokens=4, output_tokens=8)
    assert counted(usage, "anthropic") == (5, 8)
    assert counted(usage, "openai") == (7, 8)
    assert counted(Usage(cached_tokens=2), "anthropic") == (0, 0)
    assert counted(Usage(), "openai") is None


def test_a_call_that_can_never_fit_its_limit_is_told_apart():
    limit = RateLimit(input_tokens=1_000, output_tokens=100)
    assert not too_large(limit, 1_000, 100)
    assert not too_large(RateLimit(requests=1), 10**9, 10**9)
    assert "1,001 input tokens" in too_large(limit, 1_001, 1)
    assert "101 output tokens" in too_large(limit, 1, 101)
