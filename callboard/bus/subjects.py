"""Pure: every subject of the bus, built and parsed in one place.

Kind first, then tenant: ``<prefix>.<kind>.<tenant>.…``. Ids and tokens match ``[A-Za-z0-9_-]{1,64}``; nothing else
ever becomes a part of a subject, so no id can widen a subscription or reach another tenant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from callboard.errors import InvalidMessage

Lane = Literal["high", "normal", "low"]
LANES: Final[tuple[Lane, ...]] = ("high", "normal", "low")
TOKEN: Final = r"[A-Za-z0-9_-]{1,64}"  # noqa: S105 - a pattern, no password
_TOKEN = re.compile(TOKEN)
_LANES: Final[dict[str, Lane]] = {lane: lane for lane in LANES}


def token(value: object, what: str) -> str:
    """``value`` if it can stand in a subject, else ``InvalidMessage``."""
    if isinstance(value, str) and _TOKEN.fullmatch(value):
        return value
    shown = repr(value)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."  # noqa: PLR2004 - a width for people
    raise InvalidMessage("bad_id", f"{what} is {shown}: use 1 to 64 letters, digits, '_' or '-'")


def lane(value: object) -> Lane:
    """``value`` as a lane, else ``InvalidMessage``."""
    if isinstance(value, str) and value in _LANES:
        return _LANES[value]
    raise InvalidMessage("bad_lane", f"lane is {str(value)[:64]!r}: use one of {', '.join(LANES)}")


@dataclass(frozen=True, slots=True)
class RunKey:
    """Which run: the tenant and the run's id."""

    tenant: str
    run: str

    def __str__(self) -> str:
        return f"{self.tenant}/{self.run}"


@dataclass(frozen=True, slots=True)
class TaskAddress:
    """Where a task is addressed: tenant, agent, lane, and the run id if the publisher named one."""

    tenant: str
    agent: str
    lane: Lane
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Subjects:
    """The subjects under one prefix. Several deployments can share a server by having different prefixes."""

    prefix: str = "cb"

    def __post_init__(self) -> None:
        token(self.prefix, "prefix")

    def task(self, address: TaskAddress) -> str:
        """Publish a task here."""
        head = (
            f"{self.prefix}.task.{token(address.tenant, 'tenant')}.{token(address.agent, 'agent')}.{lane(address.lane)}"
        )
        return head if address.run is None else f"{head}.{token(address.run, 'run id')}"

    def tasks_of(self, agent: str, at: Lane) -> tuple[str, str]:
        """The two filters that together match every task for an agent in a lane, of every tenant."""
        head = f"{self.prefix}.task.*.{token(agent, 'agent')}.{lane(at)}"
        return head, f"{head}.*"

    def run(self, key: RunKey) -> str:
        """The journal of a run: one literal subject for everything, kill included."""
        return f"{self.prefix}.run.{token(key.tenant, 'tenant')}.{token(key.run, 'run id')}"

    def live(self, key: RunKey) -> str:
        """The journal republished after the commit."""
        return f"{self.prefix}.live.{token(key.tenant, 'tenant')}.{token(key.run, 'run id')}"

    def tokens(self, key: RunKey) -> str:
        """What the models of a run say, while they say it (core NATS, kept nowhere)."""
        return f"{self.prefix}.token.{token(key.tenant, 'tenant')}.{token(key.run, 'run id')}"

    def timer(self, key: RunKey, timer: str) -> str:
        """Where the schedule of a durable timer is stored."""
        return f"{self.prefix}.timer.{token(key.tenant, 'tenant')}.{token(key.run, 'run id')}.{token(timer, 'timer')}"

    def due(self, key: RunKey, timer: str) -> str:
        """Where the server publishes when the timer is due."""
        return f"{self.prefix}.due.{token(key.tenant, 'tenant')}.{token(key.run, 'run id')}.{token(timer, 'timer')}"

    def dead(self, tenant: str, agent: str) -> str:
        """Where messages go that could not be run. Tokens that are not tokens become ``-``."""
        return f"{self.prefix}.dead.{_or_dash(tenant)}.{_or_dash(agent)}"

    def guard(self, tenant: str, guard: str, action: str) -> str:
        """Where guards say what they saw and did. ``tenant`` is ``_`` for what concerns all of them."""
        return f"{self.prefix}.guard.{token(tenant, 'tenant')}.{token(guard, 'guard')}.{token(action, 'action')}"

    def pulse(self, guard: str, partition: int) -> str:
        """Where a guard process says how far it has judged (core NATS, also its heartbeat)."""
        return f"{self.prefix}.pulse.{token(guard, 'guard')}.{partition}"

    def gate(self, tenant: str, guard: str) -> str:
        """Where a guard answers whether an effect may start."""
        return f"{self.prefix}.gate.{token(tenant, 'tenant')}.{token(guard, 'guard')}"

    def ledger(self, tenant: str, account: str) -> str:
        """The counter of a shared budget. ``tenant`` is ``_`` for the one of all tenants."""
        return f"{self.prefix}.ledger.{token(tenant, 'tenant')}.{token(account, 'account')}"

    def state(self, *key: str) -> str:
        """A value of the bucket ``STATE``: the last one of a key counts."""
        return ".".join((f"$KV.{self.stream('STATE')}", *(token(part, "key") for part in key)))

    def stream(self, name: str) -> str:
        """The stream, bucket or consumer ``name`` (``TASKS``) of this deployment: ``CB_TASKS``."""
        return f"{self.prefix.upper()}_{name}"

    def parse_task(self, subject: str) -> TaskAddress:
        """The address of a task message's subject. Raises ``InvalidMessage``."""
        parts = self._parts(subject, "task", (3, 4))
        run = token(parts[3], "run id") if len(parts) == 4 else None  # noqa: PLR2004 - the optional fourth token
        return TaskAddress(token(parts[0], "tenant"), token(parts[1], "agent"), lane(parts[2]), run)

    def parse_run(self, subject: str) -> RunKey:
        """The run of a ``run`` or ``live`` subject. Raises ``InvalidMessage``."""
        kind = "live" if subject.startswith(f"{self.prefix}.live.") else "run"
        tenant, run = self._parts(subject, kind, (2,))
        return RunKey(token(tenant, "tenant"), token(run, "run id"))

    def parse_due(self, subject: str) -> tuple[RunKey, str]:
        """The run and timer of a ``due`` subject. Raises ``InvalidMessage``."""
        tenant, run, timer = self._parts(subject, "due", (3,))
        return RunKey(token(tenant, "tenant"), token(run, "run id")), token(timer, "timer")

    def _parts(self, subject: str, kind: str, sizes: tuple[int, ...]) -> list[str]:
        parts = subject.split(".")
        if parts[:2] != [self.prefix, kind] or len(parts) - 2 not in sizes:
            raise InvalidMessage("bad_subject", f"{subject[:200]!r} is not a {self.prefix}.{kind} subject")
        return parts[2:]


def _or_dash(value: str) -> str:
    return value if _TOKEN.fullmatch(value) else "-"
