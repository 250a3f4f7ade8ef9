"""The same run, recorded in another form, is judged in the same way."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from callboard.bus.messages import Content, ModelResponded, RunCreated, ToolRequested, ToolReturned
from callboard.guards.kit import Seen
from tests.guards.loop import astray, families, held_out, on_track, recorded, reported, transcribed, withheld
from tests.guards.loop.evaluation import judge
from tests.guards.loop.trace import BEGIN

RUNS = (
    families.guessing, families.empty_search, families.batch_edits, families.edit_and_test, held_out.reworded_search,
    held_out.flip_flop, recorded.search_same_hits, recorded.same_failing_test, transcribed.listing_again,
    reported.build_again, reported.notebook, withheld.no_path, withheld.compiles, astray.patch_spiral, on_track.crawl,
    on_track.where_is_it,
)  # fmt: skip
Form = Callable[[Seen], Seen]


def results(wrap: Callable[[Any], Any]) -> Form:
    """Every result in another wrapping."""

    def form(seen: Seen) -> Seen:
        event = seen.event
        if not isinstance(event, ToolReturned) or event.problem is not None:
            return seen
        return replace(seen, event=event.model_copy(update={"result": Content(value=wrap(event.result.value))}))

    return form


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def problems_as_results(seen: Seen) -> Seen:
    """An error is a result that says so."""
    event = seen.event
    if not isinstance(event, ToolReturned) or event.problem is None:
        return seen
    blocks = {"content": [{"type": "text", "text": event.problem.message}], "isError": True}
    return replace(seen, event=event.model_copy(update={"problem": None, "result": Content(value=blocks)}))


def renamed(rename: Callable[[str], str]) -> Form:
    """Every tool by another name."""

    def form(seen: Seen) -> Seen:
        event = seen.event
        if isinstance(event, ToolRequested):
            return replace(seen, event=event.model_copy(update={"tool": rename(event.tool)}))
        if isinstance(event, ModelResponded):
            calls = tuple(call.model_copy(update={"name": rename(call.name)}) for call in event.tool_calls)
            return replace(seen, event=event.model_copy(update={"tool_calls": calls}))
        if isinstance(event, RunCreated) and isinstance(event.spec, dict):
            tools = [tool | {"name": rename(tool["name"])} for tool in event.spec["tools"]]
            return replace(seen, event=event.model_copy(update={"spec": event.spec | {"tools": tools}}))
        return seen

    return form


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))


def with_other_ids(seen: Seen) -> Seen:
    """Calls by the ids of another provider."""
    event = seen.event
    if isinstance(event, ModelResponded):
        calls = tuple(call.model_copy(update={"id": f"toolu_{call.id}"}) for call in event.tool_calls)
        return replace(seen, event=event.model_copy(update={"tool_calls": calls}))
    if isinstance(event, (ToolRequested, ToolReturned)):
        return replace(seen, event=event.model_copy(update={"call": f"toolu_{event.call}"}))
    return seen


FORMS: dict[str, Form] = {
    "blocks": results(lambda value: [{"type": "text", "text": text_of(value)}]),
    "mcp": results(lambda value: {"content": [{"type": "text", "text": text_of(value)}], "isError": False}),
    "json": results(text_of),
    "indented": results(lambda value: value if isinstance(value, str) else json.dumps(value, indent=2)),
    "result": results(lambda value: {"result": value}),
    "shell": results(lambda value: {"stdout": text_of(value), "stderr": "", "exit_code": 0, "interrupted": False}),
    "twice": results(lambda value: json.dumps({"output": text_of(value)})),
    "problems": problems_as_results,
    "camel": renamed(camel),
    "server": renamed(lambda name: f"mcp__tools__{name}"),
    "instant": lambda seen: replace(seen, at=BEGIN),
    "ids": with_other_ids,
}


def verdicts(seen: list[Seen]) -> list[tuple[str, int]]:
    judged = judge(seen)
    return [(verdict.action, turn) for verdict, turn in zip(judged.verdicts, judged.turns, strict=True)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("family", RUNS)
def test_the_same_run_in_another_form_is_judged_in_the_same_way(family, form):
    seen = family(random.Random(5)).seen
    assert verdicts([FORMS[form](each) for each in seen]) == verdicts(seen)
