"""Shell: the scripted model: deterministic, without a key. Plays a script, delays and failures included."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio
from pydantic import ValidationError

from callboard.config.script import Script
from callboard.config.spec import ModelChoice
from callboard.config.times import duration
from callboard.errors import ConfigError, ModelError
from callboard.models.port import ChatReply, ChatRequest, TextDelta
from callboard.models.script_play import choose_turn, failure_of, pieces, reply_of


class ScriptedModel:
    """Answers from a ``Script``. Keeps no state: any process plays the same turn for the same request."""

    def __init__(self, script: Script) -> None:
        self._script = script

    @classmethod
    def from_choice(cls, choice: ModelChoice) -> ScriptedModel:
        """The model of a choice whose settings are a script. Raises ``ConfigError``."""
        try:
            return cls(Script.model_validate(choice.settings))
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(str(part) for part in each['loc'] if not str(part).startswith('<'))}: {each['msg']}"
                for each in error.errors(include_url=False, include_input=False)
            )
        raise ConfigError(f"the settings of the scripted model are no script: {wrong}")

    async def stream(self, request: ChatRequest) -> AsyncGenerator[TextDelta | ChatReply, None]:
        """The turn that the request asks for; its delay is spread over its deltas."""
        turn = choose_turn(self._script, request)
        delay = turn.delay or 0.0
        if delay > request.timeout:
            await anyio.sleep(request.timeout)
            raise ModelError("network", f"no reply within {duration(request.timeout)}", retryable=True)
        if (error := failure_of(turn, request.attempt)) is not None:
            await anyio.sleep(delay)
            raise error
        reply = reply_of(turn, request)
        texts = pieces(reply.text, turn.chunks)
        for text in texts:
            await anyio.sleep(delay / len(texts))
            yield TextDelta(text)
        if not texts:
            await anyio.sleep(delay)
        yield reply
