"""Shell: the ``@tool`` decorator, which turns a function into a tool that a model can call."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, ParamSpec, TypeAlias, TypeVar, overload

from pydantic import JsonValue, ValidationError

from callboard.config.spec import ToolSpec
from callboard.errors import ConfigError
from callboard.tools.context import ToolContext
from callboard.tools.schema import Parameters, description_of, parameters_of

__all__ = ("RESULT_LIMIT", "AnyTool", "Body", "DoubtPolicy", "Effect", "Resolution", "Tool", "ToolContext", "tool")

Effect: TypeAlias = Literal["pure", "idempotent", "at_most_once", "critical"]
DoubtPolicy: TypeAlias = Literal["ask", "verify", "continue", "fail"]

RESULT_LIMIT: Final = 32_768
"""Bytes of JSON of a result that go into the journal; a larger one goes to the object store."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a ``verify`` hook found out about a call in doubt: it took effect, it may start again, or it failed."""

    decision: Literal["done", "retry", "fail"]
    value: JsonValue = None
    """With ``done``: the result of the call."""


@dataclass(frozen=True, slots=True)
class Body:
    """A function and its parameters."""

    function: Callable[..., Any]
    parameters: Parameters
    is_async: bool


@dataclass(frozen=True, slots=True)
class Tool(Generic[P, R]):
    """A function that a model can call. Calling the tool calls the function, unchecked, as in a unit test."""

    function: Callable[P, R]
    spec: ToolSpec
    body: Body
    verify: Body | None = None
    """Asked after a crash whether the call took effect."""
    result_limit: int = RESULT_LIMIT

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)


AnyTool: TypeAlias = Tool[..., Any]


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...


@overload
def tool(
    *,
    effect: Effect = ...,
    timeout: float | None = ...,
    in_doubt: DoubtPolicy | None = ...,
    name: str | None = ...,
    polls: bool = ...,
    result_limit: int = ...,
    verify: Callable[..., Any] | None = ...,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    effect: Effect = "at_most_once",
    timeout: float | None = None,
    in_doubt: DoubtPolicy | None = None,
    name: str | None = None,
    polls: bool = False,
    result_limit: int = RESULT_LIMIT,
    verify: Callable[..., Any] | None = None,
) -> Tool[P, R] | Callable[[Callable[P, R]], Tool[P, R]]:
    """Make a tool of an async or sync function; its signature and docstring become the schema.

    ``timeout`` is in seconds, ``result_limit`` in bytes. ``polls``: calling it again with the same arguments is
    waiting, not a loop. ``in_doubt`` is ``ask`` for a critical effect, ``verify`` if there is such a hook, else
    ``continue``. The hook takes any of the tool's parameters (and a ``ToolContext``) and returns a ``Resolution``.
    Raises ``ConfigError`` if the function cannot be a tool.
    """

    def decorate(function: Callable[P, R]) -> Tool[P, R]:
        body = _body(function)
        hook = None if verify is None else _hook(verify, body)
        spec = _spec(
            function,
            body,
            name=name,
            effect=effect,
            timeout=timeout,
            in_doubt=_policy(function, effect, in_doubt=in_doubt, hook=hook),
            polls=polls,
        )
        if result_limit < 1:
            raise ConfigError(f"tool {spec.name!r}: result_limit is {result_limit!r}: give a number of bytes above 0")
        return Tool(function, spec, body, verify=hook, result_limit=result_limit)

    return decorate if function is None else decorate(function)


def _body(function: Callable[..., Any]) -> Body:
    if not inspect.isroutine(function):
        raise ConfigError(f"@tool is for functions, not for {function!r}: write `def name(…)` or `async def name(…)`")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(f"tool {function.__qualname__!r} is a generator: return one value, e.g. a list")
    return Body(function, parameters_of(function), inspect.iscoroutinefunction(function))


def _hook(verify: Callable[..., Any], body: Body) -> Body:
    hook = _body(verify)
    unknown = sorted(set(hook.parameters.names) - set(body.parameters.names))
    if unknown:
        raise ConfigError(
            f"verify hook {verify.__qualname__!r}: parameter {unknown[0]!r} is not a parameter of the tool: "
            f"take some of {', '.join(body.parameters.names) or 'none'}, with the tool's types"
        )
    return hook


def _policy(
    function: Callable[..., Any], effect: Effect, *, in_doubt: DoubtPolicy | None, hook: Body | None
) -> DoubtPolicy:
    if in_doubt == "verify" and hook is None:
        raise ConfigError(f"tool {function.__qualname__!r}: in_doubt is 'verify' without a hook: add verify=…")
    if in_doubt is not None:
        return in_doubt
    if effect == "critical":
        return "ask"
    return "continue" if hook is None else "verify"


def _spec(
    function: Callable[..., Any],
    body: Body,
    *,
    name: str | None,
    effect: Effect,
    timeout: float | None,
    in_doubt: DoubtPolicy,
    polls: bool,
) -> ToolSpec:
    try:
        return ToolSpec(
            name=function.__name__ if name is None else name,
            description=description_of(function),
            parameters=dict(body.parameters.json_schema),
            effect=effect,
            in_doubt=in_doubt,
            timeout=timeout,
            polls=polls,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"tool {function.__qualname__!r}: {where} is {first['input']!r}: {first['msg']}") from error
