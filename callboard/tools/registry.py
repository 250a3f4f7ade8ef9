"""Shell: find the tools that a configuration names. What it does not name is not there."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import cast

from callboard.errors import ConfigError
from callboard.tools.tool import AnyTool, Tool


class Registry:
    """The tools that references can name: ``builtins`` by their name, all others by where they are defined."""

    def __init__(self, builtins: Iterable[AnyTool] = ()) -> None:
        self._builtins = MappingProxyType({tool.spec.name: tool for tool in builtins})

    def resolve(self, references: Sequence[str], base: Path) -> Mapping[str, AnyTool]:
        """The tools of ``references``, by name: an agent's allow-list.

        A reference is the name of a built-in, ``file.py:function`` (relative to ``base``) or
        ``package.module:function``. Raises ``ConfigError`` if one leads nowhere or two have the same name.
        """
        found: dict[str, AnyTool] = {}
        origin: dict[str, str] = {}
        for reference in references:
            tool = self._resolve(reference, base)
            name = tool.spec.name
            if name in found:
                raise ConfigError(
                    f"tools {origin[name]!r} and {reference!r} are both called {name!r}: "
                    f"remove one, or rename it with @tool(name=…)"
                )
            found[name], origin[name] = tool, reference
        return MappingProxyType(found)

    def _resolve(self, reference: str, base: Path) -> AnyTool:
        place, separator, attribute = reference.rpartition(":")
        if not separator:
            return self._builtin(reference)
        if not place or not attribute:
            raise ConfigError(f"tool {reference!r}: write `file.py:function` or `package.module:function`")
        source = str(base / place) if place.endswith(".py") else place
        module = load_module(source, f"tool {reference!r}")
        return _tool_in(module, attribute, reference=reference)

    def _builtin(self, name: str) -> AnyTool:
        if name not in self._builtins:
            known = ", ".join(sorted(self._builtins)) or "none"
            raise ConfigError(
                f"tool {name!r} is not built in (there are: {known}): "
                f"name your own as `file.py:function` or `package.module:function`"
            )
        return self._builtins[name]


def load_module(source: str, what: str) -> ModuleType:
    """The module in the file ``source`` (``….py``; loaded once in a process), or the one of that dotted name.

    Raises ``ConfigError``, which begins with ``what`` it is loaded for.
    """
    return _from_file(Path(source), what) if source.endswith(".py") else _from_package(source, what)


def _from_file(path: Path, what: str) -> ModuleType:
    path = path.resolve()
    # Unique for the path: two files of the same name stay apart, and one file is loaded once in a process.
    name = f"callboard_tools_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise ConfigError(f"{what}: there is no file {str(path)!r}")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses and annotations look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        _reject(error, what, path=path)
        raise
    return module


def _from_package(name: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except BaseException as error:
        _reject(error, what)
        raise


def _reject(error: BaseException, what: str, *, path: Path | None = None) -> None:
    """Raise ``ConfigError`` for what an import can do wrong, ``sys.exit()`` at module level included."""
    if not isinstance(error, (Exception, SystemExit)):
        return
    shown = "".join(traceback.format_exception_only(error)).strip().rsplit("\n", maxsplit=1)[-1]
    message = str(error) if isinstance(error, ConfigError) else shown
    raise ConfigError(f"{what} cannot be imported: {_where(error, path)}{message}") from error


def _where(error: BaseException, path: Path | None) -> str:
    """``file:line: `` of the user's statement that failed; nothing if there is none (no such module)."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: "
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_machinery(frame.filename)]
    own = [frame for frame in frames if frame.filename == str(path)] or frames
    return f"{own[-1].filename}:{own[-1].lineno}: " if own else ""


def _is_machinery(filename: str) -> bool:
    ours = Path(filename).parent == Path(__file__).parent
    return ours or filename.startswith("<frozen importlib") or filename == importlib.__file__


def _tool_in(module: ModuleType, attribute: str, *, reference: str) -> AnyTool:
    value: object = getattr(module, attribute, None)
    if isinstance(value, Tool):
        return cast("AnyTool", value)
    if callable(value):
        raise ConfigError(f"tool {reference!r} is a plain function: decorate it with @tool")
    known = ", ".join(sorted(name for name, member in vars(module).items() if isinstance(member, Tool))) or "none"
    raise ConfigError(f"tool {reference!r}: there is no tool {attribute!r} in {module.__file__}, only: {known}")
