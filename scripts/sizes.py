"""Shell: files have at most 300 lines and functions at most 40. There is no list of exceptions."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
FILE_LINES: Final = 300
FUNCTION_LINES: Final = 40


def findings(path: Path, root: Path = ROOT) -> Iterator[str]:
    """What is too long in one file."""
    text = path.read_text(encoding="utf-8")
    where = path.relative_to(root)
    if (lines := len(text.splitlines())) > FILE_LINES:
        yield f"{where}: {lines} lines, at most {FILE_LINES}: split it by concern"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{where}:{node.lineno}: {node.name} has {lines} lines, at most {FUNCTION_LINES}"


def main() -> int:
    """Print what is too long; 1 if anything is."""
    files = sorted(path for folder in ("callboard", "scripts") for path in (ROOT / folder).rglob("*.py"))
    found = [finding for path in files for finding in findings(path)]
    print("\n".join(found) or f"{len(files)} files, none too long")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
