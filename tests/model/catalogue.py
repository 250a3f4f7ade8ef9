"""Pure: every check by its name: what is checked, and what is to come out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from . import claims_mutants, claims_setups, effects_mutants, effects_setups
from .claims import Claims
from .effects import Effects
from .explore import System, Verdict, explore


@dataclass(frozen=True)
class Check:
    """``refuted_by`` "": the protocol, which must hold; else a wrong rule, and the property that must catch it."""

    name: str
    build: Callable[[], System[Any]]
    refuted_by: str = ""

    def run(self) -> Verdict:
        return explore(self.build())

    def as_expected(self, verdict: Verdict) -> bool:
        if not self.refuted_by:
            return verdict.proved
        return verdict.problem.split(" ", 1)[0] == self.refuted_by and bool(verdict.trace)


def _effects(setup: effects_setups.Setup, refuted_by: str = "") -> Check:
    return Check(f"effects: {setup.name}", lambda: Effects(setup).system(), refuted_by)


def _claims(setup: claims_setups.Setup, refuted_by: str = "") -> Check:
    return Check(f"claims: {setup.name}", lambda: Claims(setup).system(), refuted_by)


PROTOCOL: Final = (
    *(_effects(setup) for setup in effects_setups.PROTOCOL),
    *(_claims(setup) for setup in claims_setups.PROTOCOL),
)
MUTANTS: Final = (
    *(_effects(setup, refuted_by) for setup, refuted_by in effects_mutants.MUTANTS),
    *(_claims(setup, refuted_by) for setup, refuted_by in claims_mutants.MUTANTS),
)
LARGE: Final = (
    *(_effects(setup) for setup in effects_setups.LARGE),
    *(_claims(setup) for setup in claims_setups.LARGE),
)
