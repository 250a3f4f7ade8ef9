"""Whatever the file says, the loader answers with a configuration or with a ConfigError that names the file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from callboard.config.loader import load
from callboard.errors import ConfigError

VALID = """\
agents:
  triage:
    description: &d Finds the failing requests
    model: {provider: scripted, script: script.yaml}
    system: |
      You read logs.
    tools: [read_file, "script.yaml:x", 'pkg.mod:count']
    team: [reader]
    limits: {turns: 20, deadline: 15m}
  reader:
    description: *d
    model: {provider: scripted, turns: [{text: hi, usage: {input: 1}}, [{when: a, text: b}]], loop: true}
files: {root: ./logs}
functions: [pkg.jobs]
defaults: {limits: {turns: 7, attempts: 2}}
guards: {budget: {run: {usd: 3}, global: {usd: 9, per: day}}, custom: {own: {use: "pkg.mod:Own", settings: {a: [1]}}}}
tenants: {acme: {guards: {loop: {mode: warn}, custom: {own: {mode: shadow}}}}}
breaker: {window: 60s, calls: 10}
rate_limits: {scripted/x: {requests: 10}}
prices: {scripted/x: {input: 1, output: 2}}
alerts: {webhooks: {pager: {url: "https://example.com/x", secret: "${env:WHAT}"}}}
"""
SCRIPT = "turns:\n  - tools: [{name: read_file, args: {path: '{{ input }}'}}]\n    delay: 250ms\n  - text: done\n"
LINE = re.compile(r"(agents|script)\.yaml:[1-9][0-9]*:[1-9][0-9]*: .+")
SECRET = "s3cr3t-value"
SPLICES = st.sampled_from(
    ["\t", "\0", "&a ", "*d", "*a", "!!int ", "${env:WHAT}", "${env:", "${file:.}", "${secret:a/b}", "{", "}", "[", "]",
     ": ", "- ", "'", '"', "|", ">", "#", "\n", "  ", "---\n", "...\n", "? ", "%YAML 1.1\n", "\r", "\x85", "\u2028",
     "\ufeff", "\ud7ff", "99999999999999999999999999999999", "-1", ".nan", "1e400", "null", "true", "<<: *d",
     '"\\uD800"', "\\x00"]
)  # fmt: skip

fuzz = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.yaml").write_text(SCRIPT)
    return tmp_path


def check(content: bytes, script: bytes = SCRIPT.encode()) -> None:
    Path("agents.yaml").write_bytes(content)
    Path("script.yaml").write_bytes(script)
    try:
        load(Path("agents.yaml"), env={"WHAT": SECRET})
    except ConfigError as error:
        message = str(error)
        assert message
        assert SECRET not in message
        for line in message.split("\n"):
            assert LINE.fullmatch(line), line


@fuzz
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(folder: Path, content: bytes) -> None:
    check(content)


@fuzz
@given(st.lists(SPLICES | st.text(max_size=5), max_size=40).map("".join))
@example("agents: " + "{a: " * 2_000)
@example("agents: " + "[" * 200_000)
def test_any_yaml_like_text(folder: Path, text: str) -> None:
    check(text.encode("utf-8", "surrogatepass"))


def mutated(text: str) -> st.SearchStrategy[str]:
    places = st.integers(0, len(text))
    edit = st.tuples(places, st.integers(0, 8), SPLICES | st.text(max_size=3))

    def apply(edits: list[tuple[int, int, str]]) -> str:
        changed = text
        for at, cut, put in edits:
            changed = changed[:at] + put + changed[at + cut :]
        return changed

    return st.lists(edit, min_size=1, max_size=4).map(apply)


@fuzz
@given(mutated(VALID), mutated(SCRIPT) | st.just(SCRIPT))
def test_any_mutation_of_a_valid_file_and_its_script(folder: Path, text: str, script: str) -> None:
    check(text.encode("utf-8", "surrogatepass"), script.encode("utf-8", "surrogatepass"))


NAMES = st.sampled_from(
    ["agents", "a", "model", "provider", "turns", "script", "text", "tools", "limits", "team", "files", "root",
     "functions", "defaults", "when", "fail", "usage", "deadline", "<turn>", "[key]", "0",
     "guards", "tenants", "budget", "run", "global", "usd", "custom", "use", "settings", "mode", "prices", "p/m",
     "rate_limits", "breaker", "alerts", "webhooks"]
)  # fmt: skip
json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@fuzz
@given(st.dictionaries(NAMES, json_like, max_size=4), st.dictionaries(NAMES, json_like, max_size=4))
def test_any_shape_of_known_words(folder: Path, top: dict[str, object], agent: dict[str, object]) -> None:
    import json

    check(json.dumps({**top, "agents": {"a": agent, "b": top}}).encode())
