"""Shell: the built-in file tools. What they may touch is decided in ``rooted``."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, cast

from pydantic import Field

from callboard.errors import ConfigError, ToolError
from callboard.tools import rooted
from callboard.tools.command import run_command
from callboard.tools.context import ToolContext
from callboard.tools.tool import AnyTool, tool

_TIMEOUT: Final = 30.0
_TEXT: Final = 24_000
"""Bytes of text in one answer, so that it stays below the result limit and the model reads on by itself."""
_LINE: Final = 2_000
"""Characters of one line."""
_ENTRIES: Final = 500
_ANSWER: Final = 16_000_000
"""Bytes that a search may answer: more than its largest number of matches can take."""


def file_tools(root: Path) -> tuple[AnyTool, ...]:
    """``read_file``, ``list_files`` and ``search_text`` for what lies below ``root``."""
    if not root.is_dir():
        raise ConfigError(f"the root of the file tools is {str(root)!r}: give a directory that exists")
    top = str(root.resolve())
    return _read_file(top), _list_files(top), _search_text(top)


def _read_file(root: str) -> AnyTool:
    @tool(effect="pure", timeout=_TIMEOUT)
    def read_file(
        path: str,
        start: Annotated[int, Field(ge=1)] = 1,
        lines: Annotated[int, Field(ge=1, le=2_000)] = 200,
    ) -> dict[str, Any]:
        """Read lines of a text file. If `more` is true, read on with `start` = `end` + 1.

        Args:
            path: Path of the file, relative to the root.
            start: Number of the first line, counted from 1.
            lines: How many lines at most.
        """
        with _refusals(), rooted.text_file(root, path) as file:
            return {"path": path, "start": start, **_window(rooted.lines_of(file), start, count=lines)}

    return read_file


def _window(pieces: Iterator[tuple[int, bytes]], start: int, *, count: int) -> dict[str, Any]:
    """The lines from ``start``; stops at ``count`` lines or ``_TEXT`` bytes, but never before the first line."""
    text: list[str] = []
    size = 0
    wanted = itertools.dropwhile(lambda piece: piece[0] < start, pieces)
    for _, parts in itertools.groupby(wanted, key=lambda piece: piece[0]):
        line = _first(parts)
        size += len(json.dumps(line, ensure_ascii=False).encode())
        if len(text) == count or (text and size > _TEXT):
            return {"end": start + len(text) - 1, "text": "\n".join(text), "more": True}
        text.append(line)
    return {"end": start + len(text) - 1, "text": "\n".join(text), "more": False}


def _first(parts: Iterator[tuple[int, bytes]]) -> str:
    """A line from its pieces; the first piece is far longer than what is shown, the others only count."""
    _, piece = next(parts)
    rest = sum(len(part) for _, part in parts)
    line = piece.decode(errors="replace").rstrip("\r\n")
    return rooted.cut(line, _LINE) if not rest else f"{line[:_LINE]}… {len(piece) + rest:,} bytes in all, cut"


def _list_files(root: str) -> AnyTool:
    @tool(effect="pure", timeout=_TIMEOUT)
    def list_files(path: str = ".", pattern: str = "*") -> dict[str, Any]:
        """List the files and directories in a directory.

        Args:
            path: Path of the directory, relative to the root.
            pattern: Names to list, e.g. `*.log`; `**/*.log` also looks into all subdirectories.
        """
        with _refusals():
            found = list(itertools.islice(rooted.entries(root, path, pattern=pattern), _ENTRIES + 1))
        return {"path": path, "entries": found[:_ENTRIES], "more": len(found) > _ENTRIES}

    return list_files


def _search_text(root: str) -> AnyTool:
    @tool(effect="pure", timeout=_TIMEOUT)
    async def search_text(  # noqa: D417  # the model does not see the context
        pattern: Annotated[str, Field(min_length=1)],
        context: ToolContext,
        path: str = ".",
        max_matches: Annotated[int, Field(ge=1, le=1_000)] = 100,
        *,
        regex: bool = False,
    ) -> dict[str, Any]:
        """Find the lines that contain a text, in a file or in all files below a directory.

        Args:
            pattern: The text to find.
            path: Path of the file or directory, relative to the root.
            max_matches: How many lines at most.
            regex: Whether `pattern` is a regular expression (Python syntax).
        """
        request = {"root": root, "path": path, "pattern": pattern, "regex": regex, "most": max_matches}
        # A process of its own: a regular expression that explodes can be stopped only by killing it.
        argv = [sys.executable, "-I", "-S", rooted.__file__]
        result = await run_command(argv, context=context, input=json.dumps(request), keep=_ANSWER)
        if result.code != 0:
            raise ToolError("search_failed", f"the search ended with status {result.code}: {result.stderr[-500:]}")
        answer = cast("dict[str, Any]", json.loads(result.stdout))
        if "refused" in answer:
            kind, message = answer["refused"]
            raise ToolError(kind, message)
        return answer

    return search_text


@contextmanager
def _refusals() -> Generator[None]:
    try:
        yield
    except rooted.RefusedPath as refused:
        raise ToolError(refused.kind, str(refused)) from refused
