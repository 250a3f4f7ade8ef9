"""Shell: a recorded run once more: the agents of a configuration, with what their models said then."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from callboard.actors.contents import unpack
from callboard.app.agents import load_agents
from callboard.app.embedded import embedded
from callboard.app.guards import guarding_of
from callboard.app.run_event import RunEvent, run_events
from callboard.bus.bus import Bus
from callboard.bus.messages import ChildSpawned, RunCreated
from callboard.bus.subjects import RunKey
from callboard.config.loader import load
from callboard.config.spec import ModelChoice
from callboard.errors import ConfigError, ModelError, RunFailed
from callboard.models.port import ChatReply, ChatRequest, TextDelta, ToolCall, Usage
from callboard.testing.cassette import Asked, Cassette, Played, asked_of, stop_of
from callboard.testing.difference import difference, likeness
from callboard.testing.recording import answers

TIMEOUT: Final = 60.0
"""Seconds for a run that is played again."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A run that was played again. ``differs`` says what its models were asked otherwise; ``""``: nothing."""

    result: JsonValue
    events: tuple[RunEvent, ...]
    differs: str = ""


async def recorded(bus: Bus, key: RunKey) -> Cassette:
    """The cassette of a run and of those below it. Raises ``ConfigError`` if no model answered in them."""
    found: list[tuple[int, Played]] = []
    first: tuple[str, JsonValue] | None = None
    keys = [key]
    for each in keys:
        entries = await bus.journals.read(each)
        events = [event for entry in entries if entry.record is not None for event in entry.record.events]
        created = next((event for event in events if isinstance(event, RunCreated)), None)
        if created is None:
            continue
        given = await unpack(created.input, bus.blobs)
        first = first or (created.agent, given)
        keys += [RunKey(key.tenant, event.child) for event in events if isinstance(event, ChildSpawned)]
        for answer in answers(entries, run=each.run, given=given):
            said, used = answer.event, answer.event.usage
            calls = tuple((call.name, call.arguments) for call in said.tool_calls)
            usage = Usage(**used.model_dump())
            text = str(await unpack(said.text, bus.blobs) or "")
            found.append(
                (answer.sequence, Played(each.run, said.call, answer.asked, text, calls, usage, stop_of(said.stop)))
            )
    if first is None or not found:
        raise ConfigError(f"no model answered in run {key.run!r}: there is nothing to play again")
    return Cassette(*first, tuple(played for _, played in sorted(found, key=lambda each: each[0])))


async def replayed(cassette: Cassette, config: Path, *, data_dir: Path) -> Replayed:
    """Run the recorded task again, in this process. Raises what ``Run.result`` raises, unless it ``differs``."""
    file = load(config)
    agents, player = load_agents(file), Player(cassette)
    if cassette.agent not in agents:
        raise ConfigError(f"{str(config)!r} has no agent {cassette.agent!r}, whose run was recorded")
    deployment = embedded(agents, data_dir=data_dir, guarding=guarding_of(file), models=player.opened)
    async with deployment as here:
        run = await here.board.submit(cassette.agent, cassette.input)
        result: JsonValue = None
        try:
            result = await run.result(TIMEOUT)
        except RunFailed:
            if not player.differs:
                raise
        events = tuple(event for entry in await run.history() for event in run_events(entry))
    return Replayed(result, events, player.differs)


class Player:
    """A model that says what the cassette has for what it is asked."""

    def __init__(self, cassette: Cassette) -> None:
        self.differs = ""
        """What the first request that was not recorded has otherwise."""
        self._calls = cassette.calls
        self._played: dict[tuple[str, str], int] = {}
        """By run and call of the replay, which one answered it: a call that is made again hears the same."""

    @asynccontextmanager
    async def opened(self, *_: object) -> AsyncGenerator[Player]:
        """In place of all models: nobody needs a key."""
        yield self

    def open(self, choice: ModelChoice) -> Player:  # noqa: ARG002 - the port's; it plays all models
        """The same for every model."""
        return self

    async def stream(self, request: ChatRequest) -> AsyncGenerator[TextDelta | ChatReply, None]:
        """The recorded answer. Raises ``ModelError`` if something else was asked then."""
        if request.purpose == "warm":
            yield ChatReply("", (), Usage(), "end")
            return
        at = self._find((request.run, request.call), asked_of(request))
        if at is None:
            raise ModelError("bad_request", f"not as it was recorded: {self.differs}", retryable=False)
        said = self._calls[at]
        if said.text:
            yield TextDelta(said.text)
        calls = tuple(ToolCall(str(number), *call) for number, call in enumerate(said.tool_calls))
        yield ChatReply(said.text, calls, said.usage, said.stop)

    def _find(self, key: tuple[str, str], asked: Asked) -> int | None:
        """The recorded call that asked the same: one that was not played yet, if there is one."""
        if key in self._played:
            return self._played[key]
        same = [at for at, each in enumerate(self._calls) if each.call == key[1] and not difference(each.asked, asked)]
        fresh = [at for at in same if at not in self._played.values()]
        if not same:
            self.differs = self.differs or self._told(key[1], asked)
            return None
        self._played[key] = (fresh or same)[0]
        return self._played[key]

    def _told(self, call: str, asked: Asked) -> str:
        """How ``asked`` differs from the recorded call that is most like it."""
        alike = [each for each in self._calls if each.call == call]
        if not alike:
            last = self._calls[-1]
            return f"call {call} was not recorded: the last one was {last.call} ({last.text[:80]!r})"
        nearest = max(alike, key=lambda each: likeness(each.asked, asked))
        return f"call {call} differs from the recorded one\n{difference(nearest.asked, asked)}"
