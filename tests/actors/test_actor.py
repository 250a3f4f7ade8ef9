"""Actors: one message at a time, failures that surface, stops that are final."""

import pytest
from anyio import CancelScope, Event, create_task_group, fail_after, lowlevel, sleep_forever

from callboard.actors.actor import Actor, Address, MailboxFull, group_of_one, living, running
from callboard.errors import Bug


class Recorder(Actor[str]):
    def __init__(self, *, mailbox: int = 1024) -> None:
        super().__init__(mailbox=mailbox)
        self.calls: list[str] = []
        self.seen = Event()
        self.side_ended = Event()

    async def started(self) -> None:
        self.calls.append("started")
        self._tasks.start_soon(self._side)

    async def _side(self) -> None:
        try:
            await sleep_forever()
        finally:
            self.side_ended.set()

    async def receive(self, message: str) -> None:
        self.calls.append(f"begin {message}")
        await lowlevel.checkpoint()
        match message:
            case "fail":
                raise ValueError("told to fail")
            case "stop":
                await self.stop()
            case "wait":
                self.seen.set()
                await sleep_forever()
            case "last":
                self.seen.set()
            case _:
                pass
        self.calls.append(f"end {message}")


async def test_messages_are_handled_one_at_a_time_in_the_order_they_were_told():
    with fail_after(20):
        async with Recorder() as actor:
            for message in ("a", "b", "last"):
                actor.address.tell(message)
            await actor.seen.wait()
    assert actor.calls == ["started", "begin a", "end a", "begin b", "end b", "begin last", "end last"]


async def test_entering_returns_after_started_and_leaving_ends_the_actors_own_tasks():
    with fail_after(20):
        async with Recorder() as actor:
            assert actor.calls == ["started"]
            assert not actor.side_ended.is_set()
    assert actor.side_ended.is_set()


async def test_leaving_cancels_the_message_being_handled():
    with fail_after(20):
        async with Recorder() as actor:
            actor.address.tell("wait")
            await actor.seen.wait()
    assert actor.calls == ["started", "begin wait"]


async def test_a_failing_receive_ends_the_body_with_that_failure_itself():
    actor = Recorder()
    actor.address.tell("fail")
    with pytest.raises(ValueError, match="told to fail"), fail_after(20):
        async with actor:
            await sleep_forever()
    assert actor.side_ended.is_set()


async def test_a_failing_start_is_raised_by_entering():
    class Broken(Recorder):
        async def started(self) -> None:
            raise ValueError("no start")

    with pytest.raises(ValueError, match="no start"), fail_after(20):
        async with Broken():
            pytest.fail("entered")


async def test_a_failing_task_of_the_actor_ends_the_actor():
    class Broken(Recorder):
        async def _side(self) -> None:
            raise ValueError("side failed")

    ready = Event()
    with pytest.raises(ValueError, match="side failed"), fail_after(20):
        await Broken().run(ready)


async def test_the_failures_of_body_and_actor_are_both_raised():
    async def fail_both() -> None:
        async with Recorder() as actor:
            actor.address.tell("fail")
            try:
                await sleep_forever()
            finally:
                raise KeyError("body")

    with pytest.raises(ExceptionGroup) as caught, fail_after(20):
        await fail_both()
    assert {type(error) for error in caught.value.exceptions} == {ValueError, KeyError}


async def test_the_bodys_failure_comes_out_unchanged():
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught, fail_after(20):
        async with Recorder():
            raise error
    assert caught.value is error


async def test_stopping_twice_is_fine_and_the_body_goes_on():
    with fail_after(20):
        async with Recorder() as actor:
            await actor.stop()
            assert actor.side_ended.is_set()
            await actor.stop()
            await lowlevel.checkpoint()


async def test_an_actor_may_stop_itself_and_run_returns_normally():
    actor = Recorder()
    actor.address.tell("stop")
    with fail_after(20):
        await actor.run(Event())
    assert actor.calls == ["started", "begin stop"]


async def test_an_actor_stopped_before_its_start_never_starts():
    actor = Recorder()
    await actor.stop()
    with fail_after(20):
        async with actor:
            assert actor.calls == []


async def test_a_full_mailbox_refuses_with_a_retryable_error_and_accepts_up_to_its_bound():
    actor = Recorder(mailbox=2)
    actor.address.tell("a")
    actor.address.tell("b")
    with pytest.raises(MailboxFull, match="holds 2 messages") as caught:
        actor.address.tell("c")
    assert caught.value.retryable


async def test_an_ended_actor_drops_messages():
    with fail_after(20):
        async with Recorder(mailbox=1) as actor:
            pass
    for _ in range(5):
        actor.address.tell("a")
    assert actor.calls == ["started"]


async def test_an_actor_lives_once():
    with fail_after(20):
        async with Recorder() as actor:
            pass
        with pytest.raises(Bug, match="lives once"):
            await actor.run(Event())


async def test_cancelling_the_surrounding_scope_ends_the_actor():
    actor = Recorder()
    ready = Event()
    with fail_after(20):
        async with create_task_group() as tasks:
            tasks.start_soon(actor.run, ready)
            await ready.wait()
            tasks.cancel_scope.cancel()
    assert actor.side_ended.is_set()


async def test_an_address_has_nothing_but_tell():
    told: list[str] = []
    address = Address(told.append)
    address.tell("a")
    assert told == ["a"]
    assert [name for name in dir(address) if not name.startswith("_")] == ["tell"]


async def test_running_returns_even_if_what_runs_ends_before_it_is_ready():
    async def at_once(ready: Event) -> None:
        await lowlevel.checkpoint()

    with fail_after(20):
        async with running(at_once):
            pass


async def test_an_actor_that_lives_among_others_ends_with_the_body():
    actor = Recorder()
    with fail_after(20):
        async with group_of_one() as around:
            async with living(actor, around):
                assert actor.calls == ["started"]
                assert not actor.side_ended.is_set()
            assert actor.side_ended.is_set()


async def test_what_an_actor_among_others_uses_is_open_until_it_has_ended_also_when_all_is_cancelled():
    class Slow(Recorder):
        async def _side(self) -> None:
            try:
                await sleep_forever()
            finally:
                with CancelScope(shield=True):
                    for _ in range(5):
                        await lowlevel.checkpoint()
                self.calls.append("cleaned up")

    actor = Slow()
    with fail_after(20):
        async with group_of_one() as around:
            try:
                async with living(actor, around):
                    around.cancel_scope.cancel()
                    await sleep_forever()
            finally:
                actor.calls.append("closed")
    assert actor.calls == ["started", "cleaned up", "closed"]


async def test_the_failure_of_an_actor_among_others_cancels_the_body_and_is_raised_as_it_is():
    actor = Recorder()

    async def live() -> None:
        async with group_of_one() as around, living(actor, around):
            actor.address.tell("fail")
            await sleep_forever()

    with fail_after(20), pytest.raises(ValueError, match="told to fail"):
        await live()
    assert actor.side_ended.is_set()


async def test_a_group_of_one_leaves_several_failures_as_a_group():
    async def fail() -> None:
        raise ValueError("one of two")

    async def live() -> None:
        async with group_of_one() as group:
            group.start_soon(fail)
            group.start_soon(fail)

    with fail_after(20), pytest.raises(BaseExceptionGroup):
        await live()
