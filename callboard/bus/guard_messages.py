"""Pure: what guards say on the bus: their events, which are kept, and their pulse, which is not."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field, JsonValue

from callboard.bus.guard_words import Action, Missing, Mode
from callboard.bus.values import VERSION, Message, Token


class GuardEvent(Message):
    """A verdict, on ``cb.guard.<tenant>.<guard>.<action>``. ``id`` is the same however often it is published.

    ``sequence`` is the journal entry that led to it (0: none did), ``evidence`` the entries it rests on. ``acted``: the
    guard did what it says (in the mode ``enforce``), else it only says so. ``policy`` tells versions of the guard and
    its settings apart. ``data`` has what is particular to the guard.
    """

    v: int = VERSION
    id: Token
    at: AwareDatetime
    guard: Token
    action: Action
    mode: Mode = "enforce"
    acted: bool = False
    reason: str
    run: str = ""
    agent: str = ""
    call: str = ""
    sequence: int = 0
    evidence: tuple[int, ...] = ()
    threshold: JsonValue = None
    value: JsonValue = None
    policy: str = ""
    data: JsonValue = None


class Pulse(Message):
    """How far a guard process has judged, on ``cb.pulse.<guard>.<partition>`` (core NATS), at least every 0.5 s.

    Every entry of CB_RUNS up to ``watermark`` that belongs to a run of the partition is judged, and what came of it
    is published.
    """

    guard: Token
    replica: Token
    partition: Annotated[int, Field(ge=0)]
    partitions: Annotated[int, Field(ge=1)]
    watermark: Annotated[int, Field(ge=0)]
    missing: Missing = "open"
