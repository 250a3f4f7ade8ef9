"""Shell: what configuration files refer to: variables of the environment, and small text files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LARGEST_FILE: Final = 1_048_576
"""Bytes of a file that the configuration reads."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Resolves ``${env:NAME}`` from ``env``, and ``${file:path}`` relative to ``base``."""

    env: Mapping[str, str]
    base: Path

    def __call__(self, kind: str, name: str) -> str:
        """The value. Raises ``ValueError`` that says what to do."""
        if kind == "file":
            try:
                return read(self.base / name).rstrip("\r\n")
            except UnicodeDecodeError:
                raise ValueError("the file is not UTF-8: save it as UTF-8") from None
        value = self.env.get(name) if "\0" not in name else None
        if value is None:
            raise ValueError("the environment has no such variable: set it, or write '$${' for a literal '${'")
        return value


def is_file(path: Path) -> bool:
    """Whether there is such a file; False for what can be no path."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read(path: Path) -> str:
    """A small text file. Raises ``ValueError`` (``UnicodeDecodeError`` for what is not UTF-8)."""
    if not is_file(path):
        raise ValueError("there is no such file")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise ValueError(f"the file is larger than {LARGEST_FILE} bytes")
    return content.decode("utf-8-sig")
