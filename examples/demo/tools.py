"""The tools of the demo. `pay` is what must not happen twice: it writes a line for every time that it is started."""

import os
import time
from pathlib import Path

from callboard import ToolContext, tool

LEDGER = Path(os.environ.get("DEMO_LEDGER", "ledger.txt"))


@tool(effect="at_most_once")
def pay(what: str, dollars: int, context: ToolContext) -> dict[str, object]:
    """Pay a bill.

    Args:
        what: What the bill is for.
        dollars: How much it is.
    """
    with LEDGER.open("a", encoding="utf-8") as ledger:
        ledger.write(f"{context.run} {what} {dollars} {os.getpid()}\n")
    time.sleep(0.1)
    return {"paid": what, "dollars": dollars}


@tool(effect="pure")
async def look() -> str:
    """Look at something that never changes."""
    return "nothing new"
