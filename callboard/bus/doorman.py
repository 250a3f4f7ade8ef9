"""Shell: tasks for an address that nobody can serve (an unknown lane, a bad id) are turned away at the door.

None may lie in the queue for ever. Most of them no stream takes; one with a bad id the stream has taken before anybody
can look. The doorman hears them beside the streams, buries them, takes them out of the queue, and tells a publisher who
waits for an acknowledgement why there is none.
"""

from __future__ import annotations

import json

import anyio

from callboard.bus import storage
from callboard.bus.client import Connection, Reply
from callboard.bus.ports import Graveyard
from callboard.bus.subjects import LANES
from callboard.errors import BusError, InvalidMessage
from callboard.log import get_logger

log = get_logger(__name__)
_WAITING = 1_024
_STORED_WITHIN = 1.0
_PAUSE = 0.05
_STORED_SIZES = (5, 6)
"""Tokens of the subjects that the task stream takes."""


async def turn_away(connection: Connection, graveyard: Graveyard, ready: anyio.Event) -> None:
    """Live until cancelled. Several doormen share the work."""
    send, refused = anyio.create_memory_object_stream[tuple[Reply, InvalidMessage]](_WAITING)

    def look(message: Reply) -> None:
        try:
            connection.subjects.parse_task(message.subject)
        except InvalidMessage as error:
            if send.statistics().current_buffer_used < _WAITING:
                send.send_nowait((message, error))

    everything = f"{connection.subjects.prefix}.task.>"
    async with send, refused, connection.subscribe(everything, look, queue="doorman"):
        await connection.barrier()
        ready.set()
        async for message, error in refused:
            try:
                await _refuse(connection, graveyard, message, error)
            except BusError as away:
                log.warning("could not bury a task that was turned away", subject=message.subject, error=str(away))


async def _refuse(connection: Connection, graveyard: Graveyard, message: Reply, error: InvalidMessage) -> None:
    _, _, tenant, agent = (*message.subject.split(".", 4)[:4], "-", "-", "-", "-")[:4]
    await graveyard.bury((tenant, agent), message.subject, error.reason, str(error), message.payload)
    with anyio.move_on_after(_STORED_WITHIN):
        await _take_out(connection, message.subject)
    if message.reply.startswith("_INBOX."):
        answer = {"error": {"code": 400, "description": f"{error.reason}: {error}"}}
        await connection.publish(message.reply, json.dumps(answer).encode())


async def _take_out(connection: Connection, subject: str) -> None:
    """Delete what the task stream holds of this very subject; what was heard may be stored a little later."""
    stream = connection.subjects.stream("TASKS")
    if len(subject.split(".")) not in _STORED_SIZES or subject.split(".")[4] not in LANES:
        return  # the stream does not take it
    taken = False
    while True:
        found = await storage.last_of(connection, stream, subject)
        if found is not None and found.subject == subject:  # a bad id may be a wildcard: never touch what it matches
            await storage.api(connection, f"STREAM.MSG.DELETE.{stream}", {"seq": found.sequence, "no_erase": True})
            taken = True
        elif taken:
            return
        else:
            await anyio.sleep(_PAUSE)
