"""A run is recorded against a provider and played again without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from callboard.app.agents import load_agents
from callboard.app.embedded import embedded
from callboard.bus.messages import ModelRequested, ModelResponded, ToolReturned
from callboard.config.keys import known_secrets, open_providers
from callboard.config.loader import load
from callboard.errors import ConfigError, RunFailed
from callboard.log import Redactor
from callboard.testing import Call, Fault, Reply, Request, Tokens, fake_provider
from callboard.testing.cassette import Cassette, from_lines, to_lines
from callboard.testing.replay import recorded, replayed

PARTS = ("sk", "PLACEHOLDER")
KEY = "-".join((*PARTS, "1"))
CONFIG = """
providers: {local: {kind: openai-chat, base_url: "${env:PROVIDER_URL}", api_key: "${env:PROVIDER_KEY}"}}
agents:
  lead: {model: local/m, system: You lead., team: [clerk], tools: ["orders.py:find_order"]}
  clerk: {model: local/m, system: You write., description: Writes.}
prices: {local/m: {input: 3, output: 15}}
"""
TOOL = '''
import os
from callboard import tool

@tool(effect="pure")
def find_order(number: str) -> dict:
    """Find an order."""
    return {"number": number, "item": "lamp", "key": os.environ.get("PROVIDER_KEY", "another")}
'''


def answer(request: Request) -> Reply | str:
    if "You write." in str(request.body):
        return Reply("Dear customer.", tokens=Tokens(50, 5))
    calls = (Call("find_order", {"number": "A-17"}), Call("delegate", {"agent": "clerk", "task": "a letter"}))
    return Reply(calls=calls, tokens=Tokens(100, 9)) if request.turn == 0 else "It is a lamp."


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "agents.yaml").write_text(CONFIG)
    (tmp_path / "orders.py").write_text(TOOL)
    monkeypatch.setenv("PROVIDER_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("PROVIDER_KEY", KEY)
    return tmp_path


async def record(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The lines of a recorded run, as the command writes them. Its first attempt was refused."""
    async with fake_provider(replies=answer, faults=[Fault("unavailable", at=1)]) as server:
        monkeypatch.setenv("PROVIDER_URL", f"{server.url}/v1")
        config = load(folder / "agents.yaml")
        async with embedded(load_agents(config), data_dir=folder / "bus", providers=open_providers(config)) as here:
            run = await here.board.submit("lead", "What is A-17?")
            assert await run.result(30) == "It is a lamp."
            lines = to_lines(await recorded(here.board.bus, run.key))
            redactor = Redactor(known_secrets(config))
            return "\n".join(map(redactor.text, lines))


async def test_a_recorded_run_plays_again_without_a_provider_and_without_a_key(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = await record(folder, monkeypatch)
    assert KEY not in text
    assert text.count("[redacted]") == 1, text
    cassette = from_lines(text)
    assert [(each.run == cassette.calls[0].run, each.call) for each in cassette.calls] == [
        (True, "m1"),
        (False, "m1"),
        (True, "m2"),
    ]
    monkeypatch.delenv("PROVIDER_KEY")
    monkeypatch.setenv("PROVIDER_URL", "http://127.0.0.1:9/v1")
    run = await replayed(cassette, folder / "agents.yaml", data_dir=folder / "again")
    assert (run.result, run.differs) == ("It is a lamp.", "")
    events = [each.event for each in run.events]
    said = [each for each in events if isinstance(each, ModelResponded)]
    assert (said[0].usage.input_tokens, said[0].usage.cost_usd_micros) == (100, 435)
    assert [each.model for each in events if isinstance(each, ModelRequested)] == ["openai-chat:local/m"] * 2
    (found,) = [each for each in events if isinstance(each, ToolReturned)]
    assert found.result.value == {"number": "A-17", "item": "lamp", "key": "another"}, "tools run in earnest"
    await what_is_asked_otherwise_is_told(cassette, folder)


async def what_is_asked_otherwise_is_told(cassette: Cassette, folder: Path) -> None:
    (folder / "chairs.py").write_text(TOOL.replace("lamp", "chair"))
    changed = folder / "changed.yaml"
    changed.write_text(CONFIG.replace("orders.py", "chairs.py"))
    run = await replayed(cassette, changed, data_dir=folder / "again")
    assert run.result is None
    assert run.differs.startswith("call m2 differs from the recorded one\nmessage 3:\n  - ")
    assert '"item": "lamp"' in run.differs
    assert '"item": "chair"' in run.differs


SCRIPTED = """
agents:
  a: {tools: [list_files], model: {provider: scripted, turns: [{tools: [{name: list_files}]}, {text: one}]}}
  broken: {model: {provider: scripted, turns: [{fail: {kind: auth}}]}}
"""


async def test_a_run_that_goes_on_behind_the_recording_is_told_and_so_is_one_without_answers(tmp_path: Path) -> None:
    config = tmp_path / "agents.yaml"
    config.write_text(SCRIPTED)
    async with embedded(load_agents(load(config)), data_dir=tmp_path / "bus") as here:
        run = await here.board.submit("a", "x")
        assert await run.result(30) == "one"
        cassette = await recorded(here.board.bus, run.key)
        broken = await here.board.submit("broken", "x")
        with pytest.raises(RunFailed):
            await broken.result(30)
        with pytest.raises(ConfigError, match="no model answered in run"):
            await recorded(here.board.bus, broken.key)
    short = Cassette(cassette.agent, cassette.input, cassette.calls[:1])
    found = await replayed(short, config, data_dir=tmp_path / "bus")
    assert found.differs.startswith("call m2 was not recorded: the last one was m1")
    with pytest.raises(ConfigError, match="has no agent 'b'"):
        await replayed(Cassette("b", None, cassette.calls), config, data_dir=tmp_path / "bus")
