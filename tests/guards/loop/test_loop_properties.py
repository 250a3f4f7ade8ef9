"""The promises of the loop guard: over any run, and over all families of runs."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.bus.messages import Content, Problem, RunSteered
from callboard.guards.loop.fingerprint import asking_of, outcome_of, said_in
from callboard.guards.loop.guard import LoopGuard
from callboard.guards.loop.plain import HEAD, TAIL, canonical
from callboard.guards.loop.state import CALLS, RESULTS, TOOLS
from tests.guards.loop import families, fresh, held_out, transcribed
from tests.guards.loop.__main__ import SETS, main, rows_of
from tests.guards.loop.evaluation import judge, share, table
from tests.guards.loop.trace import KEY, Call, Trace, words

RUNS = 2
LEAST = dict.fromkeys((name for name, _ in SETS), 0.8)
"""One set by itself."""
HARD = {"6 ": 0.75, "7 ": 0.8, "8a ": 0.7, "8b ": 0.7, "10b ": 0.55}
"""Much of them is short, or hardly to be told from work, or nobody has tuned for it: the docs give their figures."""
LEAST |= {name: least for name in LEAST for start, least in HARD.items() if name.startswith(start)}
MOST = HEAD + TAIL + 100
CALL = st.builds(
    Call,
    st.sampled_from(("look", "put", "wait")),
    st.fixed_dictionaries({"x": st.integers(0, 3)}),
    st.sampled_from(("ok", "no matches", "Error: broken", "pending", "a result that is long enough " * 9, 7, None)),
)
STEP = st.one_of(
    st.lists(CALL, min_size=1, max_size=3),
    st.sampled_from(("I will do it.", "I am not sure what to do.")),
    st.sampled_from(("person", "guard")),
)


def run_of(steps, seed=0):
    run = Trace(random.Random(seed), {"look": "read", "wait": "poll"})
    for step in steps:
        if step == "person":
            run.person("go on")
        elif step == "guard":
            run._write(RunSteered(text="note", guard="loop"), owner="")
        elif isinstance(step, str):
            run.says(step)
        else:
            run.turn(*(replace(call) for call in step))
    return run


@pytest.mark.timeout(300)
def test_of_healthy_runs_1_in_100_is_killed_at_most_and_of_degenerate_ones_95_are_caught():
    found = {name: rows_of(module, runs=RUNS, seed=11) for name, module in SETS}
    every = [row for name, rows in found.items() if not name.startswith(tuple(HARD)) for row in rows]
    assert share(every, "healthy") <= 0.01, table(every)
    assert share(every, "degenerate") >= 0.95, table(every)
    assert share(every, "healthy", lambda row: row.nudged) <= 0.03, table(every)
    for name, rows in found.items():
        assert share(rows, "healthy") <= 0.01, table(rows)
        assert share(rows, "degenerate") >= LEAST[name], table(rows)


@pytest.mark.parametrize("family", transcribed.DEGENERATE)
def test_recorded_loops_are_killed(family):
    judged = judge(family(random.Random(11)).seen)
    assert judged.first("nudge")
    assert judged.first("kill")


@pytest.mark.parametrize("family", transcribed.HEALTHY)
def test_recorded_runs_that_got_somewhere_are_left_alone(family):
    assert judge(family(random.Random(11)).seen).verdicts == ()


@given(st.lists(STEP, max_size=30), st.data())
def test_it_says_the_same_wherever_it_begins_again(steps, data):
    seen = run_of(steps).seen
    whole = judge(seen).verdicts
    cut = data.draw(st.integers(0, len(seen)))
    guard = LoopGuard()
    state = guard.start(KEY)
    for each in seen[:cut]:
        state, _ = guard.observe(state, each)
    before = judge(seen[:cut]).verdicts
    after = []
    for each in seen[cut:]:
        state, said = guard.observe(state, each)
        after += said
    assert (*before, *after) == whole


@given(st.lists(STEP, max_size=30))
def test_a_state_is_never_changed_only_followed_by_another(steps):
    guard = LoopGuard()
    state = guard.start(KEY)
    for each in run_of(steps).seen:
        kept = repr(state)
        following, _ = guard.observe(state, each)
        assert repr(state) == kept
        state = following


@given(st.lists(STEP, max_size=40))
def test_the_ladder_only_goes_up_until_news_or_a_person(steps):
    run = run_of(steps)
    guard = LoopGuard()
    state, rung, heard = guard.start(KEY), "calm", False
    for each in run.seen:
        state, said = guard.observe(state, each)
        if isinstance(each.event, RunSteered):
            rung = "calm" if not each.event.guard else "nudged" if rung == "killed" and not heard else rung
            heard = bool(each.event.guard)
        for verdict in said:
            if verdict.action == "nudge":
                assert rung in {"calm", "nudged"}
                rung, heard = "nudged", False
            elif verdict.action == "deny":
                assert rung in {"nudged", "killed"}
            else:
                assert (verdict.action, rung) == ("kill", "nudged")
                rung = "killed"


@given(st.integers(0, 10**9), st.integers(1, 80))
@settings(max_examples=25, deadline=None)
def test_a_run_whose_every_turn_brings_something_new_is_left_alone(seed, turns):
    run = Trace(random.Random(seed), random.Random(seed).choice(({}, {"open": "read"}, {"open": "write"})))
    for n in range(turns):
        run.turn(Call("open", {"page": n}, f"{words(run.rng, run.rng.randint(8, 40))} {n}"))
    assert judge(run.end().seen).verdicts == ()


@given(st.lists(STEP, max_size=25))
def test_after_a_persons_word_it_is_nudged_again_before_it_is_killed(steps):
    run = run_of(steps).person("a word that was not said before")
    for _ in range(20):
        run.turn(Call("look", {"x": 1}, "ok"))
    at = next(
        each.sequence for each in run.seen if getattr(each.event, "text", "") == "a word that was not said before"
    )
    guard = LoopGuard()
    state, after = guard.start(KEY), []
    for each in run.seen:
        state, said = guard.observe(state, each)
        after += [verdict.action for verdict in said if each.sequence > at and verdict.action != "deny"]
    assert after[:2] == ["nudge", "kill"]


@pytest.mark.parametrize("family", [families.guessing, families.research, held_out.polite_forever, fresh.translations])
def test_what_it_remembers_is_bounded(family):
    guard = LoopGuard()
    state = guard.start(KEY)
    for each in family(random.Random(3)).seen:
        state, _ = guard.observe(state, each)
    assert len(state.memory.calls) <= CALLS
    assert len(state.memory.results) <= RESULTS
    assert len(state.memory.tools) <= TOOLS
    assert CALLS + RESULTS <= 256
    streak = state.streak
    assert max(len(each) for each in (streak.trail, streak.suspects, streak.tools, streak.cycles.recent)) <= 32


HUGE = st.sampled_from(("many words, 12 of them at 10:11:12, and so on. ", "line\n", "x", '{"a": [1.0, 2]} ')).map(
    lambda unit: unit * 20_000
)


@given(HUGE, st.sampled_from((str, lambda text: [text], lambda text: {"out": text}, lambda text: text.split(" "))))
@settings(max_examples=6, deadline=None)
def test_work_is_bounded_whatever_the_size_of_a_result(text, within):
    """All expressions run over what ``canonical`` leaves, and the pieces are cut out of it."""
    value = within(text)
    assert len(canonical(value)) <= MOST
    outcome = outcome_of(Content(value=value), None, tool="f", arguments={"q": text})
    assert len(outcome.pieces) <= MOST // 4
    problem = Problem(kind="tool_error", message=text)
    assert len(outcome_of(Content(), problem, tool="f", arguments=value).pieces) <= MOST // 4
    assert len(said_in(text)) <= MOST // 4
    assert len(asking_of("f", value).words) <= MOST // 4


@pytest.mark.timeout(300)
def test_the_evaluation_prints_a_table(capsys, monkeypatch):
    some = SETS[4:6]
    monkeypatch.setattr("sys.argv", ["loop", "1", "2"])
    monkeypatch.setattr("tests.guards.loop.__main__.SETS", some)
    main()
    out = capsys.readouterr().out
    assert all(family.__name__ in out for _, module in some for family in (*module.DEGENERATE, *module.HEALTHY))
    assert out.count("degenerate: ") == out.count("healthy: ") == len(some)
    assert all(out.count(name) == 2 for name, _ in some)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece", ["1", "-", ".", "~ ", "a1", "_", "1:", "1m ", "aA_1", "tmp", "0x", "/", '"id":', "no "]
)
def test_no_dump_of_one_piece_keeps_a_guard_from_coming_back(piece):
    """A search that takes the cube of a run of digits did: for minutes."""
    run, guard = Trace(random.Random(1)), LoopGuard()
    for page in range(2):
        run.turn(Call("open", {"page": page, "text": piece * 500}, piece * 20_000), text=piece * 2_000)
    state = guard.start(KEY)
    for each in run.seen:
        state, _ = guard.observe(state, each)
