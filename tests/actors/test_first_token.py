"""A model that says nothing is given up before one that talks slowly."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio
import pytest

from callboard.actors.heard import Heard
from callboard.actors.replies import reply_of
from callboard.bus.messages import ModelFailed
from callboard.config.spec import ModelChoice
from callboard.errors import ModelError
from callboard.models.port import ChatReply, ChatRequest, Counted, TextDelta, Unseen, Usage
from tests.support.fleet import fleet, scripted

REPLY = ChatReply("ab", (), Usage(), "end")


class Model:
    """Streams ``pieces``; a number is a pause in seconds. ``closed`` once nobody reads it any more."""

    def __init__(self, *pieces: float | str | Unseen | ChatReply, own: float = 60) -> None:
        self.pieces, self.own = pieces, own
        self.closed = False

    async def stream(self, request: ChatRequest) -> AsyncGenerator[TextDelta | Unseen | ChatReply, None]:
        try:
            with anyio.fail_after(self.own):  # as SDKs do: a scope that is open from the first piece to the last
                for piece in self.pieces:
                    if isinstance(piece, float):
                        await anyio.sleep(piece)
                    else:
                        yield TextDelta(piece) if isinstance(piece, str) else piece
        finally:
            self.closed = True


async def ask(
    model: Model, *, timeout: float = 60, first_token: float = 0.1, told: list[str] | None = None
) -> ChatReply:
    request = ChatRequest(
        ModelChoice(provider="scripted"), "", (), (), attempt=1, call="m1", run="r1", input="x", timeout=timeout
    )
    with anyio.fail_after(20):
        heard = Heard()
        told = [] if told is None else told
        reply = await reply_of(model, request, heard, tell=told.append, first_token=first_token)
        assert heard.texts == told
        return reply


async def error_of(model: Model, **given: float) -> ModelError:
    with pytest.raises(ModelError) as raised:
        await ask(model, **given)
    assert model.closed
    return raised.value


async def test_a_stream_that_yields_nothing_in_time_is_given_up_and_may_be_tried_again():
    error = await error_of(Model(30.0, REPLY))
    assert (error.kind, error.retryable) == ("network", True)
    assert "no first token within 100 ms" in str(error)


async def test_an_answer_that_has_begun_and_says_nothing_is_given_up_too():
    error = await error_of(Model(Unseen(), 30.0, REPLY))
    assert "no first token within 100 ms" in str(error)


async def test_what_is_said_beside_the_text_is_a_first_token():
    assert await ask(Model(Unseen(), Unseen(5), 0.3, REPLY)) is REPLY


def test_what_was_heard_has_the_bytes_of_all_that_was_said():
    heard = Heard()
    assert (heard.begun, heard.since_count, heard.take(Unseen()), heard.begun) == (False, 0, False, True)
    assert (heard.take(Unseen(3)), heard.take(TextDelta("hé")), heard.since_count) == (True, True, 6)


def test_what_was_heard_has_the_latest_counts_and_the_bytes_since_its_output_was_counted():
    heard = Heard()
    assert (heard.take(Counted(Usage(7, 1, 20))), heard.begun, heard.counted) == (False, True, Usage(7, 1, 20))
    for piece in (TextDelta("four"), Unseen(3), Counted(Usage(8, 3, 20)), Unseen(2), TextDelta("hé")):
        heard.take(piece)
    assert (heard.counted, heard.since_count) == (Usage(8, 3, 20), 5)


def test_a_count_that_says_less_than_the_one_before_takes_nothing_back():
    heard = Heard()
    for piece in (Counted(Usage(7, 5, 20)), TextDelta("four"), Counted(Usage(0, 4))):
        heard.take(piece)
    assert (heard.counted, heard.since_count) == (Usage(7, 5, 20), 4)
    heard.take(Counted(Usage(9)))
    assert (heard.counted, heard.since_count) == (Usage(9, 5), 4)


async def test_what_a_provider_counts_is_no_first_token():
    error = await error_of(Model(Counted(Usage(7, 1)), 30.0, REPLY))
    assert "no first token within 100 ms" in str(error)


async def test_a_stream_that_has_begun_may_take_longer():
    told: list[str] = []
    model = Model("a", 0.3, "b", 0.3, REPLY)
    assert await ask(model, told=told) is REPLY
    assert (told, model.closed) == (["a", "b"], True)


async def test_an_empty_piece_says_that_it_has_begun():
    assert await ask(Model("", 0.3, REPLY)) is REPLY


async def test_a_stream_that_has_begun_and_then_stops_is_given_up_at_the_timeout_of_the_call():
    error = await error_of(Model("a", 30.0, REPLY), timeout=0.3)
    assert "no reply within 300 ms" in str(error)


async def test_the_timeout_of_the_call_holds_when_it_is_shorter():
    error = await error_of(Model(30.0, REPLY), timeout=0.1, first_token=60)
    assert "no reply within 100 ms" in str(error)


async def test_a_stream_without_a_reply_was_truncated():
    assert (await error_of(Model("a"))).kind == "truncated"


async def test_a_run_tries_a_silent_model_again_and_then_says_why_it_failed():
    agent = scripted("silent", {"text": "late", "delay": 30}, first_token_timeout=0.1, model_attempts=2)
    async with fleet(agent) as board:
        key = await board.submit("silent", "x")
        state = await board.over(key)
        assert state.terminal.problem.kind == "model_network"
        assert "no first token within 100 ms" in state.terminal.problem.message
        entries = await board.bus.journals.read(key)
        failed = [event for entry in entries for event in entry.record.events if isinstance(event, ModelFailed)]
        assert [event.attempt for event in failed] == [1, 2]


async def test_a_run_whose_model_talks_slowly_completes():
    slow = scripted("slow", {"text": "one two three", "delay": 1.5, "chunks": 3}, first_token_timeout=1.2)
    async with fleet(slow) as board:
        state = await board.over(await board.submit("slow", "x"))
        assert state.outcome == "completed"
