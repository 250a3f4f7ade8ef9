"""The tools of the triage example: one reads, one writes."""

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

from callboard import tool

LINE = re.compile(r"^(\S+)T(\S+)Z (\S+) GET (\S+) (\d{3}) (\d+)ms req=(\d+)$")
REPORT = Path(os.environ.get("TRIAGE_REPORT", "report.md"))


@tool(effect="pure", timeout=20)
def failing_requests(matches: list[dict[str, Any]]) -> dict[str, Any]:
    """Group failing requests by route, upstream and status.

    Args:
        matches: Matches of search_text, each with a text.
    """
    rows = [found.groups() for match in matches if (found := LINE.match(str(match["text"])))]
    groups = Counter((route, upstream, status) for _, _, upstream, route, status, _, _ in rows)
    worst = [
        {"route": route, "upstream": upstream, "status": int(status), "count": count}
        for (route, upstream, status), count in groups.most_common(5)
    ]
    times = sorted(clock for _, clock, *_ in rows)
    first, last = (times[0], times[-1]) if times else ("", "")
    return {"failures": len(rows), "first": first, "last": last, "worst": worst}


@tool(effect="idempotent", timeout=10)
def write_report(title: str, body: str) -> dict[str, Any]:
    """Write the report as Markdown; writing it again replaces it.

    Args:
        title: Its heading.
        body: Its text.
    """
    text = f"# {title}\n\n{body.strip()}\n"
    draft = REPORT.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(REPORT)
    return {"path": str(REPORT), "bytes": len(text.encode())}
