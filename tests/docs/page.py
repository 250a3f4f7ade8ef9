"""Pure: a page's marked blocks. ``<!-- test: … -->`` stands on the line before the fence; readers do not see it.

``file NAME``: the block is written to NAME. ``run``: a console session; below each ``$ command`` stand lines that must
appear in its output, in this order, ``…`` for anything. ``background "TEXT"``: it runs on; it is ready when it has said
TEXT.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_BLOCK: Final = re.compile(
    r"^<!-- test: (?P<mark>[^\n]+) -->\n```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    kind: str
    argument: str
    text: str

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """Each command with the lines that it must print."""
        found: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line.strip():
                found[-1][1].append(line.strip())
        return found


def blocks(page: str) -> list[Block]:
    found = [Block(*_split(match["mark"]), match["text"]) for match in _BLOCK.finditer(page)]
    assert len(found) == page.count("<!-- test:"), "a mark does not stand right before a fenced block"
    return found


def missing(lines: list[str], output: str) -> list[str]:
    """Those of ``lines`` that are not in ``output``, each looked for behind the one before it."""
    at = 0
    for number, line in enumerate(lines):
        pattern = ".*?".join(r"\s+".join(map(re.escape, part.split(" "))) for part in line.split("…"))
        found = re.compile(pattern).search(output, at)
        if found is None:
            return lines[number:]
        at = found.end()
    return []


def _split(mark: str) -> tuple[str, str]:
    kind, _, argument = mark.partition(" ")
    return kind, argument.strip('"')
