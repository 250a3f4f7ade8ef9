"""The loader: what a valid file becomes, and where every kind of error is."""

from __future__ import annotations

from pathlib import Path

import pytest

from callboard.config.loader import load, load_script
from callboard.errors import ConfigError

VALID = """\
agents:
  triage:
    description: Finds the failing requests
    model: {provider: scripted, script: triage.script.yaml}
    system: |
      You read logs.
    tools: [read_file, "tools.py:word_count", "pkg.mod:count"]
    team: [reader]
    limits: {turns: 20, deadline: 15m}
  reader:
    model: {provider: scripted, turns: [{text: hi}, [{when: a, text: b}, {text: c}]], loop: true}
files: {root: ./logs}
functions: [etl.py, pkg.jobs]
defaults: {limits: {turns: 7, attempts: 2}}
"""
SCRIPT = """\
turns:
  - tools: [{name: read_file, args: {path: "{{ input }}"}}]
    delay: 250ms
  - text: done
"""
MODEL = "model: {provider: scripted, turns: [{text: hi}]}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {"triage.script.yaml": SCRIPT, "tools.py": "", "etl.py": "", "secret.txt": "tok-1\n"}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def errors(text: str | bytes, **env: str) -> list[str]:
    Path("agents.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load(Path("agents.yaml"), env=env)
    assert caught.value.__cause__ is None
    return str(caught.value).splitlines()


def agent(*lines: str) -> str:
    return "\n".join(["agents:", "  a:", *(f"    {line}" for line in lines), ""])


def test_a_valid_file_becomes_a_complete_configuration(folder: Path) -> None:
    Path("agents.yaml").write_text(VALID)
    config = load(Path("agents.yaml"), env={})
    triage, reader = config.agents["triage"], config.agents["reader"]
    assert list(config.agents) == ["triage", "reader"]
    assert triage.description == "Finds the failing requests"
    assert triage.system == "You read logs.\n"
    assert triage.team == ("reader",)
    assert triage.model.settings == {
        "turns": [
            {"tools": [{"name": "read_file", "args": {"path": "{{ input }}"}}], "delay": 0.25},
            {"text": "done"},
        ]
    }
    assert reader.model.settings == {
        "turns": [{"text": "hi"}, [{"when": "a", "text": "b"}, {"text": "c"}]],
        "loop": True,
    }
    assert (triage.limits.turns, triage.limits.deadline, triage.limits.attempts) == (20, 900.0, 2)
    assert (reader.limits.turns, reader.limits.attempts) == (7, 2)
    assert [(ref.kind, ref.name, ref.source) for ref in triage.tools] == [
        ("builtin", "read_file", ""),
        ("file", "word_count", str(folder / "tools.py")),
        ("module", "count", "pkg.mod"),
    ]
    assert triage.tools[1].at == "agents.yaml:7:24: agents.triage.tools.1"
    assert [(ref.kind, ref.source) for ref in config.functions] == [
        ("file", str(folder / "etl.py")),
        ("module", "pkg.jobs"),
    ]
    assert config.functions[0].at == "agents.yaml:13:13: functions.0"
    assert config.files_root == folder / "logs"
    assert "s3cret" not in repr(config)


def test_what_is_left_out_comes_from_defaults(folder: Path) -> None:
    Path("agents.yaml").write_text(f"agents:\n  a: {{}}\ndefaults:\n  {MODEL}\n")
    config = load(Path("agents.yaml"))
    assert config.agents["a"].model.provider == "scripted"
    assert config.agents["a"].limits.turns == 50
    assert config.files_root == folder


def test_a_file_with_functions_only_is_complete(folder: Path) -> None:
    Path("agents.yaml").write_text("functions: [etl.py]\n")
    assert load(Path("agents.yaml")).agents == {}


def test_references_are_resolved_in_lists_and_in_scripts_and_are_secrets(folder: Path) -> None:
    (folder / "triage.script.yaml").write_text("turns: [{text: 'a $${env:X} ${HOME}'}]")
    Path("agents.yaml").write_text(
        agent("model: {provider: scripted, script: '${env:S}'}", "tools: ['${env:T}']", "limits: {turns: '${env:N}'}")
    )
    config = load(Path("agents.yaml"), env={"S": "triage.script.yaml", "T": "read_file", "N": "3"})
    (tool,) = config.agents["a"].tools
    assert (tool.name, tool.text) == ("read_file", "${env:T}")
    assert config.agents["a"].limits.turns == 3
    assert config.agents["a"].model.settings == {"turns": [{"text": "a ${env:X} ${HOME}"}]}
    assert config.secrets == {"triage.script.yaml", "read_file", "3"}


@pytest.mark.parametrize(
    ("lines", "at"),
    [
        (["system: 'key ${env:X}'"], "agents.a.system"),
        (["description: '${env:X}'"], "agents.a.description"),
        (["system: '${file:secret.txt}'"], "agents.a.system"),
    ],
)
def test_a_secret_is_refused_where_it_would_go_into_the_journal(folder: Path, lines: list[str], at: str) -> None:
    (found,) = errors(agent(MODEL, *lines), X="s3-cr3t!")
    assert at in found
    assert "journals of runs keep this text" in found
    assert "s3-cr3t!" not in found


def test_a_secret_is_refused_in_a_script(folder: Path) -> None:
    (folder / "triage.script.yaml").write_text("turns: [{text: 'a ${env:X}'}]")
    (found,) = errors(agent("model: {provider: scripted, script: triage.script.yaml}"), X="s3-cr3t!")
    assert "triage.script.yaml:1:16: turns.0.text" in found
    assert "s3-cr3t!" not in found


EXPECTED_DURATION = "expected seconds above 0, or a duration such as '15m', '1h30m' or '250ms' (up to 366d)"
EXPECTED_NAME = "expected 1 to 64 letters, digits, '_' or '-'"


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (["limits: {turns: x}"], "4:21: agents.a.limits.turns: got 'x': expected an integer ≥ 1 and ≤ 10000"),
        (["limits: {turns: 0}"], "4:21: agents.a.limits.turns: got 0: expected an integer ≥ 1 and ≤ 10000"),
        (["limits: {turns: true}"], "4:21: agents.a.limits.turns: got true: expected an integer ≥ 1 and ≤ 10000"),
        (["limits: {turns: 1.5}"], "4:21: agents.a.limits.turns: got 1.5: expected an integer ≥ 1 and ≤ 10000"),
        (["limits: {turns: []}"], "4:21: agents.a.limits.turns: got a list: expected an integer ≥ 1 and ≤ 10000"),
        (["limits:", "  turns:"], "5:7: agents.a.limits.turns: got nothing: expected an integer ≥ 1 and ≤ 10000"),
        (["limits: {deadline: 15y}"], f"4:24: agents.a.limits.deadline: got '15y': {EXPECTED_DURATION}"),
        (["limits: 5"], "4:13: agents.a.limits: got 5: expected a mapping"),
        (["limts: {}"], "4:5: agents.a.limts: unknown key 'limts': did you mean 'limits'?"),
        (
            ["qqq: 1"],
            (
                "4:5: agents.a.qqq: unknown key 'qqq': "
                "use context, description, guards, limits, model, models, output, prefer, system, team, tools"
            ),
        ),
        (["system: 5"], "4:13: agents.a.system: got 5: expected text"),
        (["tools: read_file"], "4:12: agents.a.tools: got 'read_file': expected a list"),
        (["tools: [5]"], "4:13: agents.a.tools.0: got 5: expected text"),
        (
            ["tools: [rd]"],
            (
                "4:13: agents.a.tools.0: got 'rd': expected a built-in tool "
                "(list_files, read_file, recall, search_text), 'file.py:function' or 'package.module:function'"
            ),
        ),
        (
            ["tools: ['no.py:f']"],
            "4:13: agents.a.tools.0: got 'no.py:f': there is no such file (it is relative to this file)",
        ),
        (
            ["tools: ['a b:f']"],
            "4:13: agents.a.tools.0: got 'a b:f': expected 'file.py' or 'package.module'",
        ),
        (
            ["tools: ['m:1f']"],
            "4:13: agents.a.tools.0: got 'm:1f': expected 'file.py:function' or 'package.module:function'",
        ),
        (["tools: [read_file, read_file]"], "4:24: agents.a.tools.1: got 'read_file' twice: keep one"),
        (["team: [b]"], "4:12: agents.a.team.0: got 'b': no agent of this file has this name"),
        (["team: [a]"], "4:5: agents.a.team: the agent would only delegate to itself: name others"),
        (
            ["system: '${env:NO}'"],
            (
                "4:13: agents.a.system: '${env:NO}': the environment has no such variable: "
                "set it, or write '$${' for a literal '${'"
            ),
        ),
        (["system: '${env:EMPTY}'"], "4:13: agents.a.system: '${env:EMPTY}': it is empty: give it a value"),
        (
            ["system: '${env:BYTES}'"],
            "4:13: agents.a.system: '${env:BYTES}': its value is not text: it must be UTF-8 without NUL",
        ),
        (
            ["system: '${file:/proc/self/mem}'"],
            "4:13: agents.a.system: '${file:/proc/self/mem}': the file cannot be read: Input/output error",
        ),
        (["tools: ['${file:no.txt}']"], "4:13: agents.a.tools.0: '${file:no.txt}': there is no such file"),
        (["system: '${file:bin}'"], "4:13: agents.a.system: '${file:bin}': the file is not UTF-8: save it as UTF-8"),
        (
            ["system: '${secret:v/k}'"],
            (
                "4:13: agents.a.system: '${secret:v/k}': secret stores are not available in this version: "
                "use ${env:NAME} or ${file:path}"
            ),
        ),
        (
            ["system: '${env:NO'"],
            "4:13: agents.a.system: '${env:NO': the closing '}' is missing (a literal '${' is written '$${')",
        ),
    ],
)
def test_a_problem_in_an_agent_has_its_place_its_value_and_what_is_expected(
    folder: Path, lines: list[str], error: str
) -> None:
    (folder / "bin").write_bytes(b"\xff\xfe")
    found = errors(agent(MODEL, *lines), EMPTY="", BYTES="\udcff")
    assert f"agents.yaml:{error}" in found
    assert {line.partition(" agents.")[0] for line in found} == {f"agents.yaml:{error}".partition(" agents.")[0]}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("agents: {}\n", "1:1: there is nothing to run: add 'agents' or 'functions'"),
        ("- a\n", "1:1: got a list: expected a mapping"),
        ("just text", "1:1: got 'just text': expected a mapping"),
        ("agents:\n", "1:1: agents: got nothing: expected a mapping"),
        ("agents:\n  a:\n", "2:3: agents.a: got nothing: expected a mapping"),
        ("agents:\n  a: {}\n", "2:3: agents.a.model: missing: add a 'model' here or under 'defaults'"),
        ("agents:\n  a: {model: {}}\n", f"2:7: agents.a.model.provider: missing: {EXPECTED_NAME}"),
        (f"agents:\n  a b: {{{MODEL}}}\n", f"2:3: agents.a b: the name is 'a b': {EXPECTED_NAME}"),
        (
            "agents:\n  a: {model: {provider: antropic, name: x}}\n",
            "2:25: agents.a.model.provider: there is no provider 'antropic': did you mean 'anthropic'?",
        ),
        (
            "agents:\n  a: {model: {provider: scripted}}\n",
            "2:14: agents.a.model: expected either 'script' (a file) or 'turns' (a list) for the provider 'scripted'",
        ),
        (
            "agents:\n  a: {model: {provider: scripted, script: no.yaml}}\n",
            "2:43: agents.a.model.script: got 'no.yaml': there is no such file (it is relative to this file)",
        ),
        (
            "agents:\n  a: {model: {provider: scripted, script: triage.script.yaml, loop: true}}\n",
            "2:14: agents.a.model: 'loop' belongs into the script file, beside its 'turns'",
        ),
        (
            "agents:\n  a: {model: {provider: scripted, turns: []}}\n",
            "2:42: agents.a.model.turns: got a list: expected a list that is not empty",
        ),
        (
            "agents:\n  a: {model: {provider: scripted, turns: [[{text: a}, {txt: b}]]}}\n",
            "2:56: agents.a.model.turns.0.1.txt: unknown key 'txt': did you mean 'text'?",
        ),
        ("functions: [no.py]\n", "1:13: functions.0: got 'no.py': there is no such file (it is relative to this file)"),
        ("functions: [a-b]\n", "1:13: functions.0: got 'a-b': expected 'file.py' or 'package.module'"),
        ("functions: [etl.py]\nfiles: {root: ''}\n", "2:15: files.root: got '': expected text that is not empty"),
        ("functions: [etl.py]\nfile: {}\n", "2:1: file: unknown key 'file': did you mean 'files'?"),
        ("functions: [etl.py]\nfunctions: []\n", "2:1: duplicate key 'functions': it stands in line 1 too, keep one"),
        ("functions: [etl.py\n", "2:1: broken YAML: expected ',' or ']', but got '<stream end>'"),
        (b"functions: []\nx: \xc3\xa4\xff\n", "2:5: the file is not UTF-8 here: save it as UTF-8"),
        (b"", "1:1: the file is empty: expected a mapping"),
        (b"#" * 1_048_577, "1:1: the file is larger than 1048576 bytes"),
    ],
)
def test_a_problem_of_the_file_has_its_place_and_what_to_do(folder: Path, text: str | bytes, error: str) -> None:
    assert errors(text) == [f"agents.yaml:{error}"]


def test_a_file_that_is_not_there_is_named() -> None:
    for path in (Path("/nowhere/agents.yaml"), Path("/"), Path("a\0b"), Path("a" * 5_000)):
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert str(caught.value) == f"{path}:1:1: there is no such file"


def test_all_problems_are_listed_in_the_order_of_the_file(folder: Path) -> None:
    text = agent("limits: {turns: x}", "tools: [rd]", "team: [zz]", "modl: 1", MODEL) + "default: 1\n"
    found = errors(text)
    assert [line.split(": ")[0] for line in found] == [
        "agents.yaml:3:21",
        "agents.yaml:4:13",
        "agents.yaml:5:12",
        "agents.yaml:6:5",
        "agents.yaml:8:1",
    ]


def test_a_problem_in_a_script_names_the_script_file(folder: Path) -> None:
    (folder / "triage.script.yaml").write_text(
        "turns:\n  - tols: []\n  - {when: '(', text: 1}\n  - usage: {input: -1}\n  - fail: {kind: bad}\nloops: 1\n"
    )
    assert errors(agent("model: {provider: scripted, script: triage.script.yaml}")) == [
        "triage.script.yaml:2:5: turns.0.tols: unknown key 'tols': did you mean 'tools'?",
        "triage.script.yaml:3:12: turns.1.when: got '(': expected a regular expression of Python's re",
        "triage.script.yaml:3:23: turns.1.text: got 1: expected text",
        "triage.script.yaml:4:20: turns.2.usage.input: got -1: expected an integer ≥ 0 and ≤ 1000000000000",
        (
            "triage.script.yaml:5:18: turns.3.fail.kind: got 'bad': expected one of 'rate', 'overload', 'quota', "
            "'auth', 'bad_request', 'context', 'network', 'truncated', 'refusal'"
        ),
        "triage.script.yaml:6:1: loops: unknown key 'loops': did you mean 'loop'?",
    ]


def test_a_resolved_value_is_never_shown_in_an_error(folder: Path) -> None:
    names = ["limits: {turns: '${env:X}', deadline: '${env:X}'}", "tools: ['${env:X}']", "team: ['${env:X}']"]
    model = "model: {provider: '${env:X}', script: '${env:X}'}"
    found = errors(agent(*names, model) + "functions: ['${env:X}.py']\nfiles: {root: ['${env:X}']}\n", X="s3-cr3t!")
    assert len(found) == 8
    assert not any("s3-cr3t" in line for line in found)
    assert all("${env:X}" in line or "a list" in line for line in found)


def test_the_position_of_a_script_with_a_secret_name_does_not_show_it(folder: Path) -> None:
    (folder / "s3cret.yaml").write_text("turns: 1")
    assert errors(agent("model: {provider: scripted, script: '${env:X}'}"), X="s3cret.yaml") == [
        "${env:X}:1:8: turns: got 1: expected a list that is not empty"
    ]


def test_a_script_can_be_loaded_by_itself(folder: Path) -> None:
    assert len(load_script(Path("triage.script.yaml")).turns) == 2
    (folder / "x.yaml").write_text("turn: []")
    with pytest.raises(ConfigError, match=r"^x\.yaml:1:1: turn: unknown key 'turn': did you mean 'turns'"):
        load_script(Path("x.yaml"))


def test_a_script_that_two_agents_share_is_reported_once(folder: Path) -> None:
    (folder / "triage.script.yaml").write_text("turns: 1")
    shared = "{model: {provider: scripted, script: triage.script.yaml}}"
    assert errors(f"agents:\n  a: {shared}\n  b: {shared}\n") == [
        "triage.script.yaml:1:8: turns: got 1: expected a list that is not empty"
    ]
