"""What a run's model calls used, by model."""

from callboard.app.spending import by_model
from callboard.bus.messages import (
    ModelFailed,
    ModelLateUsage,
    ModelRequested,
    ModelResponded,
    Problem,
    RunKilled,
    Usage,
)

PROBLEM = Problem(kind="x", message="x")


def test_each_model_has_its_attempts_its_tokens_and_its_money() -> None:
    used = Usage(input_tokens=1, output_tokens=2, cached_tokens=3, written_tokens=4, cost_usd_micros=50)
    found = by_model(
        (
            ModelRequested(call="m1", model="a", priced_by="list"),
            ModelFailed(call="m1", problem=PROBLEM, usage=used),
            ModelRequested(call="m1", attempt=2, model="b"),
            ModelResponded(call="m1", usage=used),
            ModelRequested(call="m2", model="a", priced_by="list"),
            RunKilled(),
            ModelLateUsage(call="m2", usage=used),
            ModelResponded(call="m9", usage=used),
        )
    )
    assert [each.as_json() for each in found] == [
        {"model": "a", "priced_by": "list", "calls": 2, "tokens": 20, "cost_usd_micros": 100},
        {"model": "b", "priced_by": "", "calls": 1, "tokens": 10, "cost_usd_micros": 50},
    ]
