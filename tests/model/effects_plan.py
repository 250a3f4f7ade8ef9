"""Pure: the next record of an owner: its claim, a result, and what its program does next, in one record or more."""

from __future__ import annotations

from typing import Final

from callboard.actors.claim import TaskClaim
from callboard.actors.commands import CallModel, CallTools, End, Write
from callboard.bus.messages import (
    KnownEvent,
    ModelRequested,
    RunClaimed,
    RunCreated,
)

from .effects_world import Plan, Setup
from .journals import AT, Journals, record

TASK: Final = TaskClaim(task=1)


class Plans:
    """What an owner writes when it has folded a journal; worked out once for each journal."""

    def __init__(self, journals: Journals, setup: Setup) -> None:
        self.journals = journals
        self.setup = setup
        self._plans: dict[tuple[int, int, str, bool, bool], Plan] = {}

    def next(self, journal: int, token: int, *, claims: bool = False, done: str = "", last: bool = True) -> Plan:
        """The record of owner ``token`` that has folded ``journal``: its claim, a result, or what it does next."""
        key = journal, token, done, claims, last
        if key not in self._plans:
            state, events = self.journals.state(journal), list[KnownEvent]()
            if claims:
                created = () if state.created else (RunCreated(agent="agent", at=AT),)
                events += [*created, RunClaimed(task=TASK.task)]
            if done:
                events.append(self.setup.program.result(done))
            self._plans[key] = self._follow(journal, f"o{token}", events, last=last)
        return self._plans[key]

    def _follow(self, journal: int, owner: str, events: list[KnownEvent], *, last: bool) -> Plan:
        while not events or (self.setup.together and last):
            entry = record(owner, *events) if events else None
            match self.setup.program.next(
                self.journals.ahead(journal, entry) if entry else self.journals.state(journal)
            ):
                case Write(new):
                    events += new
                case CallModel(call, attempt):
                    return Plan(record(owner, *events, ModelRequested(call=call, attempt=attempt)), (call,))
                case CallTools(calls):
                    arms = tuple(asked.id for asked, _ in calls)
                    return Plan(record(owner, *events, *(intent for _, intent in calls)), arms)
                case End(event):
                    return Plan(record(owner, *events, event), ())
                case other:
                    raise AssertionError(f"no program of this model does {other!r}")
        return Plan(record(owner, *events), ())
