"""Pure: the health of the prompt cache. What could have been read from it, and was not: why, and what did that cost?

Each request of a run begins with the one before, so the whole prompt of an answered call can be read by the next call
of the same model. The provider says what was read; the digests in the journal say which part of the request changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, TypeAlias

from callboard.bus.guard_words import Action, Missing
from callboard.bus.messages import ContextRelieved, ModelFailed, ModelRequested, ModelResponded, Prefix, Usage
from callboard.bus.subjects import RunKey
from callboard.config.guards import CacheSettings
from callboard.config.spec import AgentSpec, provider_of
from callboard.config.times import duration
from callboard.guards.kit import Guard, Seen, Verdict
from callboard.models.prices import missed_micros

_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})
_MINIMUM: Final = {"anthropic": 4_096, "openai": 1_024}
"""Tokens of a prompt below which nothing need be cached; of Claude, the largest of its models' minimums."""
_FEWEST: Final = 1_024
_SILENT: Final = frozenset({"openai-chat"})
"""Providers of which many say nothing of what they read: what has never read is believed to have no cache."""
_MICROS: Final = 1_000_000
Cause: TypeAlias = Literal["tools", "output", "system", "history", "relieved", "model", "time", "lost"]
_BY_DESIGN: Final = frozenset[Cause]({"relieved", "model", "time"})
_WHY: Final = {
    "tools": "its tools are not those of the call before",
    "output": "the schema of its answer is not that of the call before",
    "system": "its system prompt is not that of the call before",
    "history": "its history is not that of the call before with more behind it",
    "relieved": "its history was relieved, on purpose",
    "lost": "nothing that we send has changed, the provider has lost it",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a turn: of which model, when, and where in the journal."""

    model: str
    prefix: Prefix
    at: datetime
    sequence: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What a model's cache has since it answered: the ``tokens`` of that prompt."""

    asked: Asked
    tokens: int


@dataclass(frozen=True, slots=True)
class Prompts:
    """One run. ``kept`` is by model, ``latest`` the one that answered last; ``reads``: models that read from a cache.

    ``changed`` and ``relieved``: the last entries whose history is another one, and where it became less on purpose.
    """

    asked: Mapping[str, Asked] = field(default_factory=lambda: _EMPTY)
    last: Prefix | None = None
    kept: Mapping[str, Kept] = field(default_factory=lambda: _EMPTY)
    latest: str = ""
    reads: frozenset[str] = frozenset()
    changed: int = 0
    relieved: int = 0
    told: frozenset[Cause] = frozenset()


class CacheGuard(Guard[Prompts]):
    """Says when a call reads much less from the prompt cache than it could: once for each run and cause.

    It only tells. What happens by design (a pause, a change of model, a relieved history) it observes; else it warns.
    """

    name: ClassVar[str] = "cache"
    missing: ClassVar[Missing] = "open"

    def __init__(self, settings: CacheSettings, spec: AgentSpec) -> None:
        self._ratio, self._lifetime = settings.ratio, settings.lifetime
        self._models = {choice.label: choice for choice in spec.models}

    def start(self, run: RunKey) -> Prompts:  # noqa: ARG002 - all runs begin alike
        """Nothing was asked."""
        return Prompts()

    def observe(self, state: Prompts, seen: Seen) -> tuple[Prompts, Sequence[Verdict]]:
        """Only answered turns lead to verdicts."""
        event = seen.event
        if isinstance(event, ModelRequested):
            return _requested(state, event, seen), ()
        if isinstance(event, ContextRelieved):
            return replace(state, relieved=seen.sequence), ()
        if isinstance(event, ModelFailed):
            return replace(state, asked=_without(state.asked, event.call)), ()
        asked = state.asked.get(event.call) if isinstance(event, ModelResponded) else None
        if asked is None or not isinstance(event, ModelResponded):
            return state, ()
        verdict = self._judged(state, asked, event, seen.sequence)
        return self._answered(state, asked, event, verdict), () if verdict is None else (verdict[1],)

    def _answered(
        self, state: Prompts, asked: Asked, event: ModelResponded, verdict: tuple[Cause, Verdict] | None
    ) -> Prompts:
        return replace(
            state,
            asked=_without(state.asked, event.call),
            kept={**state.kept, asked.model: Kept(asked, _prompt(event.usage))},
            latest=asked.model,
            reads=state.reads | {asked.model} if event.usage.cached_tokens else state.reads,
            told=state.told if verdict is None else state.told | {verdict[0]},
        )

    def _judged(
        self, state: Prompts, asked: Asked, event: ModelResponded, sequence: int
    ) -> tuple[Cause, Verdict] | None:
        before = state.kept.get(asked.model) or state.kept.get(state.latest)
        if before is None or not _is_cached(asked.model, before.tokens, state.reads):
            return None
        read, could = event.usage.cached_tokens, before.tokens
        if read >= self._ratio * could:
            return None
        cause = self._cause(state, asked, before)
        if cause in state.told:
            return None
        prompt, choice = _prompt(event.usage), self._models.get(asked.model)
        missed = min(could, prompt) - read
        cost = None
        if choice is not None:
            cost = missed_micros(choice, missed, prompt=prompt, written=event.usage.written_tokens)
        action: Action = "observe" if cause in _BY_DESIGN else "warn"
        return cause, Verdict(
            action,
            f"{event.call} read {read:,} of {could:,} tokens from the prompt cache: {self._why(cause, asked, before)}. "
            f"{missed:,} tokens were read anew{_told(cost)}",
            evidence=(before.asked.sequence, asked.sequence, sequence),
            call=event.call,
            threshold=self._ratio,
            value=round(read / could, 3),
            data={"part": cause, "model": asked.model, "missed_tokens": missed, "cost_usd_micros": cost},
        )

    def _cause(self, state: Prompts, asked: Asked, before: Kept) -> Cause:
        """The first part that is another one, in the order of the prefix."""
        now, then = asked.prefix, before.asked.prefix
        if asked.model != before.asked.model:
            return "model"
        if now.tools != then.tools:
            return "tools"
        if then.output and now.output != then.output:  # older workers did not say it
            return "output"
        if now.system != then.system:
            return "system"
        if state.changed > before.asked.sequence:
            return "relieved" if state.relieved > before.asked.sequence else "history"
        idle = (asked.at - before.asked.at).total_seconds()
        return "time" if idle > self._lifetime else "lost"

    def _why(self, cause: Cause, asked: Asked, before: Kept) -> str:
        if cause == "model":
            return f"{asked.model} has not answered in this run before, {before.asked.model} has"
        if cause == "time":
            idle = (asked.at - before.asked.at).total_seconds()
            return f"{duration(idle)} since the call before, and a cache keeps {duration(self._lifetime)}"
        return _WHY[cause]


def _requested(state: Prompts, event: ModelRequested, seen: Seen) -> Prompts:
    now, last = event.prefix, state.last
    if now is None or event.purpose != "turn" or event.wrap_up:  # the turn that wraps up is like no other, and the last
        return state
    changed = last is not None and now != last and now.before != last.history  # written again, it is the same
    return replace(
        state,
        asked={**state.asked, event.call: Asked(event.model, now, seen.at, seen.sequence)},
        last=now,
        changed=seen.sequence if changed else state.changed,
    )


def _is_cached(model: str, tokens: int, reads: frozenset[str]) -> bool:
    """Would the provider keep a prompt of so many tokens?"""
    provider = provider_of(model)
    return tokens >= _MINIMUM.get(provider, _FEWEST) and (provider not in _SILENT or model in reads)


def _prompt(usage: Usage) -> int:
    return usage.input_tokens + usage.cached_tokens + usage.written_tokens


def _without(asked: Mapping[str, Asked], call: str) -> Mapping[str, Asked]:
    return {name: each for name, each in asked.items() if name != call} if call in asked else asked


def _told(cost: int | None) -> str:
    return "" if cost is None else f", which cost ${cost / _MICROS:.4f} more"
