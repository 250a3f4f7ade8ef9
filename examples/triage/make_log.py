"""Writes the log that the triage example reads: a shop's access log of one evening, the same on every machine."""

import random
import sys
from pathlib import Path

LINES = 4_000
ROUTES = ("/", "/search", "/cart", "/checkout", "/api/prices", "/api/stock", "/login", "/static/app.js")


def lines(count: int = LINES, seed: int = 7) -> list[str]:
    """``count`` lines; between 20:10 and 20:25 the checkout fails, and one upstream is slow."""
    chance = random.Random(seed)
    log: list[str] = []
    for number in range(count):
        second = 19 * 3600 + number * 7200 // count
        clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        route = chance.choices(ROUTES, weights=(20, 14, 9, 6, 18, 12, 5, 16))[0]
        broken = route == "/checkout" and "20:10" <= clock[:5] < "20:25"
        status = 502 if broken and chance.random() < 0.7 else chance.choices((200, 304, 404, 500), (880, 90, 28, 2))[0]
        took = chance.randint(1_800, 9_000) if status == 502 else chance.randint(3, 240)
        upstream = "pay-2" if broken else f"web-{chance.randint(1, 3)}"
        log.append(f"2026-11-20T{clock}Z {upstream} GET {route} {status} {took}ms req={number:05}")
    return log


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "logs" / "shop.log")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(lines()) + "\n", encoding="utf-8")
    print(f"wrote {LINES} lines to {target}")
