"""Pure: the YAML file that ``python -m callboard.testing`` plays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, ValidationError

from callboard.config.base import NOT_A_BOOL, Seconds, Strict
from callboard.config.expectations import problems_of
from callboard.config.nodes import plain, report
from callboard.config.yaml_text import parse
from callboard.errors import ConfigError
from callboard.testing.billing import Rate
from callboard.testing.faults import Fault, InStream, Other, Refusal
from callboard.testing.limits import Limit
from callboard.testing.script import Call, Replies, Reply, Stop, Tokens, by_turn

Count = Annotated[int, Field(ge=0, le=10**12), NOT_A_BOOL]
Ordinal = Annotated[int, Field(ge=1, le=10**9), NOT_A_BOOL]
Dollars = Annotated[float, Field(ge=0, le=1_000_000), NOT_A_BOOL]


class TokensEntry(Strict):
    """What to report and to bill."""

    input: Count = 0
    output: Count = 0
    cached: Count = 0
    written: Count = 0


class CallEntry(Strict):
    """A tool call. Text as ``arguments`` is sent as it is."""

    name: str
    arguments: dict[str, JsonValue] | str = Field(default_factory=dict)


class ReplyEntry(Strict):
    """An answer."""

    text: str = ""
    calls: tuple[CallEntry, ...] = ()
    thinking: str = ""
    tokens: TokensEntry | None = None
    stop: Stop | None = None
    first: Seconds | None = None
    pace: Seconds | None = None


class FaultEntry(Strict):
    """What goes wrong, for which requests (``at``) or when (``between``, seconds since the start)."""

    kind: Refusal | InStream | Other
    at: Ordinal | tuple[Ordinal, ...] | None = None
    between: tuple[float, float] | None = None
    after: Count | None = None
    seconds: Seconds | None = None
    retry_after: Seconds | None = None
    retry_form: Literal["seconds", "ms", "date"] = "seconds"
    should_retry: bool | None = None
    status: Annotated[int, Field(ge=400, le=599), NOT_A_BOOL] | None = None
    message: str = ""


class RateEntry(Strict):
    """US dollars per million tokens."""

    input: Dollars
    output: Dollars
    cached: Dollars | None = None
    written: Dollars | None = None


class LimitEntry(Strict):
    """What is let in within a minute."""

    requests: Ordinal = 1_000
    tokens: Ordinal = 10_000_000


class ScriptFile(Strict):
    """What the fake provider plays. ``by_turn``: each conversation hears the replies from the first one on."""

    replies: tuple[ReplyEntry, ...]
    by_turn: bool = False
    faults: tuple[FaultEntry, ...] = ()
    prices: dict[str, RateEntry] = Field(default_factory=dict)
    models: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    limit: LimitEntry | None = None


@dataclass(frozen=True, slots=True)
class Play:
    """A script, ready for ``fake_provider``."""

    replies: Replies
    faults: tuple[Fault, ...]
    prices: Mapping[str, Rate]
    models: tuple[str, ...]
    retired: tuple[str, ...]
    limit: Limit | None


def read_script(text: str, file: str) -> Play:
    """The script in ``text``. ``file`` is the name to show. Raises ``ConfigError`` with a line for each problem."""
    root, problems = parse(text, file)
    if root is None or problems:
        raise ConfigError(report(problems))
    try:
        given = ScriptFile.model_validate(plain(root))
    except ValidationError as error:
        raise ConfigError(report(problems_of(error, root, ScriptFile))) from None
    replies = [_reply(each) for each in given.replies]
    return Play(
        by_turn(*replies) if given.by_turn else replies,
        tuple(Fault(**_fields(each)) for each in given.faults),
        {model: Rate(**_fields(each)) for model, each in given.prices.items()},
        given.models,
        given.retired,
        Limit(**_fields(given.limit)) if given.limit else None,
    )


def _reply(entry: ReplyEntry) -> Reply:
    calls = tuple(Call(call.name, call.arguments) for call in entry.calls)
    tokens = Tokens(**_fields(entry.tokens)) if entry.tokens else None
    reply = Reply(entry.text, calls, entry.thinking, tokens, entry.stop)
    return replace(reply, first=entry.first or 0.0, pace=entry.pace or 0.0)


def _fields(entry: Strict) -> dict[str, Any]:
    """The fields of an entry are those of what it describes."""
    return {name: getattr(entry, name) for name in type(entry).model_fields}
