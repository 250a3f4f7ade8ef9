"""Shell: ``callboard watch --all``: a line for every journal entry of every run, and for every verdict of a guard."""

from __future__ import annotations

import anyio
from rich.console import Console
from rich.text import Text

from callboard.app.run_event import RunEvent
from callboard.bus.client import Connection, Reply
from callboard.bus.codec import decode_record
from callboard.bus.guard_log import heard
from callboard.bus.subjects import RunKey
from callboard.cli.shared import Shared
from callboard.cli.teller import Teller, plain
from callboard.cli.verdicts import verdict_as_json, verdict_line
from callboard.clock import SystemClock
from callboard.config.times import time_of_day
from callboard.errors import InvalidMessage

_BUFFER = 10_000


async def watch_all(shared: Shared, connection: Connection) -> None:
    """Until interrupted. The live feed may lose a message; the journals do not."""
    console = Console(soft_wrap=True, highlight=False)
    tellers: dict[RunKey, Teller] = {}
    clock = SystemClock()
    send, receive = anyio.create_memory_object_stream[Reply](_BUFFER)
    prefix = connection.subjects.prefix
    guards = f"{prefix}.guard."

    def deliver(message: Reply) -> None:
        if send.statistics().current_buffer_used < _BUFFER:
            send.send_nowait(message)

    with send, receive:
        async with connection.subscribe(f"{prefix}.live.*.*", deliver), connection.subscribe(f"{guards}>", deliver):
            async for message in receive:
                if message.subject.startswith(guards):
                    _show_verdict(shared, console, message)
                    continue
                try:
                    key = connection.subjects.parse_run(message.subject)
                    record = decode_record(message.payload)
                except InvalidMessage as error:
                    console.print(Text(f"{plain(message.subject)}  {plain(str(error))}", style="red"))
                    continue
                at = record.at or clock.now()
                sequence = int(message.headers.get("Nats-Sequence", "0"))
                for event in record.events:
                    _show(shared, console, key, RunEvent(sequence, at, event), tellers.setdefault(key, Teller()))


def _show(shared: Shared, console: Console, key: RunKey, event: RunEvent, teller: Teller) -> None:
    if shared.json:
        at = None if event.at is None else event.at.isoformat()
        body = event.event.model_dump(mode="json", exclude_defaults=True)
        shared.show(
            {
                "run": key.run,
                "tenant": key.tenant,
                "sequence": event.sequence,
                "at": at,
                "type": event.event.type,
                **body,
            }
        )
        return
    line = teller.tell(event)
    if line is not None:
        clock = "" if event.at is None else time_of_day(event.at)
        console.print(
            Text.assemble((f"{clock} {key.tenant}/{key.run}  ", "dim"), (line.sign, line.style), " ", line.text)
        )


def _show_verdict(shared: Shared, console: Console, message: Reply) -> None:
    """What a guard said, if it is that."""
    kept = heard(message.subject, message.payload)
    if kept is None:
        return
    if shared.json:
        shared.show({"type": "guard", **verdict_as_json(kept.tenant, kept.event)})
        return
    line = verdict_line(kept.tenant, kept.event)
    clock = time_of_day(kept.event.at)
    console.print(Text.assemble((f"{clock} ", "dim"), (f"{line.sign} {line.text}", line.style)))
