"""What the spec of a run means to those who do not know all of its words: processes are upgraded one by one."""

from __future__ import annotations

import anyio
import pytest
from pydantic import JsonValue, ValidationError

from callboard.actors.code import AgentCode, kept_spec
from callboard.bus.messages import RunCreated
from callboard.config.kept import NewerSpec, known_spec
from callboard.config.spec import AgentSpec
from callboard.errors import ConfigError
from tests.support.fleet import fleet, scripted
from tests.support.journals import T0

SLOW = scripted("slow", {"text": "late", "delay": 30})


def created(**spec: JsonValue) -> RunCreated:
    return RunCreated(agent="slow", spec={"name": "slow", **spec}, at=T0)


class Newer(AgentCode):
    """Writes a word into specs that this version does not know."""

    def kept_for(self, tenant: str) -> tuple[JsonValue, str]:
        kept, _ = super().kept_for(tenant)
        assert isinstance(kept, dict)
        return {**kept, "horizon": 3}, "newer"


class Looking(AgentCode):
    """Says when a worker looks at the spec of a run."""

    looked: anyio.Event

    def kept_for(self, tenant: str) -> tuple[JsonValue, str]:
        self.looked.set()
        return super().kept_for(tenant)


def test_a_spec_with_a_word_that_is_not_known_is_a_newer_one():
    with pytest.raises(NewerSpec, match=r"does not know 'limits\.horizon'"):
        kept_spec(created(limits={"horizon": 3}), None, "t")


def test_a_spec_that_nobody_can_read_is_none_of_a_newer_version():
    with pytest.raises(ValidationError):
        kept_spec(created(limits={"turns": "many"}), None, "t")
    with pytest.raises(ConfigError, match="no agent spec"):
        kept_spec(RunCreated(agent="slow", at=T0), None, "t")


def test_a_run_keeps_the_spec_that_it_began_with():
    assert kept_spec(created(system="x"), SLOW, "t") == AgentSpec(name="slow", system="x")
    assert kept_spec(RunCreated(agent="slow", spec=SLOW.kept_for("t")[0], at=T0), SLOW, "t") is SLOW.spec


def test_guards_judge_by_the_settings_that_they_know():
    known = known_spec({"name": "slow", "horizon": 3, "guards": {"budget": {"run": {"usd": 1, "joules": 5}}}})
    assert known.guards.budget.run.usd == 1
    with pytest.raises(ValidationError):
        known_spec({"name": "slow", "guards": {"budget": {"run": {"usd": "much"}}}})


async def test_an_older_worker_leaves_a_run_of_a_newer_one_as_it_is() -> None:
    async with fleet(Newer(SLOW.spec)) as board:
        key = await board.submit("slow", "x")
        await board.until(key, lambda state: state.calls)
        await board.drain(board.workers[0])
        given = await board.until(key, lambda state: state.suspended)
        older = Looking(SLOW.spec)
        object.__setattr__(older, "looked", anyio.Event())
        board.agents = {"slow": older}
        worker = await board.worker(name="older")
        with anyio.fail_after(20):
            await older.looked.wait()
        await board.drain(worker)
        state = await board.state(key)
        assert (state.terminal, state.claims, state.suspended) == (None, given.claims, given.suspended)
