"""What ``import callboard`` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import callboard

MOST_NAMES = 25


@pytest.mark.parametrize("name", callboard.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(callboard, name) is not None
    assert name in dir(callboard)


def test_the_public_names_are_a_short_sorted_tuple_without_repeats() -> None:
    assert isinstance(callboard.__all__, tuple)
    assert list(callboard.__all__) == sorted(set(callboard.__all__))
    assert len(callboard.__all__) <= MOST_NAMES


def test_an_unknown_name_is_an_attribute_error_that_says_where_the_names_are() -> None:
    with pytest.raises(AttributeError, match=r"'Bord': the public names are in callboard\.__all__"):
        _ = callboard.Bord


def test_importing_callboard_imports_none_of_its_modules_and_no_library() -> None:
    program = """
import sys
before = set(sys.modules)
import callboard
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))
print(*sorted(name for name in sys.modules if name.startswith("callboard.")))
"""
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines() == ["callboard", ""]
