"""Shell: what a back-test found, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue
from rich.table import Table
from rich.text import Text

from callboard.cli.layout import console, show_table
from callboard.cli.shared import say
from callboard.cli.tables import STYLES
from callboard.cli.teller import dollars, plain, short
from callboard.cli.verdicts import STYLE_OF
from callboard.config.times import duration
from callboard.guards.backtest import Report, Spent, Trial
from callboard.guards.kit import ACTIONS

_ROWS: Final = 40


def print_report(report: Report) -> None:
    """Counts of verdicts, the runs that it would have touched, and what it comes to."""
    skipped = f" · left out: {report.skipped}" if report.skipped else ""
    ended = ", ".join(f"{count} {outcome}" for outcome, count in report.outcomes.most_common())
    say(
        f"{report.guard}: {_runs(report.runs)} ({ended}){skipped}"
        if report.runs
        else f"{report.guard}: no runs{skipped}"
    )
    touched = sorted((trial for trial in report.trials if trial.strongest is not None), key=_first, reverse=True)
    if not touched:
        say("it would have said nothing")
        return
    _print_counts(report)
    _print_runs(touched)
    _print_sums(report)


def report_as_json(report: Report) -> dict[str, JsonValue]:
    """All of it, every run and verdict."""
    return {
        "guard": report.guard,
        "runs": report.runs,
        "skipped": report.skipped,
        "outcomes": dict(report.outcomes),
        "verdicts": {action: len(report.touched(action)) for action in ACTIONS},
        "killed": len(report.killed),
        "false_alarms": len(report.false_alarms),
        "saved": _as_json(report.saved),
        "lost": _as_json(report.lost),
        "trials": [_trial_as_json(trial) for trial in report.trials if trial.said],
    }


def _print_counts(report: Report) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("verdict")
    for name in ("runs", "finished well"):
        table.add_column(name, justify="right")
    for action in ACTIONS:
        touched = report.touched(action)
        if touched:
            well = sum(1 for trial in touched if trial.outcome == "completed")
            table.add_row(Text(action, style=STYLE_OF[action]), str(len(touched)), str(well))
    say("")
    show_table(table)


def _print_runs(trials: Sequence[Trial]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("run", "agent", "ended", "verdict", "entry"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", overflow="ellipsis", no_wrap=True, max_width=60)
    table.add_column("after that", no_wrap=True)
    for trial in trials[:_ROWS]:
        strongest = trial.strongest
        assert strongest is not None, "chosen for having one"
        action = strongest.event.action
        table.add_row(
            str(trial.key),
            trial.agent,
            Text(trial.outcome or "open", style=STYLES.get(trial.outcome or "", "")),
            Text(f"{action}, false alarm" if trial.false_alarm else action, style=STYLE_OF[action]),
            f"{trial.place} of {trial.entries}",
            Text(short(strongest.event.reason)),
            _spent(trial.saved) if trial.killed else "",
        )
    say("")
    show_table(table)
    if len(trials) > _ROWS:
        say(f"and {len(trials) - _ROWS} more: --json has all")


def _print_sums(report: Report) -> None:
    well = len(report.killed) - len(report.false_alarms)
    say("")
    say(f"saved         {_spent(report.saved) or 'nothing'}, by ending {_runs(well)} that did not finish well")
    if report.false_alarms:
        share = len(report.false_alarms) / max(1, report.outcomes["completed"])
        text = f"{_runs(len(report.false_alarms))} that finished well, {share:.1%} of those, would have been killed"
        console().print(Text(f"false alarms  {text}", style="bold red"))
    else:
        say("false alarms  none")


def _trial_as_json(trial: Trial) -> dict[str, JsonValue]:
    return {
        "run": trial.key.run,
        "tenant": trial.key.tenant,
        "agent": trial.agent,
        "outcome": trial.outcome,
        "entries": trial.entries,
        "killed": trial.killed,
        "false_alarm": trial.false_alarm,
        "saved": _as_json(trial.saved),
        "verdicts": [
            said.event.model_dump(mode="json", exclude_defaults=True, exclude={"v", "guard", "run", "agent"})
            for said in trial.said
        ],
    }


def _as_json(spent: Spent) -> dict[str, JsonValue]:
    return {
        "model_calls": spent.model_calls,
        "tool_calls": spent.tool_calls,
        "tokens": spent.tokens,
        "usd_micros": spent.usd_micros,
        "seconds": round(spent.seconds, 3),
    }


def _first(trial: Trial) -> tuple[bool, bool, int, int]:
    """False alarms first, then the dearest."""
    return trial.false_alarm, trial.killed, trial.saved.usd_micros, trial.saved.tokens


def _spent(spent: Spent) -> str:
    parts = (
        (spent.model_calls, _many(spent.model_calls, "model call")),
        (spent.tool_calls, _many(spent.tool_calls, "tool call")),
        (spent.tokens, f"{spent.tokens:,} tokens"),
        (spent.usd_micros, dollars(spent.usd_micros)),
        (spent.seconds, duration(spent.seconds)),
    )
    return plain(" · ".join(text for value, text in parts if value))


def _runs(count: int) -> str:
    return _many(count, "run")


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
