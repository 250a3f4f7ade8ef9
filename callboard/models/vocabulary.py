"""Pure: counts tokens with a model's own vocabulary, if the extra ``callboard[tokens]`` is there. Nothing is fetched.

``toktok`` carries the vocabularies of OpenAI's models. Nobody has published Claude's: what it counts there is borrowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Final

from pydantic import JsonValue

from callboard.config.spec import ModelChoice
from callboard.errors import ConfigError
from callboard.models.quoting import as_text
from callboard.models.tokens import BYTES, TokenCounter

EXTRA: Final = "callboard[tokens]"
_FRAME: Final = 8
"""Tokens around a text: who says it, the name of a call, which result is whose."""
_NEWER: Final = "o200k_base"
_FAMILIES: Final = (
    (re.compile(r"(chatgpt-4o|gpt-4o|gpt-4\.[15]|gpt-5|gpt-oss|o[134])(?![a-z0-9])"), _NEWER),
    (re.compile(r"(gpt-4|gpt-3\.?5)(?![a-z0-9])"), "cl100k_base"),
)
"""How the names of OpenAI's models begin, and their vocabularies; the first that fits."""
_CLAUDE: Final = re.compile(r"claude(?![a-z0-9])")
_TIMES: Final = 1.6
"""Tokens of Claude for one of ``o200k_base``. Measured with ctok 1.3: prose 1.1 to 1.4, code 1.2 to 1.6, JSON and logs
1.0 to 1.5, Chinese 1.6. Other languages have up to 2.4, and then at most half as many as bytes."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Counts tokens with ``count``: ``times`` so many, and no fewer than ``least`` for a byte."""

    name: str
    count: Callable[[str], int]
    times: float = 1.0
    least: float = 0.0
    most: float = 1.0

    def text(self, text: str) -> int:
        """Its tokens, and those around it."""
        return _FRAME + max(ceil(self.times * self.count(text)), ceil(self.least * BYTES.text(text)))

    def json(self, value: JsonValue) -> int:
        """Its tokens, as adapters write it."""
        return self.text(as_text(value))

    def unread(self, size: int) -> int:
        """By its bytes."""
        return _FRAME + ceil(BYTES.most * size)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A vocabulary, or why it cannot be used: ``""`` if the extra is not installed."""

    count: Callable[[str], int] | None
    fault: str = ""


def counter_of(choice: ModelChoice) -> TokenCounter:
    """How the tokens of ``choice`` are counted here. The first one of a vocabulary loads it: 0.3 s, 60 MB."""
    encoding = encoding_of(choice)
    count = _load(encoding).count if encoding else None
    return BYTES if count is None else _counting(encoding, count, claude=_is_claude(choice))


def encoding_of(choice: ModelChoice) -> str:
    """The vocabulary that counts for ``choice``, whether it is here or not; ``""``: there is none."""
    if choice.provider == "scripted":
        return ""
    if _is_claude(choice):
        return _NEWER
    name = _name(choice)
    return next((encoding for family, encoding in _FAMILIES if family.match(name)), "")


def check_counter(choice: ModelChoice) -> None:
    """Load what counts for ``choice``. Raises ``ConfigError`` if the extra is installed and does not work."""
    encoding = encoding_of(choice)
    if encoding and (fault := _load(encoding).fault):
        raise ConfigError(
            f"{EXTRA} is installed, and cannot count with {encoding!r}: {fault}; "
            f"install it again (pip install --force-reinstall '{EXTRA}'), or remove it (pip uninstall toktok-rs)"
        )


@cache
def _counting(encoding: str, count: Callable[[str], int], *, claude: bool) -> Vocabulary:
    if claude:
        return Vocabulary(f"{_TIMES:g} times {encoding}, or more", count, _TIMES, BYTES.most)
    return Vocabulary(encoding, count)


@cache
def _load(encoding: str) -> _Loaded:
    """Never raises: an estimate by bytes goes on."""
    try:
        from toktok import batch_count  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs] - an extra

        batch_count(("",), encoding, threads=1)
    except Exception as error:  # noqa: BLE001 - whatever a compiled module raises
        absent = isinstance(error, ModuleNotFoundError) and error.name == "toktok"
        return _Loaded(None, "" if absent else f"{type(error).__name__}: {error}")

    def count(text: str) -> int:
        try:
            return batch_count((text,), encoding, threads=1)[0]
        except UnicodeEncodeError:  # half a surrogate, which a provider is not sent as such either
            return batch_count((text.encode("utf-8", "replace").decode(),), encoding, threads=1)[0]

    return _Loaded(count)


def _name(choice: ModelChoice) -> str:
    """Gateways put the maker before a model's name."""
    return choice.name.lower().rpartition("/")[2]


def _is_claude(choice: ModelChoice) -> bool:
    return _CLAUDE.search(_name(choice)) is not None
