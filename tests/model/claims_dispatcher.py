"""Pure: a dispatcher of the claims model: it does what the product's ``duties`` say, in order, and acknowledges."""

from __future__ import annotations

from callboard.bus.messages import (
    Record,
)
from callboard.supervisors.dispatch import KillChild, PublishResume, TellParent

from .claims_bus import Bus, Steps, said, serve
from .claims_world import (
    DutiesRule,
    Slot,
    World,
    entry_of,
)
from .explore import Step
from .journals import record


class Dispatchers:
    """What a dispatcher may do next. All of them are alike."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._owed: list[tuple[int, Record | None]] = []
        self._todo: dict[tuple[int, int], tuple[int, ...]] = {}

    def steps(self, world: World, me: Slot) -> Steps:
        if not me.entry:
            yield from self._take(world, me)
            return
        if world.dispatcher_crashes:
            crashed = serve(world, me, Slot())._replace(dispatcher_crashes=world.dispatcher_crashes - 1)
            yield Step(f"dispatcher({me.entry}) CRASHES", crashed, fault=True)
        if not me.todo:
            acknowledged = serve(world, me, Slot())._replace(pending=world.pending - {me.entry})
            yield Step(f"dispatcher({me.entry}) acknowledges", acknowledged)
            return
        target, entry = self._owed[me.todo[0]]
        rest = Slot(me.entry, me.todo[1:])
        if entry is None:
            for after, what, fault in self.bus.publish(world, target, me.entry % 100):
                yield Step(f"dispatcher({me.entry}) publishes {what}", serve(after, me, rest), fault)
        else:
            after = serve(self.bus.append(world, target, entry), me, rest)
            yield Step(f"dispatcher({me.entry}): {said(entry)} to run{target}", after)

    def _take(self, world: World, me: Slot) -> Steps:
        busy = {slot.entry for slot in world.slots}
        for entry in world.pending:
            if entry in busy and len(world.slots) == 1:
                continue
            run, sequence = divmod(entry, 100)
            least = sequence if self.bus.rules.dispatcher_reads == "to_event" else 0
            for read, view, how in self.bus.reads(world, run, least):
                after = read
                if self.bus.rules.dispatcher_acknowledges == "first":
                    after = after._replace(pending=after.pending - {entry})
                slot = Slot(entry, self._duties(world.journals[run], run, sequence, view))
                label = f"dispatcher takes run{run}@{sequence}, owes {len(slot.todo)}{how}"
                yield Step(label, serve(after, me, slot), fault=bool(how))

    def _duties(self, journal: int, run: int, sequence: int, view: int) -> tuple[int, ...]:
        seen = self.bus.journals.up_to(journal, view)
        key = seen, entry_of(run, sequence)
        if key not in self._todo:
            asked = DutiesRule(
                f"r{run}", sequence, self.bus.journals.entry(journal, sequence), self.bus.journals.state(seen)
            )
            self._todo[key] = tuple(self._number(run, duty) for duty in self.bus.rules.duties(asked))
        return self._todo[key]

    def _number(self, run: int, duty: PublishResume | TellParent | KillChild) -> int:
        match duty:
            case PublishResume():
                owed: tuple[int, Record | None] = run, None
            case TellParent(parent, event):
                owed = int(parent[1:]), record("", event)
            case KillChild(child, event):
                owed = int(child[1:]), record("", event)
        if owed not in self._owed:
            self._owed.append(owed)
        return self._owed.index(owed)
