"""What a request begins with, as digests: equal for what is equal, another for what a model would read otherwise."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.actors.fold import replay
from callboard.actors.prefix import Told, head_of, prefix_of, tools_digest
from callboard.bus.messages import ModelRequested, Prefix
from callboard.config.spec import AgentSpec, ModelChoice, ToolSpec
from callboard.models.port import AssistantTurn, ChatRequest, SteerNote, ToolCall, ToolOutcome, UserText
from tests.support.journals import claimed, extend, journal

LOOK = ToolSpec(name="look", description="Look.", parameters={"type": "object", "properties": {"a": {}, "b": {}}})
ASKED = UserText("hello")
REQUEST = ChatRequest(
    model=ModelChoice(provider="anthropic", name="claude"), system="You look.", messages=(ASKED,), tools=(LOOK,),
    attempt=1, call="m1", run="r", input="hello", timeout=1.0,
)  # fmt: skip
MESSAGES = (
    ASKED, UserText("note"), SteerNote("note"), SteerNote("note", "me"), AssistantTurn("note"),
    AssistantTurn("", (ToolCall("m1.0", "look", {"a": 1}),)), ToolOutcome("m1.0", "look", {"seen": ["x"]}),
    ToolOutcome("m1.0", "look", {"seen": ["x"]}, is_error=True),
)  # fmt: skip
histories = st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=8).map(tuple)
many = settings(max_examples=80, deadline=None)


def of(messages, last: Prefix | None = None) -> Prefix:
    """By somebody who has told nothing of it before, such as the next worker."""
    return prefix_of(replace(REQUEST, messages=tuple(messages)), Told(), last)


def test_the_first_request_has_no_request_before():
    first = of((ASKED,))
    assert (first.before, first.messages) == ("", 1)
    assert all(len(each) == 12 for each in (first.tools, first.system, first.history))


@many
@given(histories, histories)
def test_what_grows_has_the_history_before_in_it_and_what_does_not_has_another(first, more):
    last = of(first)
    assert of((*first, *more), last).before == last.history
    assert of(first, last) == last.model_copy(update={"before": last.history}), "asked again"
    other = of(more, last)
    assert (other.before == last.history) == (more[: len(first)] == first)


@many
@given(histories, histories)
def test_histories_are_told_apart(one, other):
    assert (of(one).history == of(other).history) == (one == other)


@many
@given(st.lists(histories, min_size=1, max_size=6))
def test_what_was_digested_before_does_not_matter(requests):
    told, last = Told(), None
    for messages in requests:
        found = prefix_of(replace(REQUEST, messages=messages), told, last)
        assert found == of(messages, last)
        last = found


def test_a_run_digests_each_message_once_while_nothing_before_it_changes():
    told = Told()
    half = tuple(told.digests(MESSAGES[:4]))
    whole = tuple(told.digests(MESSAGES))
    assert all(one is other for one, other in zip(half, whole, strict=False))
    other = tuple(told.digests((*MESSAGES[:2], *MESSAGES[3:])))
    assert [one is known for one, known in zip(other, whole, strict=False)] == [True] * 2 + [False] * 5


@pytest.mark.parametrize(
    ("other", "part"),
    [
        ({"tools": (LOOK.model_copy(update={"description": "See."}),)}, "tools"),
        ({"tools": (LOOK.model_copy(update={"name": "see"}),)}, "tools"),
        ({"tools": (LOOK.model_copy(update={"parameters": {"properties": {"b": {}, "a": {}}}}),)}, "tools"),
        ({"tools": (LOOK, LOOK.model_copy(update={"name": "see"}))}, "tools"),
        ({"tools": ()}, "tools"),
        ({"output": {"type": "object"}}, "output"),
        ({"system": "You see."}, "system"),
        ({"messages": (UserText("hallo"),)}, "history"),
    ],
)  # fmt: skip
def test_only_the_part_that_changed_has_another_digest(other, part):
    one, two = prefix_of(REQUEST, Told(), None), prefix_of(replace(REQUEST, **other), Told(), None)
    assert [name for name in ("tools", "output", "system", "history") if getattr(one, name) != getattr(two, name)] == [
        part
    ]


def test_schemas_are_told_apart_and_what_calls_begin_with_alike_has_them_too():
    one, two = ({"type": "object", "title": title} for title in ("A", "B"))
    digests = {prefix_of(replace(REQUEST, output=schema), Told(), None).output for schema in (None, one, two)}
    assert len(digests) == 3
    assert "" in digests, "nothing is told"
    heads = {head_of(REQUEST.model, AgentSpec(name="a", output=schema)) for schema in (None, one, two)}
    assert len(heads) == 3


def test_what_the_model_is_not_told_of_its_tools_does_not_count():
    slow = LOOK.model_copy(update={"timeout": 9.0, "effect": "critical", "polls": True})
    assert tools_digest((slow,)) == tools_digest((LOOK,))
    one, two = LOOK, LOOK.model_copy(update={"name": "see"})
    assert tools_digest((one, two)) != tools_digest((two, one)), "their order does"


def test_the_digests_of_a_run_that_lost_messages_are_those_of_all_that_is_left():
    last = of(MESSAGES)
    fewer = of(MESSAGES[:2], last)
    assert fewer.before == fewer.history != last.history
    assert len({of(messages).history for messages in pairwise(MESSAGES)}) == len(MESSAGES) - 1


def test_a_run_remembers_what_the_last_request_of_a_turn_began_with_and_of_no_other_call():
    def asked(name: str, **fields) -> ModelRequested:
        return ModelRequested(call=name, prefix=Prefix(history=name, messages=1), **fields)

    turn = journal(claimed(), asked("m1"))
    others = (asked("s1", purpose="summary"), asked("w1", purpose="warm"), asked("m2", wrap_up=True))
    assert replay(extend(turn, *others, ModelRequested(call="m3"))).prefix == Prefix(history="m1", messages=1)
    assert replay(extend(turn, asked("m2"))).prefix == Prefix(history="m2", messages=1)
