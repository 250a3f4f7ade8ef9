"""Shell: a run's events with the text of its answers in between, as it grows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping

from callboard.actors.contents import unpack
from callboard.app.reader import Reader, entered, heard
from callboard.app.run_event import After, RunEvent, TextEvent, run_events
from callboard.bus.bus import Bus
from callboard.bus.deltas import ModelDelta
from callboard.bus.messages import ModelResponded
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey


async def events_with_text(
    bus: Bus, key: RunKey, *, after: After = 0, last: ModelDelta | None = None
) -> AsyncGenerator[RunEvent | TextEvent]:
    """What is behind ``after``, and behind the piece ``last``; ends with the run."""
    reader = Reader(after, last)
    shown: tuple[RunEvent | TextEvent, ...]
    async with bus.watch.follow_text(key) as items:
        async for item in items:
            if isinstance(item, ModelDelta):
                reader, shown = heard(reader, item)
            else:
                reader, shown = entered(reader, item, await _texts(bus, item, after=after))
            for event in shown:
                yield event
            if reader.state.terminal is not None:
                return


async def _texts(bus: Bus, entry: Stored, *, after: After) -> Mapping[str, str]:
    """The answers of an entry behind ``after``, whole, by their call."""
    events = [each.event for each in run_events(entry, after=after)]
    responded = [event for event in events if isinstance(event, ModelResponded)]
    whole = {event.call: await unpack(event.text, bus.blobs) for event in responded}
    return {call: text for call, text in whole.items() if isinstance(text, str)}
