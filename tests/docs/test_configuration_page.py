"""The configuration page has every key of the schema, as it is, and its examples load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from callboard.config.loader import load
from scripts.reference import fill, headings, meaning, sections

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
AGENTS = "agents: { any: { model: anthropic/claude-opus-5 } }\n"


def test_the_tables_are_those_of_the_schema() -> None:
    assert fill(PAGE) == PAGE, "run: python scripts/reference.py docs/configuration.md"


def test_every_section_of_the_schema_has_its_place_on_the_page() -> None:
    assert set(headings(PAGE)) == set(sections())


def test_every_key_is_described() -> None:
    keys = {
        (name, key): meaning(each) for name, model in sections().items() for key, each in model["properties"].items()
    }
    assert [key for key, text in keys.items() if not text.strip()] == []


def test_every_section_has_an_example_above_its_table() -> None:
    parts = re.split(r"^#+ ", PAGE, flags=re.MULTILINE)
    tables = [part for part in parts if "<!-- keys: " in part and "<!-- keys: ConfigFile -->" not in part]
    assert [part.partition("\n")[0] for part in tables if "```yaml" not in part.partition("<!-- keys: ")[0]] == []


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_loads(text: str, tmp_path: Path) -> None:
    for name in re.findall(r"[\w-]+\.(?:py|secret)\b", text):
        (tmp_path / name).write_text("x", encoding="utf-8")
    env = dict.fromkeys(re.findall(r"\$\{env:(\w+)\}", text), "https://example.com/hook")
    whole = text if re.search(r"^(agents|functions):", text, re.MULTILINE) else text + AGENTS
    (tmp_path / "agents.yaml").write_text(whole, encoding="utf-8")
    assert load(tmp_path / "agents.yaml", env=env)


def test_a_default_of_the_schema_that_changes_makes_the_page_old() -> None:
    assert fill(PAGE.replace("| `turns` | a whole number, 1 to 10,000 | `50` |", "| `turns` | | |")) == PAGE
    assert "| `deadline` | a duration | `15m` |" in PAGE
    assert "| `steer_at` | a number, above 0, below 1 | `0.8` |" in PAGE
    assert '| `["*.kill", "*.pause", budget.deny, breaker.warn]` |' in PAGE
