"""The tools of the three. None of them does anything wrong: it is how they are called."""

import random

import anyio

from callboard import tool

WORDS = ["growth", "revenue", "margin", "outlook", "risk", "share", "cost", "region", "quarter", "plan"]


@tool(effect="pure")
def search(query: str) -> str:
    """Search the web.

    Args:
        query: What to look for.
    """
    return f"No results for {query!r}."


@tool(effect="idempotent")
def next_page() -> str:
    """The next page of the report."""
    return " ".join(random.choices(WORDS, k=12))


@tool(effect="pure")
async def wait_for_fax() -> str:
    """Wait for the fax."""
    await anyio.sleep_forever()
    return "the fax"
