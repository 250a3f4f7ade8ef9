"""Exceptions out of task groups."""

import pytest

from callboard.actors.groups import alone, first
from callboard.errors import BusError, BusUnreachable

AWAY = BusUnreachable("away")


@pytest.mark.parametrize(
    "group", [AWAY, ExceptionGroup("", [AWAY, BusError("x")]), ExceptionGroup("", [ExceptionGroup("", [AWAY])])]
)
def test_an_error_of_the_kind_comes_out_as_itself(group: Exception):
    with pytest.raises(BusUnreachable) as caught, alone(BusError):
        raise group
    assert caught.value is AWAY
    assert first(group) is AWAY


def test_a_group_with_anything_else_stays_as_it_is():
    group = ExceptionGroup("", [AWAY, ValueError("x")])
    with pytest.raises(ExceptionGroup) as caught, alone(BusError):
        raise group
    assert caught.value is group
