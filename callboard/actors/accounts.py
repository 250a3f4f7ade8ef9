"""Pure: what a run has used, as its journal says. The fold keeps it, entry by entry.

Used is what answered and failed calls say they used; the reservation, in full, of a call of which nobody knows; one
call for every attempt that was started; and of a child what it used, or its whole slice while it is under way.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from callboard.bus.values import Amount, Caps, Usage


class Tally(NamedTuple):
    """An ``Amount`` that is cheap to add up. Money in micro-dollars; input tokens are all input, cached or not."""

    usd_micros: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    model_calls: int = 0
    tool_calls: int = 0

    def plus(self, other: Tally) -> Tally:
        """The sum, unit by unit."""
        return Tally(self[0] + other[0], self[1] + other[1], self[2] + other[2], self[3] + other[3], self[4] + other[4])

    def minus(self, other: Tally) -> Tally:
        """The difference, unit by unit."""
        return Tally(self[0] - other[0], self[1] - other[1], self[2] - other[2], self[3] - other[3], self[4] - other[4])

    def amount(self) -> Amount:
        """As it stands in messages."""
        return Amount(**self._asdict())


ZERO: Final = Tally()
UNITS: Final = Tally._fields
_MODEL_CALL: Final = Tally(model_calls=1)
_TOOL_CALL: Final = Tally(tool_calls=1)
_NONE: Final = (0, ZERO)
_MARKS: Final = 16
_NOTHING_PENDING: Final[Mapping[str, tuple[int, Tally]]] = MappingProxyType({})


class Accounts(NamedTuple):
    """The books of one run."""

    own: Tally = ZERO
    """What its own calls used. Calls that are under way count with their reservation."""
    children: Tally = ZERO
    """What its children used. Those that are under way count with their slice."""
    raised: Tally = ZERO
    """What its caps were raised by."""
    pending: Mapping[str, tuple[int, Tally]] = _NOTHING_PENDING
    """Model calls without an answer: the attempt, and what is reserved for it."""
    marks: tuple[Tally, ...] = ()
    """``own`` as it was at the latest claims, the last one last."""

    @property
    def settled(self) -> Tally:
        """What its own calls used that are not under way."""
        own = self.own
        for _, held in self.pending.values():
            own = own.minus(held)
        return own

    @property
    def spent(self) -> Tally:
        """Everything that counts against the run's caps."""
        return self.own if self.children is ZERO else self.own.plus(self.children)


def tally(amount: Amount) -> Tally:
    """An ``Amount`` to add up."""
    return Tally(amount.usd_micros, amount.input_tokens, amount.output_tokens, amount.model_calls, amount.tool_calls)


def used(usage: Usage) -> Tally:
    """What a call used, without the call itself."""
    read = usage.input_tokens + usage.cached_tokens + usage.written_tokens
    return Tally(usage.cost_usd_micros, read, usage.output_tokens)


def slice_tally(caps: Caps | None) -> Tally:
    """What a child holds while it is under way: what it may use. Nothing of what it may use without end."""
    if caps is None:
        return ZERO
    return Tally(
        caps.usd_micros or 0, caps.input_tokens or 0, caps.output_tokens or 0, caps.model_calls or 0,
        caps.tool_calls or 0,
    )  # fmt: skip


def model_requested(books: Accounts, call: str, attempt: int, reserved: Amount, *, again: bool) -> Accounts:
    """An attempt starts. ``again``: its intent was written before, by the same owner; then only the last one counts.

    An earlier attempt without an answer stays charged in full.
    """
    held = Tally(reserved.usd_micros, reserved.input_tokens, reserved.output_tokens)
    before = books.pending.get(call, _NONE)[1].plus(_MODEL_CALL) if again else ZERO
    own = Tally(*held[:3], 1).plus(books.own)
    pending = {**books.pending, call: (attempt, held)}
    return _with(books, own.minus(before) if again else own, pending)


def model_ended(books: Accounts, call: str, usage: Usage) -> Accounts:
    """The answer, or the failure, says what was used."""
    held = books.pending.get(call, _NONE)[1]
    pending = {name: each for name, each in books.pending.items() if name != call}
    return _with(books, books.own.minus(held).plus(used(usage)), pending)


def model_late(books: Accounts, call: str, attempt: int, usage: Usage) -> Accounts:
    """What a call had used that the end of its run cut off. Said once, of the last attempt."""
    known = books.pending.get(call)
    return books if known is None or known[0] != attempt else model_ended(books, call, usage)


def tool_requested(books: Accounts) -> Accounts:
    """An attempt of a tool or a step starts."""
    return _with(books, books.own.plus(_TOOL_CALL), books.pending)


def child_spawned(books: Accounts, budget: Caps | None) -> Accounts:
    """A child holds its slice."""
    return books if budget is None else books._replace(children=books.children.plus(slice_tally(budget)))


def child_finished(books: Accounts, budget: Caps | None, spent: Amount) -> Accounts:
    """A child gives back its slice, ``budget``, and has used ``spent``."""
    return books._replace(children=books.children.minus(slice_tally(budget)).plus(tally(spent)))


def raised(books: Accounts, more: Amount) -> Accounts:
    """The caps are raised."""
    return books._replace(raised=books.raised.plus(tally(more)))


def _with(books: Accounts, own: Tally, pending: Mapping[str, tuple[int, Tally]]) -> Accounts:
    """A copy; ``_replace`` takes three times as long, and every call of every run comes here."""
    return Accounts(own, books.children, books.raised, pending, books.marks)


def claimed(books: Accounts) -> Accounts:
    """An owner begins here."""
    return books._replace(marks=(*books.marks, books.own)[-_MARKS:])
