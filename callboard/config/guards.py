"""Pure: the settings of guards, as data. Every default is on: who configures nothing cannot burn $300."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import ConfigDict, Field, JsonValue

from callboard.config.base import NOT_A_BOOL, Name, Seconds, Strict, Switch

Mode: TypeAlias = Annotated[
    Literal["shadow", "warn", "enforce"],
    Field(description="'enforce': it does what it says; 'warn': it only says it; 'shadow': the same, to try it out."),
]
Missing: TypeAlias = Annotated[
    Literal["open", "closed"],
    Field(
        description="While no process runs the guard: 'open': runs go on; 'closed': they hold before their next call."
    ),
]
Period: TypeAlias = Literal["day", "month"]
Usd = Annotated[float, Field(gt=0, le=1_000_000), NOT_A_BOOL]
Count = Annotated[int, Field(ge=1, le=10**15), NOT_A_BOOL]
Share = Annotated[float, Field(gt=0, lt=1), NOT_A_BOOL]


class RunBudget(Strict):
    """What one run may use, its children included. ``null`` is no cap."""

    usd: Annotated[Usd | None, Field(description="US dollars.")] = 2.0
    input_tokens: Annotated[Count | None, Field(description="Input tokens, cached or not.")] = None
    output_tokens: Annotated[Count | None, Field(description="Output tokens, thinking included.")] = None
    model_calls: Annotated[Count | None, Field(description="Attempts of model calls, retries included.")] = 100
    tool_calls: Annotated[Count | None, Field(description="Attempts of tool calls.")] = 200


class SharedBudget(Strict):
    """What many runs may use together in a period (UTC)."""

    usd: Annotated[Usd | None, Field(description="US dollars.")] = None
    input_tokens: Annotated[Count | None, Field(description="Input tokens, cached or not.")] = None
    output_tokens: Annotated[Count | None, Field(description="Output tokens, thinking included.")] = None
    model_calls: Annotated[Count | None, Field(description="Attempts of model calls, retries included.")] = None
    tool_calls: Annotated[Count | None, Field(description="Attempts of tool calls.")] = None
    per: Annotated[Period, Field(description="'day' or 'month', in UTC.")] = "month"


class BudgetSettings(Strict):
    """Budgets: reserved before a call, settled after it, so that concurrency cannot exceed them."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    mode: Mode = "enforce"
    missing: Annotated[
        Missing, Field(description="Without a process that audits the budget. The worker asks the budget in any case.")
    ] = "open"
    run: Annotated[RunBudget, Field(description="One run, with its children.")] = RunBudget()
    agent: Annotated[SharedBudget | None, Field(description="All runs of the agent, of one tenant.")] = None
    tenant: Annotated[SharedBudget | None, Field(description="All runs of the tenant.")] = None
    everybody: Annotated[SharedBudget | None, Field(alias="global", description="All runs of the deployment.")] = None
    hard: Annotated[Switch, Field(description="Kill at 100 %, without a turn to wrap up.")] = False
    warn_at: Annotated[tuple[Share, ...], Field(description="Shares of a cap at which to warn.")] = (0.5, 0.8)
    steer_at: Annotated[Share, Field(description="Share of a cap at which the model is told what is left.")] = 0.8
    wrap_up: Annotated[Share, Field(description="Share of a cap that is kept for the turn that wraps up.")] = 0.1
    burn_within: Annotated[
        tuple[Seconds, ...],
        Field(max_length=8, description="Warn when a run's dollars will be used up so soon, at its present rate."),
    ] = (600.0, 120.0)

    @property
    def is_shared(self) -> bool:
        """Are there budgets that a run shares with others?"""
        return bool(self.agent or self.tenant or self.everybody)


class LoopSettings(Strict):
    """Loops and no progress. Fewer is stricter."""

    mode: Mode = "enforce"
    missing: Missing = "open"
    repeats: Annotated[
        int,
        Field(ge=2, le=50, description="The same 1 to 4 turns, with the same results, so often in a row."),
        NOT_A_BOOL,
    ] = 3
    errors: Annotated[
        int, Field(ge=2, le=100, description="Turns in a row with the same error, whatever the arguments."), NOT_A_BOOL
    ] = 5
    turns: Annotated[
        int,
        Field(ge=2, le=1000, description="Turns in a row that bring nothing new; doubtful ones count less."),
        NOT_A_BOOL,
    ] = 6
    monologue: Annotated[
        int, Field(ge=2, le=1000, description="Turns in a row without a tool and without a person."), NOT_A_BOOL
    ] = 6
    unchanged: Annotated[Seconds, Field(description="How long a tool that polls may answer the same.")] = 300.0
    patience: Annotated[
        int,
        Field(ge=1, le=1000, description="Such turns after the nudge until the kill; doubtful ones count less."),
        NOT_A_BOOL,
    ] = 3


class StuckSettings(Strict):
    """Runs that nothing happens in."""

    mode: Mode = "enforce"
    missing: Missing = "open"
    factor: Annotated[float, Field(ge=1, le=100, description="Times the step's timeout without an event.")] = 2.0


class CacheSettings(Strict):
    """Prompt caches that are not read from."""

    mode: Annotated[Mode, Field(description="It only tells, whatever the mode.")] = "warn"
    ratio: Annotated[
        Share, Field(description="Share of the prompt before that a call must read from the cache, else it says so.")
    ] = 0.5
    lifetime: Annotated[Seconds, Field(description="How long the provider keeps what nobody reads.")] = 300.0


class CustomGuard(Strict):
    """A guard of your own. ``use`` may stand at another level than the rest."""

    use: Annotated[str, Field(description="'file.py:Class' or 'package.module:Class'.")] = ""
    mode: Mode = "enforce"
    missing: Annotated[Missing | None, Field(description="Without it, what the class says.")] = None
    settings: Annotated[dict[str, JsonValue], Field(description="Handed to the class as keywords.")] = Field(
        default_factory=dict
    )


class GuardSettings(Strict):
    """The guards of an agent's runs."""

    budget: Annotated[BudgetSettings, Field(description="Money, tokens and calls.")] = BudgetSettings()
    loop: Annotated[LoopSettings, Field(description="The same again and again, and no progress.")] = LoopSettings()
    stuck: StuckSettings = StuckSettings()
    cache: CacheSettings = CacheSettings()
    custom: Annotated[dict[Name, CustomGuard], Field(description="Guards of your own, by name.")] = Field(
        default_factory=dict
    )


FUNCTION_GUARDS: Final = GuardSettings(
    budget=BudgetSettings(run=RunBudget(usd=None, model_calls=None, tool_calls=None)),
    stuck=StuckSettings(mode="warn"),
)
"""What ``@worker`` functions have: no caps, since their children have their own; between steps they may be silent."""
BUILTIN_GUARDS: Final = frozenset(
    {
        "alerts",
        "breaker",
        "budget",
        "cache",
        "deadline",
        "depth",
        "iterations",
        "limits",
        "loop",
        "pause",
        "rate",
        "stuck",
    }
)
"""Names on the bus that a guard of your own may not have."""


class Breaker(Strict):
    """When a circuit opens, per model and per tool."""

    mode: Mode = "enforce"
    window: Annotated[Seconds, Field(description="Over which failures are counted.")] = 60.0
    calls: Annotated[int, Field(ge=1, description="Fewer calls in the window open nothing."), NOT_A_BOOL] = 10
    failures: Annotated[float, Field(gt=0, le=1, description="Share of failures that opens it.")] = 0.5
    consecutive: Annotated[int, Field(ge=1, description="Hard failures in a row that open it."), NOT_A_BOOL] = 5
    slow: Annotated[float, Field(gt=0, le=1, description="Share of slow calls that opens it.")] = 0.8
    slow_after: Annotated[Seconds, Field(description="A call that takes longer is slow.")] = 60.0
    open_for: Annotated[Seconds, Field(description="The first time; doubles with every failed probe.")] = 10.0
    open_at_most: Annotated[
        Seconds, Field(description="However often the probe failed; of a model, 30s count at most.")
    ] = 300.0


class RateLimit(Strict):
    """What a provider allows, per minute; calls wait for it instead of running into 429."""

    requests: Annotated[Count | None, Field(description="Calls in a minute.")] = None
    input_tokens: Annotated[Count | None, Field(description="Input tokens in a minute.")] = None
    output_tokens: Annotated[Count | None, Field(description="Output tokens in a minute.")] = None
    concurrency: Annotated[Count | None, Field(description="Calls at the same time.")] = None


class Rates(Strict):
    """US dollars per million tokens."""

    input: Annotated[float, Field(ge=0, le=1_000_000, description="What the model reads anew.")]
    output: Annotated[float, Field(ge=0, le=1_000_000, description="What it answers, thinking included.")]
    cached: Annotated[float | None, Field(ge=0, le=1_000_000, description="Read from a cache; else as 'input'.")] = None
    written: Annotated[
        float | None,
        Field(
            ge=0, le=1_000_000,
            description="Written to a cache; else as 'input', and of 'anthropic' and 'openai' 1.25 times that.",
        ),
    ] = None  # fmt: skip


class PriceStep(Rates):
    """What all tokens of a call cost whose prompt is larger."""

    above: Annotated[Count, Field(description="Tokens of the prompt, cached or not.")]


class Price(Rates):
    """US dollars per million tokens."""

    steps: Annotated[tuple[PriceStep, ...], Field(max_length=8, description="What large prompts cost.")] = ()
    source: Annotated[str, Field(max_length=100, description="Where it is from; runs show it. Else 'config'.")] = ""
