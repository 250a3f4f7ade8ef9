"""Pure: the run protocol, checked by model with the product's own fold, claim rule, decisions and duties."""

from __future__ import annotations

import pytest

from .catalogue import LARGE, MUTANTS, PROTOCOL, Check


@pytest.mark.parametrize("check", PROTOCOL, ids=lambda check: check.name)
def test_the_protocol_holds_in_every_reachable_state(check: Check):
    verdict = check.run()
    assert verdict.proved, "\n".join((verdict.problem, *verdict.trace))


@pytest.mark.parametrize("check", MUTANTS, ids=lambda check: check.name)
def test_a_wrong_rule_is_refuted(check: Check):
    verdict = check.run()
    assert verdict.problem.split(" ", 1)[0] == check.refuted_by
    assert verdict.trace


def test_the_names_of_the_checks_are_unique():
    names = [check.name for check in (*PROTOCOL, *MUTANTS, *LARGE)]
    assert len(set(names)) == len(names)
