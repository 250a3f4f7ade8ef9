"""Shell: the budget with one rule switched off. Each must be caught."""


def apply(name: str) -> None:
    assert not name
