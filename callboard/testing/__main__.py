"""Shell: ``python -m callboard.testing --script FILE``: the fake provider as a process, until SIGTERM."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import anyio

from callboard.errors import ConfigError
from callboard.testing.script_file import Play, read_script
from callboard.testing.server import FakeProvider, fake_provider


def main() -> int:
    """Print the address, serve, and print the bill at the end."""
    parser = argparse.ArgumentParser(prog="python -m callboard.testing", description=__doc__)
    parser.add_argument("--script", type=Path, required=True, help="a YAML file with replies, faults and prices")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 is a free one")
    parser.add_argument("--json", action="store_true", help="print JSON, one object in a line")
    options = parser.parse_args()
    try:
        play = read_script(options.script.read_text("utf-8"), str(options.script))
    except (ConfigError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    anyio.run(partial(_serve, play, options.port, _print_json if options.json else _print_text))
    return 0


async def _serve(play: Play, port: int, show: Callable[[FakeProvider, bool], None]) -> None:
    async with fake_provider(
        replies=play.replies,
        faults=play.faults,
        prices=play.prices,
        models=play.models,
        retired=play.retired,
        limit=play.limit,
        port=port,
    ) as server:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            show(server, False)
            async for _ in signals:
                break
        show(server, True)


def _print_json(server: FakeProvider, ended: bool) -> None:  # noqa: FBT001 - the two times that it is called
    bill = {model: asdict(line) for model, line in server.bill.items()}
    shown = {"bill": bill, "total": asdict(server.total)} if ended else {"url": server.url}
    sys.stdout.write(json.dumps(shown) + "\n")
    sys.stdout.flush()


def _print_text(server: FakeProvider, ended: bool) -> None:  # noqa: FBT001 - as above
    if not ended:
        sys.stdout.write(f"listening on {server.url} (OpenAI's clients: {server.url}/v1)\n")
    for model, line in server.bill.items() if ended else ():
        tokens = f"{line.input_tokens} + {line.cached_tokens} cached + {line.written_tokens} written in"
        dollars = line.usd_micros / 1_000_000
        sys.stdout.write(f"{model}: {line.calls} calls, {tokens}, {line.output_tokens} out, ${dollars:.6f}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
