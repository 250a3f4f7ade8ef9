"""Pure: how much of their prompts calls have read from the provider's cache: a fold of the journals, added up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import JsonValue

from callboard.bus.messages import ModelRequested, ModelResponded, Prefix, RunCreated, Usage
from callboard.bus.ports import Stored
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.models.prices import missed_micros


@dataclass(frozen=True, slots=True)
class Read:
    """An answered call: how much of its prompt was read from a cache, written to one, or neither (``fresh``).

    ``missed``: tokens of the same model's last prompt in this run which were not read; what that cost more, as far as
    prices are known. ``prefix``: digests of its tools, of the schema of its answer if it has one, of its system prompt.
    """

    agent: str
    model: str
    prefix: str
    at: datetime
    read: int = 0
    written: int = 0
    fresh: int = 0
    missed: int = 0
    missed_usd_micros: int = 0
    calls: int = 1

    def plus(self, other: Read) -> Read:
        """Both together, since the earlier of the two."""
        return replace(
            self,
            at=min(self.at, other.at),
            read=self.read + other.read,
            written=self.written + other.written,
            fresh=self.fresh + other.fresh,
            missed=self.missed + other.missed,
            missed_usd_micros=self.missed_usd_micros + other.missed_usd_micros,
            calls=self.calls + other.calls,
        )

    @property
    def ratio(self) -> float:
        """The share of all prompts that was read."""
        tokens = self.read + self.written + self.fresh
        return self.read / tokens if tokens else 0.0


def reads_of(entries: Iterable[Stored], spec: AgentSpec) -> Iterator[Read]:
    """The answered calls of a run that had a prompt cache. Summaries and last turns begin like no other call."""
    asked: dict[str, ModelRequested] = {}
    prompts: dict[str, int] = {}
    models = {choice.label: choice for choice in spec.models}
    agent = spec.name
    for entry in entries:
        for event in () if entry.record is None else entry.record.events:
            if isinstance(event, RunCreated):
                agent = event.agent
            elif isinstance(event, ModelRequested):
                asked[event.call] = event
            elif isinstance(event, ModelResponded) and entry.at is not None:
                request = asked.get(event.call)
                if request is None or request.prefix is None or request.wrap_up or request.purpose == "summary":
                    continue
                could, choice = prompts.get(request.model, 0), models.get(request.model)
                yield _read(agent, request, event.usage, at=entry.at, could=could, choice=choice)
                prompts[request.model] = _prompt(event.usage)


def added_up(reads: Iterable[Read]) -> tuple[Read, ...]:
    """By agent, model and prefix; of those with the same agent and model the latest prefix first."""
    totals: dict[tuple[str, str, str], Read] = {}
    for each in reads:
        key = (each.agent, each.model, each.prefix)
        totals[key] = totals[key].plus(each) if key in totals else each
    newest_first = sorted(totals.values(), key=lambda row: row.at, reverse=True)
    return tuple(sorted(newest_first, key=lambda row: (row.agent, row.model)))


def as_json(rows: Sequence[Read]) -> list[JsonValue]:
    """For programs; ``since`` is when the prefix was first seen, money in micro-dollars."""
    return [
        {
            "agent": row.agent, "model": row.model, "prefix": row.prefix, "since": row.at.isoformat(),
            "calls": row.calls, "ratio": round(row.ratio, 4), "read": row.read, "written": row.written,
            "fresh": row.fresh, "missed": row.missed, "missed_usd_micros": row.missed_usd_micros,
        }
        for row in rows
    ]  # fmt: skip


def _read(
    agent: str, request: ModelRequested, usage: Usage, *, at: datetime, could: int, choice: ModelChoice | None
) -> Read:
    prefix = request.prefix or Prefix()
    prompt = _prompt(usage)
    missed = max(0, min(could, prompt) - usage.cached_tokens)
    cost = missed_micros(choice, missed, prompt=prompt, written=usage.written_tokens) if choice is not None else None
    return Read(
        agent, request.model, _begins(prefix), at,
        read=usage.cached_tokens, written=usage.written_tokens, fresh=usage.input_tokens,
        missed=missed, missed_usd_micros=cost or 0,
    )  # fmt: skip


def _begins(prefix: Prefix) -> str:
    return "/".join(part for part in (prefix.tools, prefix.output, prefix.system) if part)


def _prompt(usage: Usage) -> int:
    return usage.input_tokens + usage.cached_tokens + usage.written_tokens
