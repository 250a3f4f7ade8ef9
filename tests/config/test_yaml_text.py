"""YAML text becomes nodes with places, within bounds."""

from __future__ import annotations

import pytest

from callboard.config.nodes import Place, locate, plain
from callboard.config.yaml_text import DEEPEST, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", 1),
        ("a: -7", -7),
        ("a: 0x1f", 31),
        ("a: 1.5e3", 1500.0),
        ("a: true", True),
        ("a: FALSE", False),
        ("a:", None),
        ("a: ~", None),
        ("a: yes", "yes"),
        ("a: no", "no"),
        ("a: 2026-11-21", "2026-11-21"),
        ("a: '1'", "1"),
        ("a: 12:30", "12:30"),
        ("a: |\n  x\n  y\n", "x\ny\n"),
        ("a: [1, b]", [1, "b"]),
        ("\r\na: b\r\n", "b"),
    ],
)
def test_values_are_those_of_yaml_1_2(text: str, value: object) -> None:
    node, problems = parse(text, "f.yaml")
    assert problems == []
    assert plain(node) == {"a": value}


def test_keys_are_text_whatever_they_look_like() -> None:
    node, _ = parse("1: a\nno: b\nnull: c", "f.yaml")
    assert plain(node) == {"1": "a", "no": "b", "null": "c"}


def test_an_alias_stands_for_its_anchor() -> None:
    node, problems = parse("a: &x {b: 1}\nc: *x", "f.yaml")
    assert problems == []
    assert plain(node) == {"a": {"b": 1}, "c": {"b": 1}}


def test_every_node_knows_its_place() -> None:
    node, _ = parse("a:\n  b:\n    - {c: 1}\n    - d\n  e:\n", "f.yaml")
    spot = locate(node, ("a", "b", 0, "c"))
    assert (spot.key, spot.value, spot.path) == (Place("f.yaml", 3, 8), Place("f.yaml", 3, 11), "a.b.0.c")
    assert locate(node, ("a", "b", 1)).value == Place("f.yaml", 4, 7)
    assert locate(node, ("a", "e")).value == Place("f.yaml", 5, 3), "an empty value is at its key"
    assert locate(node, ("a", "zz", "y")).value == Place("f.yaml", 1, 1), "what is not there is at its nearest parent"


NINES = "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{', '.join([f'*{chr(97 + level)}'] * 9)}]\n" for level in range(9)
)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "1:1", "the file is empty"),
        ("# nothing\n", "1:1", "the file is empty"),
        ("a: 1\nb:\n\t- c\n", "3:1", "indent with spaces, not tabs"),
        ("a: b: c", "1:5", "broken YAML: mapping values are not allowed here"),
        ("a: [1,\n", "2:1", "broken YAML"),
        ("a: 'x", "1:6", "broken YAML"),
        ("a: 1\nb: x\0y", "2:5", r"the character '\x00' may not stand in YAML"),
        ('a: "\\0"', "1:4", r"text may not hold \0"),
        ('a: "\\uD800"', "1:4", "half a surrogate pair"),
        ('a: "\\UFFFFFFFF"', "1:1", "broken YAML after this place"),
        ("a: 1\n---\nb: 2", "2:1", "a second document"),
        ("a: !!python/object:os.system x", "1:4", "the tag"),
        ("? [a]\n: b", "1:5", "used as a key"),
        ("a: *x", "1:4", "the alias *x stands for nothing"),
        ("a: &x [*x]", "1:8", "the alias *x stands for nothing"),
        ("a: .inf", "1:4", "is not a finite number"),
        ("a: 1e999", "1:4", "is not a finite number"),
        ("[" * 5_000, f"1:{DEEPEST + 1}", "nested deeper"),
        ("a: &a [x, x, x, x, x, x, x, x, x]\n" + NINES, "5:", "aliases counted as what they stand for"),
    ],
)
def test_what_cannot_be_read_says_where_and_why(text: str, place: str, message: str) -> None:
    node, problems = parse(text, "f.yaml")
    assert node is None
    shown = str(problems[-1])
    assert shown.startswith(f"f.yaml:{place}"), shown
    assert message in shown


def test_depth_counts_what_an_alias_stands_for() -> None:
    levels = "".join(f"a{level}: &a{level} [*a{level - 1}]\n" for level in range(1, DEEPEST + 1))
    node, problems = parse("a0: &a0 [x]\n" + levels, "f.yaml")
    assert node is None
    assert "nested deeper" in str(problems[0])


def test_duplicate_keys_are_all_named_and_the_first_counts() -> None:
    node, problems = parse("a: 1\nb: {c: 1, c: 2}\na: 3\n", "f.yaml")
    assert plain(node) == {"a": 1, "b": {"c": 1}}
    assert [str(each) for each in problems] == [
        "f.yaml:2:11: duplicate key 'c': it stands in line 2 too, keep one",
        "f.yaml:3:1: duplicate key 'a': it stands in line 1 too, keep one",
    ]
