"""Pure: what a result says, whatever it is wrapped in: a text, its JSON, blocks of content, what a shell printed."""

from __future__ import annotations

import json
import re
from typing import Final

from pydantic import JsonValue

_DEEPEST: Final = 6
_LONGEST: Final = 65_536
_BESIDE: Final = frozenset(
    """
    _meta annotations cache_control exit exitCode exit_code interrupted isError is_error isImage meta ms returncode
    return_code structuredContent tool_call_id tool_use_id type
    """.split()  # noqa: SIM905 - a list would take a line for each
)
"""What stands beside a content and is none."""
_INSIDE: Final = ("content", "text", "result", "output", "stdout", "stderr")
_FOOTER: Final = re.compile(
    r"(?:(?:^|\n)[^\S\n]*(?:\[[^\]\n]{0,40}\bexit(?:ed)?(?: with)?(?: code| status)?[ :=]{0,3}0\b[^\]\n]{0,120}\]"
    r"|[(\[](?:Open file|Current (?:working )?directory|cwd|Python interpreter)\b[^\n]{0,200}[)\]]"
    r"|(?:bash|sh|root|user)[\w@.:~/-]{0,40}[$#>]|(?:Process exited with|Exit) (?:code|status)[ :=]{0,3}0)"
    r"[^\S\n]*)+\s*\Z",
    re.IGNORECASE,
)
"""What a harness writes below each result: its prompt, where it is, and that the command went well."""
_FOOT: Final = 512
_LAST: Final = frozenset(")]$#>0")
_FAILED: Final = ("isError", "is_error")


def opened(value: JsonValue) -> tuple[JsonValue, bool]:
    """The content without its envelopes, and whether one of them says that the call failed."""
    failed = False
    for _ in range(_DEEPEST):
        value = _read(value) if isinstance(value, str) else value
        if isinstance(value, dict):
            failed = failed or any(value.get(name) is True for name in _FAILED)
            content = [value[name] for name in _INSIDE if name in value]
            if not content or value.keys() - _BESIDE.union(_INSIDE):
                break
            value = _joined([each for each in content if each not in ("", None)])
        elif isinstance(value, list) and value and all(map(_is_text, value)):
            value = _joined([each["text"] for each in value if isinstance(each, dict)])
        else:
            break
    return _without_footer(value) if isinstance(value, str) else value, failed


def _without_footer(text: str) -> str:
    """Without what stands below each result."""
    if text.rstrip()[-1:] not in _LAST:
        return text
    return text[:-_FOOT] + _FOOTER.sub("", text[-_FOOT:])


def _read(text: str) -> JsonValue:
    """What the text is as JSON, if it is any, and not long."""
    if len(text) > _LONGEST or text.lstrip()[:1] not in {"{", "["}:
        return text
    try:
        found: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found


def _is_text(block: JsonValue) -> bool:
    return isinstance(block, dict) and isinstance(block.get("text"), str) and block.get("type", "text") == "text"


def _joined(parts: list[JsonValue]) -> JsonValue:
    if len(parts) == 1:
        return parts[0]
    texts = [each for each in parts if isinstance(each, str)]
    return "\n".join(texts) if len(texts) == len(parts) else parts
