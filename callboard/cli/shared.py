"""Shell: what all commands share: their options, their logs, and what an error looks like and ends with."""

from __future__ import annotations

import getpass
import inspect
import json as json_module
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Final, Literal, ParamSpec, cast

import typer

from callboard.errors import BusError, CallboardError, ConfigError, InvalidMessage, QueueFull, RunFailed, RunKilled

if TYPE_CHECKING:
    from pydantic import JsonValue

    from callboard.app.bus_at import BusAt

P = ParamSpec("P")

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NO_BUS: Final = 3
KILLED: Final = 4
FULL: Final = 5
BUG: Final = 70
INTERRUPTED: Final = 130
EXIT_CODES: Final = (
    "Exit codes: 0 done · 1 the run failed, or a check found something · 2 wrong usage or configuration · "
    "3 bus not reachable, or it refused · 4 the run was killed · 5 the queue is full · 130 interrupted"
)

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="CALLBOARD_URL",
        help="Where the bus is, nats://host:port, several with commas. Default: the server in ./.callboard.",
    ),
]
Prefix = Annotated[str, typer.Option("--prefix", envvar="CALLBOARD_PREFIX", help="Prefix of the deployment.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: one document, or one line for each of a stream.")]
LogFormat = Annotated[
    Literal["console", "json"], typer.Option("--log-format", envvar="CALLBOARD_LOG_FORMAT", help="Of the logs.")
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"] | None,
    typer.Option("--log-level", envvar="CALLBOARD_LOG_LEVEL", help="From which level on.", show_default="by command"),
]
Tenant = Annotated[str, typer.Option("--tenant", envvar="CALLBOARD_TENANT", help="Whose run it is.")]


@dataclass(frozen=True, slots=True)
class Shared:
    """The options that every command has."""

    url: str | None = None
    prefix: str = "cb"
    json: bool = False
    log_format: Literal["console", "json"] = "console"
    log_level: str = "warning"

    def logs(self, secrets: frozenset[str] = frozenset()) -> None:
        """Set up the logs, without ``secrets``."""
        from callboard.log import configure

        configure(json=self.log_format == "json", level=self.log_level, secrets=secrets)

    @property
    def by(self) -> str:
        """Who gives the command, for the journals."""
        try:
            return getpass.getuser()
        except (KeyError, OSError):  # a container's user without a name
            return "cli"

    def bus(self) -> BusAt:
        """Where the bus is. Raises ``BusUnreachable``."""
        from callboard.app.board import bus_at

        return bus_at(self.url, prefix=self.prefix)

    def show(self, value: JsonValue) -> None:
        """Print one JSON document, or one line of a stream of them."""
        say(json_module.dumps(value, ensure_ascii=False))


def command(
    app: typer.Typer, name: str, *, level: str = "warning"
) -> Callable[[Callable[Concatenate[Shared, P], Awaitable[int]]], Callable[P, None]]:
    """Make an async function, which returns the exit code, the command ``name`` with the shared options added."""

    def register(function: Callable[Concatenate[Shared, P], Awaitable[int]]) -> Callable[P, None]:
        def run(*_: P.args, **given: P.kwargs) -> None:
            options = cast("dict[str, Any]", given)
            shared = Shared(
                url=options.pop("url"),
                prefix=options.pop("prefix"),
                json=options.pop("json"),
                log_format=options.pop("log_format"),
                log_level=options.pop("log_level") or level,
            )
            raise SystemExit(drive(shared, lambda: function(shared, **options)))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        run.__signature__ = inspect.Signature([*own, *_SHARED])  # type: ignore[attr-defined]
        run.__annotations__ = {}
        run.__doc__ = function.__doc__
        in_short = inspect.cleandoc(function.__doc__ or "").partition("\n\n")[0]  # the whole of it, not its first words
        app.command(name, short_help=in_short, epilog=EXIT_CODES)(run)
        return run

    return register


_KEYWORD: Final = inspect.Parameter.KEYWORD_ONLY
_SHARED: Final = (
    inspect.Parameter("url", _KEYWORD, default=None, annotation=Url),
    inspect.Parameter("prefix", _KEYWORD, default="cb", annotation=Prefix),
    inspect.Parameter("json", _KEYWORD, default=False, annotation=Json),
    inspect.Parameter("log_format", _KEYWORD, default="console", annotation=LogFormat),
    inspect.Parameter("log_level", _KEYWORD, default=None, annotation=LogLevel),
)


def say(text: str) -> None:
    """Print a line on stdout, now."""
    typer.echo(text)


def drive(shared: Shared, body: Callable[[], Awaitable[int]]) -> int:
    """Run ``body`` to its exit code; an error becomes one line and a code. Only a bug is shown with its traceback."""
    import anyio

    try:
        return anyio.run(body)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stdout = None  # nor is it flushed at exit
        return DONE
    except BaseException as error:
        found = _first(error)
        code = exit_code(found)
        if code == BUG:
            raise
        report(shared, found, code)
        return code


def exit_code(error: BaseException) -> int:
    """What the process ends with."""
    match error:
        case ConfigError() | InvalidMessage():
            return USAGE
        case QueueFull():
            return FULL
        case BusError():
            return NO_BUS
        case RunKilled():
            return KILLED
        case RunFailed() | TimeoutError():
            return FAILED
        case _:
            return BUG


def report(shared: Shared, error: BaseException, code: int) -> None:
    """One red line on stderr, or JSON; a configuration with several mistakes has a line for each."""
    text = str(error) or "the time is up"
    if shared.json:
        kind = type(error).__name__
        typer.echo(json_module.dumps({"error": {"type": kind, "message": text, "exit_code": code}}), err=True)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for line in text.splitlines():
        console.print(Text.assemble(("error: ", "bold red"), (line, "red")))


def _first(error: BaseException) -> BaseException:
    """The error that counts in a group: one of ours, if there is one."""
    inner = cast("tuple[BaseException, ...]", getattr(error, "exceptions", ()))
    leaves = [_first(each) for each in inner]
    return next((leaf for leaf in leaves if isinstance(leaf, CallboardError)), leaves[0] if leaves else error)
