"""A fleet of breakers over one bucket, without bus or time: what ``gate`` does around the pure machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from callboard.actors.fold import EMPTY
from callboard.actors.gate import Ask, Ending
from callboard.bus.subjects import RunKey
from callboard.config.guards import Breaker
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.guards.breaker import machine, outcome
from callboard.guards.breaker.circuit import Circuit

T0 = datetime(2026, 11, 21, 12, tzinfo=UTC)
SETTINGS = Breaker()
KEY = RunKey("t", "r")
SPEC = AgentSpec(name="a", model=ModelChoice(provider="p", name="m"))
ASK = Ask(KEY, SPEC, EMPTY, "model", "m1", 1, "p/m")
ENDINGS = {
    "good": Ending("done", 1.0),
    "slow": Ending("done", 100.0),
    "overload": Ending("failed", 0.1, error="model_overload"),
    "network": Ending("failed", 0.1, error="model_network"),
    "rate": Ending("failed", 0.1, error="model_rate", retry_after=1.0),
    "bad_request": Ending("failed", 0.1, error="model_bad_request"),
    "auth": Ending("failed", 0.1, error="model_auth"),
    "cancelled": Ending("cancelled", 3.0),
    "unstarted": Ending("unstarted"),
}


@dataclass
class Call:
    worker: int
    probe: bool
    began: datetime


@dataclass
class Fleet:
    """``wrong`` has what must not happen."""

    size: int
    rng: Random
    settings: Breaker = SETTINGS
    now: datetime = T0
    circuit: Circuit = field(default_factory=Circuit)
    revision: int = 0
    calls: list[Call] = field(default_factory=list)
    probes: list[datetime] = field(default_factory=list)
    """When probes started."""
    changes: list[Circuit] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.views = [machine.View(f"w{number}", self.settings, 30.0) for number in range(self.size)]

    def ask(self, at: int) -> Call | None:
        self.views[at], decision = machine.ask(self.views[at], self.now, chance=self.rng.random())
        match decision:
            case machine.Hold(until):
                if until <= self.now:
                    self.wrong.append("told to ask again at once")
                return None
            case machine.Claim(circuit):
                if not self._put(at, circuit):
                    self.views[at] = machine.unclaimed(self.views[at])
                    return None
                self.probes.append(self.now)
                return self._start(at, probe=True)
            case machine.Let(write):
                if write is not None:
                    self._put(at, write)
                elif self.circuit.phase == "open" and self.views[at].revision == self.revision:
                    self.wrong.append("a call that is no probe goes over a circuit that its worker knows to be open")
                return self._start(at, probe=False)

    def end(self, call: Call, how: str) -> None:
        self.calls.remove(call)
        what = outcome.outcome(ASK, ENDINGS[how], slow_after=self.settings.slow_after)
        seconds = (self.now - call.began).total_seconds()
        over = machine.Over(what, seconds, probe=call.probe)
        view, change = machine.over(self.views[call.worker], over, self.now, chance=self.rng.random())
        self.views[call.worker] = view
        while change is not None and not self._put(call.worker, change):
            view = self.views[call.worker]
            change = None if call.probe else machine.again(view, change, self.now, chance=self.rng.random())

    def pass_time(self, seconds: float) -> None:
        """Holders renew as time goes by."""
        while seconds > 0:
            step = min(seconds, 2.0)
            self.now += timedelta(seconds=step)
            seconds -= step
            for at, view in enumerate(self.views):
                longer = machine.renewed(view, self.now)
                if longer is not None:
                    self._put(at, longer)

    def crash(self, at: int) -> None:
        self.calls = [call for call in self.calls if call.worker != at]
        self.views[at] = machine.View(f"w{at}{self.rng.random()}", self.settings, 30.0)

    def tell(self, at: int) -> None:
        if self.revision:
            self.views[at] = machine.see(self.views[at], self.circuit, self.revision)

    def _start(self, at: int, *, probe: bool) -> Call:
        call = Call(at, probe, self.now)
        self.calls.append(call)
        return call

    def _put(self, at: int, circuit: Circuit) -> bool:
        if self.views[at].revision != self.revision:
            self.tell(at)
            return False
        self._check(at, circuit)
        self.circuit, self.revision = circuit, self.revision + 1
        self.changes.append(circuit)
        self.views[at] = machine.put(self.views[at], circuit, self.revision)
        return True

    def _check(self, at: int, new: Circuit) -> None:
        old, me = self.circuit, self.views[at].me
        allowed = {
            "closed": ("open",),
            "open": ("half_open",),
            "half_open": ("ramp", "open", "half_open"),
            "ramp": ("closed", "open"),
        }
        if new.phase not in allowed[old.phase]:
            self.wrong.append(f"{old.phase} became {new.phase}")
        if old.phase == "half_open" and new.phase in ("ramp", "open") and old.holder != me:
            self.wrong.append("somebody who did not hold the probe settled it")
        if new.phase == "half_open" and new.holder != old.holder and self.now < old.until:
            self.wrong.append("a probe before its time")
