"""What the end of a call says, and the names of circuits."""

from __future__ import annotations

import pytest

from callboard.actors.gate import Ending
from callboard.actors.state import Call
from callboard.bus.messages import GuardDenied, Problem
from callboard.bus.subjects import Subjects
from callboard.config.guards import Breaker
from callboard.config.spec import Limits, ToolSpec
from callboard.guards.breaker.circuit import Circuit
from callboard.guards.breaker.names import Line, line, problem, said
from callboard.guards.breaker.outcome import last_but_one, outcome
from callboard.models.port import ChatRequest
from tests.guards.breaker.model_fleet import ASK, SPEC, T0

TOOL = ASK._replace(kind="tool", name="look")


def asked(timeout: float):
    request = ChatRequest(SPEC.model, "", (), (), attempt=1, call="m1", run="r", input="", timeout=timeout)
    return ASK._replace(request=request)


@pytest.mark.parametrize("error", ["model_overload", "model_network", "model_truncated", "first_token"])
def test_a_provider_that_does_not_answer_has_failed(error):
    assert outcome(ASK, Ending("failed", 1.0, error=error), slow_after=60) == "failed"


@pytest.mark.parametrize(
    "error", ["model_rate", "model_quota", "model_auth", "model_bad_request", "model_context", "model_refusal"]
)
def test_a_provider_that_refuses_has_answered(error):
    assert outcome(ASK, Ending("failed", 1.0, error=error), slow_after=60) == "answered"


@pytest.mark.parametrize("how", ["cancelled", "unstarted"])
def test_a_call_that_was_cut_off_says_nothing(how):
    assert outcome(ASK, Ending(how, 100.0, error="model_network"), slow_after=60) == "nothing"


def test_an_answer_is_slow_after_so_many_seconds_and_a_tool_never_is():
    assert outcome(ASK, Ending("done", 60.0), slow_after=60) == "good"
    assert outcome(ASK, Ending("done", 60.1), slow_after=60) == "slow"
    assert outcome(TOOL, Ending("done", 600.0), slow_after=60) == "good"


def test_a_call_that_the_deadline_of_its_run_cut_short_says_nothing():
    late = Ending("failed", 5.0, error="model_network")
    assert outcome(asked(5.0), late, slow_after=60) == "nothing"
    assert outcome(asked(300.0), late, slow_after=60) == "failed"
    assert outcome(asked(20.0), late, slow_after=60) == "failed", "it broke before the deadline"
    assert outcome(TOOL, Ending("failed", 5.0, error="timeout"), slow_after=60) == "nothing"
    assert outcome(TOOL, Ending("failed", 60.0, error="timeout"), slow_after=60) == "failed"


def test_a_tool_has_its_own_timeout():
    spec = SPEC.model_copy(update={"tools": (ToolSpec(name="look", timeout=10.0),)})
    ask = TOOL._replace(spec=spec)
    assert outcome(ask, Ending("failed", 10.0, error="timeout"), slow_after=60) == "failed"
    assert outcome(ask, Ending("failed", 9.0, error="timeout"), slow_after=60) == "nothing"


def test_a_tool_that_crashes_has_failed_and_one_that_refuses_has_answered():
    found = [
        outcome(TOOL, Ending("failed", 1.0, error=error), slow_after=60)
        for error in ("tool_crashed", "not_found", "bad_result", "bad_arguments", "tool_unavailable")
    ]
    assert found == ["failed", "answered", "answered", "nothing", "nothing"]


def test_a_model_call_has_one_attempt_left_before_its_last_not_counting_those_before_a_guard_put_it_off():
    spec = SPEC.model_copy(update={"limits": Limits(model_attempts=4)})

    def left(attempt: int, **state) -> bool:
        return last_but_one(ASK._replace(spec=spec, attempt=attempt, state=ASK.state.evolve(**state)))

    assert [left(attempt) for attempt in (1, 2, 3, 4)] == [False, False, True, False]
    call = Call(call="m1", kind="model", status="failed", owner="o", sequence=1, attempt=3)
    assert [left(attempt, calls={"m1": call}) for attempt in (3, 4, 5, 6)] == [False, False, False, True]
    denied = GuardDenied(guard="breaker", call="m1", problem=Problem(kind="x", message="x"), retry_at=T0)
    assert not left(3, denied=denied)
    assert not last_but_one(TOOL)


def test_a_model_has_one_circuit_for_all_a_tool_one_for_each_tenant_and_a_step_none():
    assert line(ASK) == Line("_", "model", "p/m")
    assert line(TOOL) == Line("t", "tool", "look")
    assert line(ASK._replace(kind="step")) is None


@pytest.mark.parametrize("name", ["a/b.c:d e", "x" * 300, "", "ü/1", "a-b", "a/b"])
def test_every_name_has_a_key_of_its_own_that_the_bus_takes(name):
    at = Line("_", "model", name)
    assert Subjects().state(*at.key)
    assert at.key != Line("_", "model", name + "/").key
    assert at.key != Line("_", "tool", name).key


@pytest.mark.parametrize("cause", ["streak", "failures", "slow", "attempts"])
def test_what_is_said_of_a_circuit_names_it_its_cause_and_when_it_is_probed(cause):
    at, circuit = Line("_", "model", "p/m"), Circuit(phase="open", cause=cause, trips=2, since=T0, until=T0)
    event = said(at, circuit, event="e1", now=T0, worker="w", settings=Breaker(), counts={"calls": 5})
    assert (event.action, event.guard, event.acted) == ("warn", "breaker", True)
    assert event.data["circuit"] == "model p/m"
    assert event.data["counts"] == {"calls": 5}
    assert event.threshold is not None
    assert "2026-11-21 12:00:00Z" in problem(at, circuit, T0).hint
    half = said(at, Circuit(phase="half_open"), event="e2", now=T0, worker="w", settings=Breaker(), counts={})
    assert (half.action, half.threshold) == ("observe", None)
