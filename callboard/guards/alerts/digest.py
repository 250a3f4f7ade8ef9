"""Pure: what a webhook is told of guard events: one post for one or many, signed, and what its answer means.

The signature is ``t=<unix seconds>,v1=<hex>``: HMAC-SHA256, with the secret, of ``<t>.<body>``. Whoever checks it also
checks that ``t`` is not old, so that a recorded post is worth nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal

from pydantic import JsonValue

from callboard.bus.guard_messages import GuardEvent
from callboard.guards.kit import ACTIONS

ID: Final = "Callboard-Id"
SIGNATURE: Final = "Callboard-Signature"
LISTED: Final = 20
"""Alerts that a post has in full. The others are counted."""
_LONG: Final = 2_000
_LEFT_OUT: Final = frozenset({"v", "data", "acted", "mode"})


@dataclass(frozen=True, slots=True)
class Alert:
    """A guard event with its tenant."""

    tenant: str
    event: GuardEvent

    @property
    def id(self) -> str:
        """The same however often the event is stored, delivered or posted."""
        return f"{self.tenant}.{self.event.guard}.{self.event.id}"

    @property
    def kind(self) -> str:
        """``budget.deny``."""
        return f"{self.event.guard}.{self.event.action}"

    @property
    def text(self) -> str:
        """In one line."""
        where = f" {self.tenant}/{self.event.run}" if self.event.run else ""
        return f"{self.event.guard} {self.event.action}{where}: {self.event.reason[:_LONG]}"

    def as_json(self) -> dict[str, JsonValue]:
        """As a post has it."""
        fields = self.event.model_dump(mode="json", exclude_defaults=True, exclude=set(_LEFT_OUT))
        short = {name: value for name, value in fields.items() if len(json.dumps(value)) <= _LONG}
        return {**short, "id": self.id, "tenant": self.tenant, "reason": self.event.reason[:_LONG]}


@dataclass(frozen=True, slots=True)
class Digest:
    """One post: ``id`` is the alert's if there is one, else that of the set of alerts."""

    id: str
    body: bytes
    count: int


def wanted(event: GuardEvent, on: Sequence[str]) -> bool:
    """Is somebody to be told of it? What a guard in shadow or warn mode says pages nobody."""
    return event.mode == "enforce" and any(fnmatchcase(f"{event.guard}.{event.action}", kind) for kind in on)


def digest(alerts: Sequence[Alert], *, prefix: str) -> Digest:
    """Everything that is to be told, once each: the strongest first."""
    each = {alert.id: alert for alert in alerts}
    ordered = sorted(each.values(), key=lambda alert: (-ACTIONS.index(alert.event.action), alert.event.at, alert.id))
    counts = Counter(alert.kind for alert in ordered)
    ids = "\n".join(sorted(each))
    name = ordered[0].id if len(ordered) == 1 else f"digest.{hashlib.sha256(ids.encode()).hexdigest()[:32]}"
    listed = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    text = ordered[0].text if len(ordered) == 1 else f"{len(ordered)} alerts: {listed}. First: {ordered[0].text}"
    body: dict[str, JsonValue] = {
        "id": name,
        "text": text,
        "prefix": prefix,
        "count": len(ordered),
        "counts": dict(counts),
        "alerts": [alert.as_json() for alert in ordered[:LISTED]],
    }
    return Digest(name, json.dumps(body, ensure_ascii=False).encode(errors="replace"), len(ordered))


def signature(secret: str, body: bytes, at: int) -> str:
    """The value of the header ``Callboard-Signature`` for a post at ``at``, in Unix seconds."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={mac.hexdigest()}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a post. ``again``: it may go better later, ``retry_after`` seconds on if the receiver says so."""

    kind: Literal["taken", "again", "refused"]
    why: str = ""
    retry_after: float = 0.0


def answer(status: int, retry_after: str = "") -> Answer:
    """What an HTTP status means; ``retry_after`` is the header's value. A redirect is followed by nobody."""
    if 200 <= status < 300:  # noqa: PLR2004 - the class of HTTP statuses
        return Answer("taken")
    wait = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    if status in (408, 425, 429) or status >= 500:  # noqa: PLR2004 - as above
        return Answer("again", f"status {status}", wait)
    return Answer("refused", f"status {status}")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait between posts, in seconds, and how often to try what was refused."""

    first: float = 1.0
    longest: float = 300.0
    refusals: int = 3

    def pause(self, attempt: int, key: str, *, retry_after: float = 0.0) -> float:
        """After the attempt of that number, from 1: doubled each time, less up to a half that hangs on ``key``."""
        full = min(self.longest, self.first * 2.0 ** min(attempt - 1, 62))
        chance = hashlib.sha256(f"{key} {attempt}".encode()).digest()[0] / 255
        return max(full * (0.5 + chance / 2), min(retry_after, self.longest))
