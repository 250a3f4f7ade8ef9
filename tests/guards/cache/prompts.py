"""Made-up runs whose prompts read from a cache, or do not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from hypothesis import strategies as st

from callboard.bus.messages import (
    ContextRelieved,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Prefix,
    Problem,
    Usage,
)
from callboard.bus.ports import Stored
from callboard.config.guards import Price
from callboard.config.spec import AgentSpec, ModelChoice
from tests.support.journals import T0, claimed, journal

PRICE = Price(input=3, output=15, cached=0.3, written=3.75)
CLAUDE = ModelChoice(provider="anthropic", name="claude", price=PRICE)
GPT = ModelChoice(provider="openai", name="gpt", price=PRICE)
LOCAL = ModelChoice(provider="openai-chat", name="qwen")
SPEC = AgentSpec(name="a", model=CLAUDE, fallbacks=(GPT, LOCAL))
LABELS = {"claude": CLAUDE.label, "gpt": GPT.label, "qwen": LOCAL.label}
BIG = 10_000


@dataclass(frozen=True)
class Turn:
    """A turn of a made-up run: what its prompt read from the cache, and what came before it."""

    read: int = 0
    new: int = 500
    written: int = 0
    model: str = "claude"
    gap: float = 10.0
    tools: str = "t"
    output: str = ""
    system: str = "s"
    history: str = ""
    """``relieved`` or ``changed`` since the turn before."""
    wrap_up: bool = False
    purpose: str = "turn"
    fails: bool = False


def run_of(turns: Iterable[Turn]) -> tuple[Stored, ...]:
    """Their journal. Histories are named by how many there were."""
    entries, times, epoch, last = [claimed(spec=SPEC.model_dump(mode="json", exclude_defaults=True))], [0.0], 0, ""
    now = 0.0
    for number, turn in enumerate(turns, 1):
        now += turn.gap
        if turn.history == "relieved":
            entries.append(ContextRelieved(call=f"m{number}"))
            times.append(now)
        epoch += bool(turn.history)
        before = "" if not last else last if not turn.history else f"{epoch}/{last}"
        told = f"{epoch}/{number}"
        counts = turn.purpose == "turn" and not turn.wrap_up
        prefix = Prefix(
            tools=turn.tools, output=turn.output, system=turn.system, history=told, before=before, messages=number
        )
        last = told if counts else last
        entries.append(
            ModelRequested(call=f"m{number}", model=LABELS[turn.model], prefix=prefix, wrap_up=turn.wrap_up,
                purpose=turn.purpose)
        )  # fmt: skip
        times.append(now)
        usage = Usage(input_tokens=turn.new, cached_tokens=turn.read, written_tokens=turn.written)
        if turn.fails:
            entries.append(ModelFailed(call=f"m{number}", problem=Problem(kind="x", message="x")))
        else:
            entries.append(ModelResponded(call=f"m{number}", usage=usage, purpose=turn.purpose))
        times.append(now + 1)
    return tuple(
        replace(entry, at=T0 + timedelta(seconds=at)) for entry, at in zip(journal(*entries), times, strict=True)
    )


turns = st.builds(
    Turn,
    read=st.sampled_from((0, 3_000, 6_000, 20_000)),
    new=st.sampled_from((10, 2_000, BIG)),
    written=st.sampled_from((0, 3_000)),
    model=st.sampled_from(("claude", "claude", "gpt", "qwen")),
    gap=st.sampled_from((1.0, 10.0, 400.0)),
    tools=st.sampled_from(("t", "t", "t", "u")),
    history=st.sampled_from(("", "", "", "relieved", "changed")),
    wrap_up=st.sampled_from((False, False, False, True)),
    fails=st.sampled_from((False, False, True)),
)
