"""The text of answers as it grows, on a real server: from the worker's model to ``Run.events``."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import anyio

from callboard.app.board import Run, connect
from callboard.app.embedded import embedded
from callboard.app.run_event import RunEvent, TextEvent
from callboard.bus.deltas import ModelDelta, TextReplaced
from callboard.bus.messages import ModelResponded
from callboard.bus.server import embedded_server
from tests.support.fleet import scripted
from tests.support.program import command, environment

TEXT = "One word after the other. " * 8
LONG = " ".join(f"word {number}" for number in range(6_000))
AGENTS = {
    code.spec.name: code
    for code in (
        scripted("slow", {"text": TEXT, "chunks": 40, "delay": 1.2}),
        scripted("quick", {"text": TEXT}),
        scripted("long", {"text": LONG, "chunks": 3, "delay": 0.3}),
    )
}


async def told(events: AsyncGenerator[RunEvent | TextEvent]) -> list[Any]:
    with anyio.fail_after(30):
        async with aclosing(events):
            return [each.event async for each in events]


def text_before_the_answer(events: list[Any]) -> list[str]:
    """The pieces, all of them ahead of the answer, each behind the one before."""
    at = next(at for at, event in enumerate(events) if isinstance(event, ModelResponded))
    pieces = [event for event in events if isinstance(event, ModelDelta)]
    assert pieces == [event for event in events[:at] if isinstance(event, ModelDelta)]
    assert [piece.n for piece in pieces] == [len("".join(p.text for p in pieces[:i])) for i in range(len(pieces))]
    return [piece.text for piece in pieces]


async def test_an_answer_grows_piece_by_piece_and_is_whole_before_the_journal_s_event(tmp_path: Path) -> None:
    async with embedded(AGENTS, data_dir=tmp_path, durability="relaxed") as here:
        run = await here.board.submit("slow", "x")
        pieces = text_before_the_answer(await told(run.events(tokens=True)))
        assert "".join(pieces) == TEXT
        assert len(pieces) > 3
        again = await told(run.events(tokens=True))  # from the journal alone
        assert text_before_the_answer(again) == [TEXT]
        assert [e for e in again if not isinstance(e, ModelDelta)] == [e.event async for e in run.events()]


async def test_an_answer_that_is_complete_at_once_and_one_in_the_object_store_are_whole_too(tmp_path: Path) -> None:
    async with embedded(AGENTS, data_dir=tmp_path, durability="relaxed") as here:
        for agent, text in (("quick", TEXT), ("long", LONG)):
            run = await here.board.submit(agent, "x")
            assert "".join(text_before_the_answer(await told(run.events(tokens=True)))) == text


async def test_a_reader_that_comes_back_gets_the_rest_and_nothing_twice(tmp_path: Path) -> None:
    async with embedded(AGENTS, data_dir=tmp_path, durability="relaxed") as here:
        run = await here.board.submit("slow", "x")
        first, last = await _some(run, pieces=2)
        rest = await told(run.events(last.sequence, tokens=last.event))
        assert "".join(event.text for event in (*first, *rest) if isinstance(event, ModelDelta)) == TEXT
        types = [event.type for event in (*first, *rest) if not isinstance(event, ModelDelta)]
        assert types == [e.event.type async for e in run.events()]


async def _some(run: Run, *, pieces: int) -> tuple[list[Any], Any]:
    seen: list[Any] = []
    with anyio.fail_after(30):
        async with aclosing(run.events(tokens=True)) as events:
            async for each in events:
                seen.append(each.event)
                pieces -= isinstance(each.event, ModelDelta)
                if not pieces:
                    return seen, each
    raise AssertionError("the run ended first")


async def test_a_server_that_restarts_in_the_middle_of_an_answer_costs_no_text_and_repeats_none(tmp_path: Path) -> None:
    async with (
        embedded_server(tmp_path, durability="relaxed") as server,
        embedded(AGENTS, data_dir=tmp_path, durability="relaxed") as here,
    ):
        run = await here.board.submit("slow", "x")
        shown, restarted = "", False
        with anyio.fail_after(30):
            async for each in run.events(tokens=True):
                if isinstance(each.event, ModelDelta):
                    assert each.event.n == len(shown)
                    shown += each.event.text
                elif isinstance(each.event, TextReplaced):  # the worker may have lost its claim meanwhile
                    shown = ""
                if shown and not restarted:
                    restarted = True
                    await server.restart()
        assert (shown, restarted) == (TEXT, True)


CONFIG = """
agents:
  slow: {model: {provider: scripted, turns: [{text: "%s", chunks: 20, delay: 1}]}}
"""


async def test_the_text_of_a_worker_that_dies_is_replaced_by_the_next_one_s(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text(CONFIG % TEXT)
    data = tmp_path / ".callboard"
    async with embedded_server(data, durability="relaxed") as server, connect(server.url) as board:
        supervisor = ("supervisor", "--url", server.url)
        with _process(tmp_path, *supervisor), _worker(tmp_path, server.url) as first:
            run = await board.submit("slow", "x")
            texts: dict[int, str] = {}
            replaced: list[int] = []
            with anyio.fail_after(60):
                async for each in run.events(tokens=True):
                    if isinstance(each.event, TextReplaced):
                        replaced.append(each.event.attempt)
                    elif isinstance(each.event, ModelDelta):
                        if not texts:
                            first.kill()
                            second = _start(tmp_path, "worker", "agents.yaml", "--url", server.url)
                        assert each.event.n == len(texts.get(each.event.attempt, ""))
                        texts[each.event.attempt] = texts.get(each.event.attempt, "") + each.event.text
            second.terminate()
            second.wait(20)
        assert replaced == [1]
        assert texts[2] == TEXT
        assert TEXT.startswith(texts[1])


def _start(cwd: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with (cwd / "log").open("a") as log:
        return subprocess.Popen(command(*arguments), cwd=cwd, env=environment(), stdout=log, stderr=log)


@contextmanager
def _process(cwd: Path, *arguments: str):
    process = _start(cwd, *arguments)
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


def _worker(cwd: Path, url: str):
    return _process(cwd, "worker", "agents.yaml", "--url", url)
