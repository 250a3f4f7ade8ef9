"""Shell: a run's journal for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from pydantic import JsonValue
from rich.console import Console
from rich.text import Text

from callboard.actors.fold import replay
from callboard.actors.state import RunState
from callboard.app.held import Hold
from callboard.app.run_event import RunEvent, run_events
from callboard.app.spending import Spending, by_model
from callboard.app.summary import summary
from callboard.bus.messages import Event, RunClaimed, RunFailed
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.cli.phrases import waits_for
from callboard.cli.tables import STYLES
from callboard.cli.teller import Teller, dollars, plain, short, total
from callboard.clock import SystemClock
from callboard.config.times import duration

_WIDTH: Final = 10
_URGENT: Final = frozenset({"held", "in doubt"})


class Timeline:
    """Prints events as they are shown, with the time since the first one."""

    def __init__(self) -> None:
        self.console = Console(soft_wrap=True, highlight=False)
        self._teller = Teller()
        self._start: datetime | None = None

    def show(self, event: RunEvent) -> None:
        """Print what the event says, if it is worth a line."""
        self._start = self._start or event.at
        line = self._teller.tell(event)
        if line is None:
            return
        since = (
            "" if self._start is None or event.at is None else f"+{duration((event.at - self._start).total_seconds())}"
        )
        took = f"  {duration(line.seconds)}" if line.seconds is not None else ""
        head = (f"{event.sequence:>6} {since:>{_WIDTH}}  ", "dim")
        self.console.print(Text.assemble(head, (line.sign, line.style), " ", line.text, (took, "dim")))


def print_timeline(key: RunKey, entries: Sequence[Stored], held: tuple[Hold, ...]) -> None:
    """The journal, then what came of it, or what holds it back."""
    timeline = Timeline()
    for entry in entries:
        if entry.record is None:
            timeline.console.print(Text(f"{entry.sequence:>6} {plain(entry.problem)}", style="red"))
        for event in run_events(entry):
            timeline.show(event)
    state = replay(entries)
    now = SystemClock().now()
    told = summary(key, state, _updated(entries), now=now, held=held)
    rows = [
        ("run", f"{told.run}  (tenant {told.tenant}{f', agent {told.agent}' if told.agent else ''})"),
        *(("held" if held else "why", why) for why in [f"{hold}{_since(hold, now)}" for hold in held] or [told.why]),
        *(("", hint) for hint in dict.fromkeys(_hint(key, hold) for hold in held)),
        ("waits for", waits_for(state) if state.status == "suspended" and not held else ""),
        ("queued", "" if state.owner or held or told.why else "no worker has it: `callboard doctor` says why"),
        ("guard", told.guard),
        ("partial", _partial(state)),
        ("cost", total(told.turns, told.tokens, told.cost_usd_micros)),
        *(("" if at else "models", _spent(each)) for at, each in enumerate(by_model(_events(entries)))),
        ("workers", f"{', '.join(_workers(entries)) or 'none'}  ({told.attempts} claims)"),
        ("parent", told.parent),
        ("children", ", ".join(_children(state))),
        ("in doubt", ", ".join(state.in_doubt)),
        ("entries", str(state.entries)),
    ]
    if entries:
        timeline.console.print()
    timeline.console.print(Text.assemble(f"{'status':<9} ", (told.status, STYLES[told.status])))
    for name, value in rows:
        if value:
            style = "bold yellow" if name in _URGENT else ""
            timeline.console.print(Text(f"{name:<9} {plain(value)}", style=style))


def run_as_json(key: RunKey, entries: Sequence[Stored], held: tuple[Hold, ...]) -> dict[str, JsonValue]:
    """The fold and the entries as JSON."""
    state = replay(entries)
    return {
        **summary(key, state, _updated(entries), now=SystemClock().now(), held=held).as_json(),
        "models": [each.as_json() for each in by_model(_events(entries))],
        "workers": list(_workers(entries)),
        "children": dict(_outcomes(state)),
        "in_doubt": list(state.in_doubt),
        "settled": None if state.settled is None else state.settled.model_dump(mode="json"),
        "entries": [
            {
                "sequence": entry.sequence,
                "at": None if entry.at is None else entry.at.isoformat(),
                "problem": entry.problem,
                "id": "" if entry.record is None else entry.record.id,
                "owner": "" if entry.record is None else entry.record.owner,
                "events": [] if entry.record is None else [
                    {"type": event.type, **event.model_dump(mode="json", exclude_defaults=True)}
                    for event in entry.record.events
                ],
            }
            for entry in entries
        ],
    }  # fmt: skip


def _updated(entries: Sequence[Stored]) -> datetime | None:
    return entries[-1].at if entries else None


def _since(hold: Hold, now: datetime) -> str:
    return "" if hold.since is None else f"  ({duration((now - hold.since).total_seconds())})"


def _hint(key: RunKey, hold: Hold) -> str:
    """What a person can do about it."""
    match hold.kind:
        case "pause":
            tenant = "" if key.tenant == "default" else f" --tenant {key.tenant}"
            return f"`callboard resume {key.run}{tenant}` lets it go on"
        case "guard":
            return f"`callboard guards list` shows whether {hold.guard} is alive, `callboard guard run FILE` starts it"
        case "later":
            return ""


def _partial(state: RunState) -> str:
    """What a run had by the time a guard ended it."""
    partial = state.terminal.partial if isinstance(state.terminal, RunFailed) else None
    return "" if partial is None else short(partial.value)


def _spent(each: Spending) -> str:
    source = f"  (price: {each.priced_by})" if each.priced_by else "  (price unknown)"
    calls = f"{each.calls} {'call' if each.calls == 1 else 'calls'}"
    return f"{each.model}  {calls} · {each.tokens:,} tokens · {dollars(each.cost_usd_micros)}{source}"


def _events(entries: Sequence[Stored]) -> Iterator[Event]:
    return (event for entry in entries if entry.record is not None for event in entry.record.events)


def _workers(entries: Sequence[Stored]) -> tuple[str, ...]:
    claims = (event.worker for event in _events(entries) if isinstance(event, RunClaimed))
    return tuple(dict.fromkeys(claims))


def _outcomes(state: RunState) -> dict[str, str]:
    return {
        child: state.finished[child].outcome if child in state.finished else "unfinished" for child in state.children
    }


def _children(state: RunState) -> list[str]:
    return [f"{state.children[child].agent} {child} {outcome}" for child, outcome in _outcomes(state).items()]
