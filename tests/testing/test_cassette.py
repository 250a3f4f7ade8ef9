"""A recorded run plays again: what its model said comes from the fake provider, in the same order."""

import json

import pytest

from callboard.bus.events import ModelRequested, ModelResponded
from callboard.bus.values import Blob, Content, ToolCall, Usage
from callboard.errors import ConfigError
from callboard.testing import Call, Reply, Tokens, cassette

CALLS = (ToolCall(id="t1", name="add", arguments={"a": 1}),)
USED = Usage(input_tokens=10, output_tokens=5, cached_tokens=3, cost_usd_micros=99, written_tokens=2)
FIRST = ModelResponded(call="m1", text=Content(value="Let me see."), tool_calls=CALLS, stop="tool_use")
LAST = ModelResponded(call="m2", text=Content(value="3"), usage=USED)


def shown(event: ModelRequested | ModelResponded) -> str:
    """A line of ``callboard runs tail --json``."""
    return json.dumps({"sequence": 1, "type": event.type, **event.model_dump(mode="json", exclude_defaults=True)})


def test_the_answers_of_a_recorded_run_are_replies() -> None:
    lines = [shown(FIRST), shown(ModelRequested(call="m2")), "", shown(LAST)]
    assert cassette("\n".join(lines)) == (
        Reply("Let me see.", (Call("add", {"a": 1}, "t1"),), tokens=Tokens(), stop="tool_use"),
        Reply("3", tokens=Tokens(10, 5, 3, 2)),
    )


def test_a_reason_to_stop_of_a_later_version_is_what_fits() -> None:
    (reply,) = cassette(shown(LAST.model_copy(update={"stop": "odd"})))
    assert reply.why == "end"


def test_what_cannot_be_played_again_is_refused() -> None:
    long = Content(value="x", blob=Blob(sha256="0" * 64, size=1))
    for recorded, words in (
        ("", "no model answers"),
        ("no", "is no JSON"),
        (shown(FIRST.model_copy(update={"text": long})), "too long"),
    ):
        with pytest.raises(ConfigError, match=words):
            cassette(recorded)
