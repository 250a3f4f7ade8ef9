"""``Agent(…).chat(…)`` in scripts and in running event loops."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from callboard import Agent, ConfigError, RunFailed
from callboard.bus.server import live_server
from tests.support.program import EXAMPLES, environment

HELLO = EXAMPLES / "hello" / "agents.yaml"


async def test_chat_works_inside_a_running_loop_and_keeps_its_server_between_chats(tmp_path: Path) -> None:
    with Agent(HELLO, "hello", data_dir=tmp_path) as agent:
        assert agent.chat("Ada").startswith("Hello, Ada.")
        url = live_server(tmp_path)
        assert url is not None
        assert agent.chat("Bob").startswith("Hello, Bob.")
        assert live_server(tmp_path) == url
    assert live_server(tmp_path) is None
    agent.close()


def test_two_agents_share_a_directory_and_survive_each_other(tmp_path: Path) -> None:
    first, second = (Agent(HELLO, "hello", data_dir=tmp_path) for _ in range(2))
    try:
        first.chat("Ada")
        second.chat("Bob")
        first.close()
        assert second.chat("Cyd", timeout=30).startswith("Hello, Cyd.")
    finally:
        first.close()
        second.close()


def test_what_goes_wrong_is_raised(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no agent 'helo' .*did you mean 'hello'"):
        Agent(HELLO, "helo")
    (tmp_path / "a.yaml").write_text(
        "agents:\n"
        "  bad: {model: {provider: scripted, turns: [{fail: {kind: auth}}]}}\n"
        "  slow: {model: {provider: scripted, turns: [{text: x, delay: 30}]}}\n"
    )
    with Agent(tmp_path / "a.yaml", "bad", data_dir=tmp_path / "d") as bad, pytest.raises(RunFailed):
        bad.chat("x")
    with Agent(tmp_path / "a.yaml", "slow", data_dir=tmp_path / "d") as slow, pytest.raises(TimeoutError):
        slow.chat("x", timeout=0.2)


def test_a_script_that_never_closes_ends_and_leaves_no_server(tmp_path: Path) -> None:
    script = f"from callboard import Agent\nprint(Agent({str(HELLO)!r}, 'hello').chat('Ada'))\n"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "Hello, Ada. This answer is in a journal on the bus.\n"
    assert done.stderr == ""
    assert live_server(tmp_path / ".callboard") is None


def test_the_example_script_says_hello(tmp_path: Path) -> None:
    program = EXAMPLES / "hello" / "hello.py"
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "Hello, Ada. This answer is in a journal on the bus.\n", done.stderr
