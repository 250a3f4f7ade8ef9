"""Shell: model calls, each behind its intent, each ending as a fact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import anyio
from pydantic import JsonValue

from callboard.actors.charges import answered, cut_short, failed, interrupted
from callboard.actors.choosing import candidates, cheapest, following, instead, others, verdict
from callboard.actors.code import Ports
from callboard.actors.commands import CallModel
from callboard.actors.contents import keepable, pack
from callboard.actors.effects import denied, within_deadline
from callboard.actors.gate import Ask, Ending, Grant, Refusal
from callboard.actors.heard import Heard
from callboard.actors.owner import Owner
from callboard.actors.passage import Passage, admitted, ended
from callboard.actors.prefix import Told, head_of, prefix_of
from callboard.actors.relieving import recoverable
from callboard.actors.replies import reply_of
from callboard.actors.requests import has_room, made_smaller, read, request_of
from callboard.actors.retrying import Next, after, chance_of
from callboard.actors.state import RunState
from callboard.bus.messages import (
    Content,
    ContextRelieved,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Prefix,
    Problem,
    ToolCall,
)
from callboard.config.nesting import DEEPEST, nests_deeper
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.errors import ModelError
from callboard.models.port import ChatModel, ChatReply, ChatRequest
from callboard.models.prices import source_of

_BLOCKS_BYTES: Final = 96 * 1024
"""What is larger cannot be sent back: an entry of the journal ends at 256 KiB."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A call of the model at ``entry``; ``instead``: why no earlier one; ``absent``: those that nobody can ask here.

    ``relief``: what the model reads less from this call on, once the gates have let it.
    """

    command: CallModel
    entry: int
    instead: str
    absent: frozenset[int]
    spec: AgentSpec
    given: JsonValue
    told: Told
    relief: tuple[ContextRelieved, ...]


async def call_model(
    owner: Owner,
    command: CallModel,
    *,
    spec: AgentSpec,
    given: JsonValue,
    models: Sequence[ChatModel | None],
    told: Told,
    ports: Ports,
) -> None:
    """Ask the gates, write the intent, call the model, leave its reply or failure (or the refusal) as a fact.

    A model that the gates put off is passed over while there is another one, and so is one that this worker cannot ask
    (None).
    """
    refused, absent = dict[int, Refusal](), frozenset(at for at, model in enumerate(models) if model is None)
    entries = _order(owner, command, absent, spec=spec, given=given, ports=ports)
    while (entry := following(entries, refused, purpose=command.purpose)) is not None:
        relief: tuple[ContextRelieved, ...] = ()
        if not has_room(owner.view, command, spec.every_model[entry], spec=spec, run=owner.key.run):
            if later := _others(owner, command, entry, entries=entries, refused=refused, spec=spec):
                entries = (*later, entry)
                continue
            found = made_smaller(owner.view, command, spec.every_model[entry], spec=spec, run=owner.key.run)
            if isinstance(found, Refusal):
                refused[entry] = found
                continue
            relief = (found,)
        why = instead(entry, refused, spec, absent=absent)
        wanted = _Wanted(command, entry, why, absent, spec, given, told, relief)
        model = models[entry]
        assert model is not None, "no candidate is absent"
        if (refusal := await _asked(owner, wanted, model=model, ports=ports)) is None:
            return
        refused[entry] = refusal
    await owner.append(denied(command.turn, verdict(refused)))


def _order(
    owner: Owner, command: CallModel, absent: frozenset[int], *, spec: AgentSpec, given: JsonValue, ports: Ports
) -> tuple[int, ...]:
    """The entries to ask, as they stand at first."""
    entries = candidates(
        owner.view, spec, command.call, attempt=command.attempt, absent=absent, purpose=command.purpose
    )
    if spec.prefer != "price" or command.purpose == "summary":
        return entries
    request = _request(owner, owner.view, command, spec.models[entries[0]], spec=spec, given=given, ports=ports)
    return cheapest(entries, request, owner.view, spec)


def _others(
    owner: Owner, command: CallModel, entry: int, *,
    entries: tuple[int, ...], refused: dict[int, Refusal], spec: AgentSpec,
) -> tuple[int, ...]:  # fmt: skip
    """The window of ``entry`` is too small: those that come first now, if there is one among them with a larger one."""
    before = tuple(each for each in entries if each != entry)
    rest = (spec.every_model[each] for each in before if each not in refused)
    roomy = any(has_room(owner.view, command, choice, spec=spec, run=owner.key.run) for choice in rest)
    return before if roomy else ()


async def _asked(owner: Owner, wanted: _Wanted, *, model: ChatModel, ports: Ports) -> Refusal | None:
    """Ask the gates, then the model; behind who goes ahead. Returns why the gates do not let it."""
    command, spec, choice = wanted.command, wanted.spec, wanted.spec.every_model[wanted.entry]
    if not choice.warm or command.wrap_up or command.purpose == "summary":
        return await _let(owner, wanted, choice, model=model, heard=Heard(), ports=ports)
    head = head_of(choice, spec)
    if ports.leaders.is_led(head):
        await owner.flush()  # who waits is seen, and hears of a kill; nothing is reserved or announced meanwhile
    patience = within_deadline(owner, spec.limits.first_token_timeout, ports)
    async with ports.leaders.behind(head, within=patience, clock=ports.clock) as begun:
        if not within_deadline(owner, math.inf, ports):  # it waited for all of its time
            return None
        return await _let(owner, wanted, choice, model=model, heard=Heard(begun), ports=ports)


async def _let(
    owner: Owner, wanted: _Wanted, choice: ModelChoice, *, model: ChatModel, heard: Heard, ports: Ports
) -> Refusal | None:
    command = wanted.command
    state = owner.imagined(*wanted.relief)
    request = _request(owner, state, command, choice, spec=wanted.spec, given=wanted.given, ports=ports)
    ask = Ask(owner.key, wanted.spec, state, "model", command.call, command.attempt, choice.label,
        request=request, wrap_up=command.wrap_up,
        purpose=command.purpose, pending=(*owner.unwritten, *wanted.relief), commit=owner.flush,
    )  # fmt: skip
    answer = await admitted(owner.gate, ask, within=within_deadline(owner, math.inf, ports))
    if isinstance(answer, Refusal):
        return answer
    if answer is not None:
        await _granted(owner, wanted, ask, answer, model=model, heard=heard, ports=ports)
    return None


async def _granted(
    owner: Owner, wanted: _Wanted, ask: Ask, grant: Grant, *, model: ChatModel, heard: Heard, ports: Ports
) -> None:
    command = wanted.command
    if command.wrap_up and owner.view.denied is None:  # somebody has raised the budget: it is not the last turn
        await ended(owner.gate, ask, grant, Ending("unstarted"))
        return
    request = ask.request
    assert request is not None
    owner.defer(*wanted.relief)
    intent = ModelRequested(
        call=command.call, attempt=command.attempt, model=ask.name, reserved=grant.reserved, wrap_up=command.wrap_up,
        priced_by=source_of(request.model), entry=wanted.entry, instead=wanted.instead,
        purpose=command.purpose, prefix=_prefix(owner, command, request, wanted.told),
    )  # fmt: skip
    async with Passage(owner.gate, ask, grant, ports.clock) as passage, owner.armed(intent) as window:
        if not await window.opened(within=within_deadline(owner, math.inf, ports)):  # it may have been stopped
            return
        if len(owner.state.turns) != len(ask.state.turns):  # a note came in between
            request = _request(
                owner, owner.view, command, request.model, spec=wanted.spec, given=wanted.given, ports=ports
            )
        passage.start()
        if owner.view.calls[command.call].asked.count(wanted.entry) == 1:
            ports.retries.requested(ask.name, ports.clock.monotonic())
        await _ask_model(owner, wanted, request, passage, model=model, heard=heard, ports=ports)


async def _ask_model(
    owner: Owner, wanted: _Wanted, request: ChatRequest, passage: Passage, *,
    model: ChatModel, heard: Heard, ports: Ports,
) -> None:  # fmt: skip
    command, spec = wanted.command, wanted.spec
    reply: ChatReply | None = None
    started = ports.clock.monotonic()
    try:
        with ports.tokens.telling(owner.key, command.call, command.attempt) as tell:
            reply = await reply_of(model, request, heard, tell=tell, first_token=spec.limits.first_token_timeout)
        responded = await _responded(command, reply, ports, choice=request.model)
    except ModelError as raised:
        error = raised
    except anyio.get_cancelled_exc_class():
        known = None if reply is None else answered(request.model, reply.usage)
        usage = known or interrupted(request, owner.view, heard)
        owner.defer(cut_short(command.call, command.attempt, at=ports.clock.now(), usage=usage))
        raise
    else:
        await passage.end(usage=responded.usage, limits=reply.limits)
        owner.defer(responded, *read(owner.view, command, reply, spec=spec, run=owner.key.run))
        return
    seconds = ports.clock.monotonic() - started
    usage = failed(request, owner.view, error, heard=heard, seconds=seconds)
    await passage.end(f"model_{error.kind}", usage=usage, retry_after=error.retry_after, limits=error.limits)
    fact = _failed(owner, wanted, error, model=passage.ask.name, ports=ports)
    replaced = any(heard.texts) and fact.retry_at is not None
    owner.defer(fact.model_copy(update={"usage": usage, "replaced": replaced}))


def _request(
    owner: Owner, state: RunState, command: CallModel, choice: ModelChoice, *,
    spec: AgentSpec, given: JsonValue, ports: Ports,
) -> ChatRequest:  # fmt: skip
    timeout = within_deadline(owner, spec.limits.model_timeout, ports)
    return request_of(state, command, choice, spec=spec, given=given, run=owner.key.run, timeout=timeout)


def _prefix(owner: Owner, command: CallModel, request: ChatRequest, told: Told) -> Prefix | None:
    """For those who have a prompt cache, which no script has. What is no turn has a history of its own."""
    if request.model.provider == "scripted":
        return None
    return (
        prefix_of(request, told, owner.view.prefix) if command.purpose == "turn" else prefix_of(request, Told(), None)
    )


async def _responded(command: CallModel, reply: ChatReply, ports: Ports, *, choice: ModelChoice) -> ModelResponded:
    call = command.call
    return ModelResponded(
        call=call,
        text=await pack(reply.text, ports.blobs),
        # ids of our own: unique in the run whatever the provider repeats
        tool_calls=tuple(
            ToolCall(id=f"{call}.{index}", name=asked.name, arguments=keepable(asked.arguments))
            for index, asked in enumerate(reply.tool_calls)
        ),
        usage=answered(choice, reply.usage),
        stop=reply.stop,
        blocks=await _blocks(reply, ports),
        purpose=command.purpose,
    )


async def _blocks(reply: ChatReply, ports: Ports) -> Content:
    """What the provider wants back unchanged; nothing if the journal cannot keep it: then it is told as text."""
    blocks = list(reply.blocks)
    if not blocks or nests_deeper(blocks, DEEPEST):
        return Content()
    return await pack(blocks, ports.blobs, limit=_BLOCKS_BYTES)


def _failed(owner: Owner, wanted: _Wanted, error: ModelError, *, model: str, ports: Ports) -> ModelFailed:
    """The failure as a fact; ``usage`` and ``replaced`` are its caller's."""
    command, spec = wanted.command, wanted.spec
    now, call, choice = ports.clock.monotonic(), owner.view.calls[command.call], spec.every_model[wanted.entry]
    smaller = error.kind == "context" and command.purpose == "turn"
    if smaller and recoverable(owner.view, spec, choice, call=call.call, run=owner.key.run, wrap_up=command.wrap_up):
        then = Next(0.0, why="its model is asked again, with less to read")
    else:
        then = _next(owner, wanted, error, model=model, ports=ports)
    if then.pause is not None and not then.left:
        ports.retries.retried(model, now)
    retry_at = None if then.pause is None else ports.clock.now() + timedelta(seconds=then.pause)
    problem = Problem(kind=f"model_{error.kind}", message=str(error), hint=then.why)
    return ModelFailed(call=command.call, attempt=command.attempt, problem=problem, retry_at=retry_at, left=then.left)


def _next(owner: Owner, wanted: _Wanted, error: ModelError, *, model: str, ports: Ports) -> Next:
    command, spec = wanted.command, wanted.spec
    call = owner.view.calls[command.call]
    return after(
        error,
        tries=call.asked.count(call.asked[-1]),
        attempts=spec.limits.model_attempts,
        seconds_left=within_deadline(owner, math.inf, ports),
        wait=ports.retries.wait(model, ports.clock.monotonic()),
        chance=chance_of(owner.key.run, command.call, command.attempt),
        others=others(spec, call, wanted.absent),
    )
