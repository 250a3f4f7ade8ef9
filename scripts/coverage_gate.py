"""Shell: pure modules are covered completely (lines and branches), the whole package to 90 %.

Combines what the test processes and their children measured; prints what is missing, and leaves with 1 if it is much.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
REPORT: Final = ROOT / ".coverage-report.json"
OVERALL: Final = 90.0
PURE: Final = 100.0
SHOWN: Final = 12


def coverage(*arguments: str) -> None:
    """Run one of coverage's commands; its own words go to the screen if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "coverage", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"coverage {arguments[0]}: {(done.stdout + done.stderr).strip()}")


def says_pure(path: Path) -> bool:
    """Does the module's docstring begin with ``Pure:``?"""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").startswith("Pure:")


def missing(entry: dict[str, Any]) -> str:
    """The lines that no test reached, as ranges, and the branches between lines that tests did reach; cut to a line."""
    unreached = list[int](entry["missing_lines"])
    ends = [line for line in unreached if line + 1 not in unreached]
    starts = [line for line in unreached if line - 1 not in unreached]
    parts = [f"{start}-{end}" if end > start else str(start) for start, end in zip(starts, ends, strict=True)]
    for start, end in entry.get("missing_branches", []):
        if start not in unreached and end not in unreached:
            parts.append(f"{start}->{'exit' if end < 0 else end}")
    return ", ".join(parts[:SHOWN]) + (f", … {len(parts) - SHOWN} more" if len(parts) > SHOWN else "")


def judge(report: dict[str, Any]) -> int:
    """Print what is short in coverage's JSON report; 1 if a threshold is missed."""
    total = float(report["totals"]["percent_covered"])
    short = [
        (name, float(entry["summary"]["percent_covered"]), missing(entry), says_pure(ROOT / name))
        for name, entry in sorted(report["files"].items())
    ]
    impure = [row for row in short if row[3] and row[1] < PURE]
    for name, percent, lines, pure in short:
        if percent < (PURE if pure else OVERALL):
            print(f"{percent:5.1f} %  {'pure ' if pure else 'shell'}  {name}: {lines}")
    print(f"{total:5.1f} %  overall (at least {OVERALL:.0f} %); {len(impure)} pure modules below {PURE:.0f} %")
    return 1 if impure or total < OVERALL else 0


def main() -> int:
    """Combine, report, judge."""
    coverage("combine", "-q")
    coverage("json", "-q", "-o", str(REPORT))
    return judge(json.loads(REPORT.read_text(encoding="utf-8")))


if __name__ == "__main__":
    sys.exit(main())
