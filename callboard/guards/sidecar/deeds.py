"""Pure: what carries a verdict out, and what is only said. Nothing is done twice, and nothing to a run that is over."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias, assert_never

from callboard.bus.guard_messages import GuardEvent
from callboard.bus.messages import Record, RunKilled, RunPaused, RunSteered
from callboard.bus.subjects import RunKey
from callboard.guards.hosted import by, pause_name
from callboard.guards.sidecar.judge import Said, Watched

LATE: Final = timedelta(seconds=60)
"""What is older may have been done by another replica, so long ago that the bus does not deduplicate it any more."""
_Signal: TypeAlias = RunKilled | RunSteered | RunPaused


@dataclass(frozen=True, slots=True)
class Deed:
    """What is to be done and said for one verdict. ``record`` None: only said; ``look`` into the journal before."""

    key: RunKey
    event: GuardEvent
    record: Record | None = None
    tell: bool = True
    look: bool = False


def live(run: Watched, said: Iterable[Said], *, now: datetime) -> list[Deed]:
    """The deeds for what was said of an entry, or of the time, just now."""
    return [_deed(run, each, now=now, base=now, look=now - each.at > LATE) for each in said]


def behind(run: Watched, said: Iterable[Said], *, done: Collection[str], mark: int, now: datetime) -> list[Deed]:
    """The deeds for what was said while the journal was read again. ``done``: the ids of its records.

    What a process before this one did is not done again, and not said again if it is not behind ``mark``.
    """
    deeds: list[Deed] = []
    for each in said:
        tell = each.event.sequence > mark
        if each.event.id in done:
            deeds.append(Deed(run.key, _told(each, now, acted=True), tell=tell))
            continue
        deed = _deed(run, each, now=now, base=each.at)
        deeds.append(Deed(deed.key, deed.event, deed.record, tell=tell or deed.record is not None))
    return [deed for deed in deeds if deed.tell]


def _deed(run: Watched, said: Said, *, now: datetime, base: datetime, look: bool = False) -> Deed:
    signal = None if run.over or run.killed or said.event.mode != "enforce" else _signal(said, now, base)
    if signal is None:
        return Deed(run.key, _told(said, now, acted=False))
    run.killed = isinstance(signal, RunKilled)
    record = Record(id=said.event.id, at=now, events=(signal,))
    return Deed(run.key, _told(said, now, acted=True), record, look=look)


def _told(said: Said, now: datetime, *, acted: bool) -> GuardEvent:
    return said.event.model_copy(update={"at": now, "acted": acted})


def _signal(said: Said, now: datetime, base: datetime) -> _Signal | None:
    event = said.event
    signed = by(event.guard)
    match event.action:
        case "observe" | "warn" | "deny":  # the call that a sidecar would deny is written already
            return None
        case "nudge":
            return RunSteered(text=event.reason, by=signed, guard=event.guard)
        case "throttle" if event.call:
            return None
        case "throttle" | "pause" if said.gated:  # it has waited, or somebody let it go
            return None
        case "throttle" | "pause":
            until = None if said.seconds is None else base + timedelta(seconds=said.seconds)
            if until is not None and until <= now:
                return None
            return RunPaused(
                name=pause_name(event.guard), reason=event.reason, by=signed, guard=event.guard, until=until
            )
        case "kill" if said.unread:  # it was behind: the nudge goes out with this, and the guard comes back to the kill
            return None
        case "kill":
            return RunKilled(reason=event.reason, by=signed, guard=event.guard)
        case _:
            assert_never(event.action)
