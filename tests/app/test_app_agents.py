"""From configuration files to code."""

from __future__ import annotations

from pathlib import Path

import pytest

from callboard.app.agents import load_agents
from callboard.config.loader import load
from callboard.errors import ConfigError

ADD = """
from callboard import tool

@tool(effect='pure')
def add(a: int) -> int:
    '''Add.

    Args:
        a: It.
    '''
    return a
"""
COUNTED = """
from pathlib import Path
from callboard import tool, worker

with Path(__file__).with_name('n').open('a') as file:
    file.write('x')

@tool
def act() -> int:
    '''Act.'''
    return 1

@worker('job')
async def job(task, run):
    return 1
"""
MODEL = "model: {provider: scripted, turns: [{text: hi}]}"


def agents_of(path: Path, text: str, **files: str):
    for name, content in files.items():
        (path / f"{name}.py").write_text(content)
    (path / "agents.yaml").write_text(text)
    return load_agents(load(path / "agents.yaml"))


def test_tools_functions_and_teams_become_code(tmp_path: Path) -> None:
    found = agents_of(
        tmp_path,
        f"""
agents:
  lead: {{team: [helper], tools: [read_file, "tools.py:add"], {MODEL}}}
  helper: {{description: Helps, {MODEL}}}
functions: [jobs.py]
""",
        tools=ADD,
        jobs="from callboard import worker\n@worker('job')\nasync def job(task, run): return 1\n",
    )
    assert set(found) == {"lead", "helper", "job"}
    assert [tool.name for tool in found["lead"].spec.tools] == ["read_file", "add", "delegate"]
    assert set(found["lead"].tools) == {"read_file", "add"}
    assert found["job"].function is not None
    assert "Helps" in found["lead"].spec.tools[-1].description


def test_a_module_is_loaded_once_whoever_names_it(tmp_path: Path) -> None:
    agent = f'{{tools: ["both.py:act"], {MODEL}}}'
    agents_of(tmp_path, f"agents: {{a: {agent}, b: {agent}}}\nfunctions: [both.py]\n", both=COUNTED)
    assert (tmp_path / "n").read_text() == "x"


@pytest.mark.parametrize(
    ("text", "content", "expected"),
    [
        (f'agents: {{a: {{tools: ["t.py:nope"], {MODEL}}}}}', "", r"yaml:1:22: agents\.a\.tools\.0: .*no tool 'nope'"),
        (f'agents: {{a: {{tools: ["t.py:f"], {MODEL}}}}}', "1 / 0", r"agents\.yaml:1:22: .*t\.py:1: ZeroDivisionError"),
        (f'agents: {{a: {{tools: ["t.py:f"], {MODEL}}}}}', "def f(): ...", r"plain function: decorate it with @tool"),
        ("functions: [t.py]", "x = 1", r"agents\.yaml:1:13: functions\.0: .*no @worker functions"),
        ("functions: [t.py]", "1 +", r"agents\.yaml:1:13: functions\.0: module 't\.py' cannot be imported: .*t\.py:1"),
        (
            f"agents: {{a: {{{MODEL}}}}}\nfunctions: [t.py]",
            "from callboard import worker\n@worker('a')\nasync def a(task, run): ...",
            r"agents\.yaml:2:13: functions\.0: it has @worker\('a'\), and 'a' is there already",
        ),
        (
            f'agents: {{a: {{tools: [read_file, "t.py:read_file"], {MODEL}}}}}',
            "from callboard import tool\n@tool\ndef read_file() -> int:\n    '''R.'''\n    return 1",
            r"agents\.a\.tools\.1: the agent has a tool 'read_file' already",
        ),
        (
            f"files: {{root: missing}}\nagents: {{a: {{tools: [read_file], {MODEL}}}}}",
            "",
            r"agents\.a\.tools\.0: the root .*missing",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, content: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        agents_of(tmp_path, text, t=content)
