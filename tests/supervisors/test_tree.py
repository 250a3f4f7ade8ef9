"""The supervision tree as values: strategies, intensity, stale words, and both halves of every limit."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.errors import Bug
from callboard.supervisors.tree import (
    LIVE,
    ChildSpec,
    Decision,
    Escalate,
    Event,
    Exited,
    Finished,
    Stalled,
    Start,
    Started,
    Stop,
    StopRequested,
    SupervisorSpec,
    Tree,
    begin,
    react,
)

RESTARTS = ("permanent", "transient", "temporary")
STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")


def spec(strategy: str = "one_for_one", *kinds: str, **settings: float) -> SupervisorSpec:
    children = tuple(ChildSpec(name, restart=kind) for name, kind in zip("abcdefgh", kinds, strict=False))
    return SupervisorSpec(children, strategy=strategy, **{"backoff": 0.0, **settings})


@dataclass
class World:
    """Plays the shell: keeps what lives by the decisions alone, so that it can contradict the tree."""

    spec: SupervisorSpec
    tree: Tree = field(init=False)
    live: dict[str, int] = field(default_factory=dict)
    ready: set[str] = field(default_factory=set)
    told_to_stop: list[str] = field(default_factory=list)
    log: list[Decision] = field(default_factory=list)
    last: tuple[Decision, ...] = ()
    now: float = 0.0

    def __post_init__(self) -> None:
        self.tree, decisions = begin(self.spec)
        self._carry_out(decisions)

    def _carry_out(self, decisions: tuple[Decision, ...]) -> None:
        self.last = decisions
        self.log.extend(decisions)
        for decision in decisions:
            match decision:
                case Start(child, life):
                    assert child not in self.live, "two lives at once"
                    self.live[child] = life
                case Stop(child, life):
                    assert self.live.get(child) == life, "stopped a life that is not there"
                    assert child not in self.told_to_stop, "stopped twice"
                    self.told_to_stop.append(child)
                case Escalate() | Finished():
                    assert not self.live, "ended with children alive"

    def say(self, event: Event) -> tuple[Decision, ...]:
        match event:
            case Exited(child, life) if self.live.get(child) == life:
                del self.live[child]
                self.ready.discard(child)
                if child in self.told_to_stop:
                    self.told_to_stop.remove(child)
            case Started(child, life) if self.live.get(child) == life:
                self.ready.add(child)
        self.tree, decisions = react(self.tree, event)
        self._carry_out(decisions)
        shown = {child.spec.name for child in self.tree.children if child.phase in LIVE}
        assert shown == set(self.live)
        return decisions

    def start(self, child: str) -> tuple[Decision, ...]:
        return self.say(Started(child, self.live[child]))

    def exit(self, child: str, reason: str = "error") -> tuple[Decision, ...]:
        return self.say(Exited(child, self.live[child], reason, self.now))

    def stall(self, child: str) -> tuple[Decision, ...]:
        return self.say(Stalled(child, self.live[child], self.now))

    def up(self) -> "World":
        while fresh := [child for child in self.live if child not in self.ready]:
            self.start(fresh[0])
        return self

    def obey(self) -> None:
        """Carry out stops and starts until nothing is asked for."""
        while self.told_to_stop or any(child not in self.ready for child in self.live):
            while self.told_to_stop:
                self.exit(self.told_to_stop[0], "normal")
            self.up()


# --- values -----------------------------------------------------------------------------------------


def test_independent_children_start_together_in_the_order_of_the_spec():
    world = World(spec("one_for_one", "permanent", "permanent"))
    assert world.log == [Start("a", 1), Start("b", 1)]
    world.start("b")
    assert not world.tree.ready
    world.start("a")
    assert world.tree.ready


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_dependent_children_start_one_after_the_other_is_ready(strategy):
    world = World(spec(strategy, "permanent", "permanent"))
    assert world.last == (Start("a", 1),)
    assert world.start("a") == (Start("b", 1),)
    assert world.start("b") == ()
    assert world.tree.ready


def test_one_for_one_restarts_only_the_child_that_ended():
    world = World(spec("one_for_one", *["permanent"] * 3)).up()
    assert world.exit("b") == (Start("b", 2),)


def test_one_for_all_stops_the_others_in_reverse_order_then_starts_all_in_order():
    world = World(spec("one_for_all", *["permanent"] * 4)).up()
    assert world.exit("b") == (Stop("d", 1),)
    assert world.exit("d", "normal") == (Stop("c", 1),)
    assert world.exit("c", "normal") == (Stop("a", 1),)
    assert world.exit("a", "normal") == (Start("a", 2),)
    assert world.start("a") == (Start("b", 2),)
    assert world.start("b") == (Start("c", 2),)
    assert world.start("c") == (Start("d", 2),)


def test_rest_for_one_leaves_the_earlier_children_alone():
    world = World(spec("rest_for_one", *["permanent"] * 4)).up()
    assert world.exit("b") == (Stop("d", 1),)
    assert world.exit("d", "normal") == (Stop("c", 1),)
    assert world.exit("c", "normal") == (Start("b", 2),)
    assert world.start("b") == (Start("c", 2),)
    assert world.start("c") == (Start("d", 2),)
    assert world.start("d") == ()


def test_children_that_fall_with_the_first_one_are_one_restart():
    world = World(spec("rest_for_one", *["permanent"] * 3, max_restarts=1)).up()
    world.exit("a")
    world.exit("b")
    assert world.exit("c") == (Start("a", 2),)


@pytest.mark.parametrize(
    ("kind", "reason", "back"),
    [
        ("permanent", "normal", True),
        ("permanent", "error", True),
        ("transient", "normal", False),
        ("transient", "error", True),
        ("temporary", "normal", False),
        ("temporary", "error", False),
    ],
)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("running", [True, False])
def test_what_comes_back(strategy, kind, reason, back, running):
    world = World(spec(strategy, kind))
    if running:
        world.up()
    decisions = world.exit("a", reason)
    assert decisions == ((Start("a", 2),) if back else (Finished(),))


@pytest.mark.parametrize(("kind", "back"), [("permanent", True), ("transient", True), ("temporary", False)])
def test_a_child_stopped_for_a_sibling_comes_back_unless_it_is_temporary(kind, back):
    world = World(spec("one_for_all", "permanent", kind)).up()
    world.exit("a")
    world.obey()
    assert (Start("b", 2) in world.log) is back


def test_a_transient_child_that_is_done_stays_done_when_its_sibling_restarts_all():
    world = World(spec("one_for_all", "permanent", "transient")).up()
    world.exit("b", "normal")
    world.exit("a")
    world.obey()
    assert world.live == {"a": 2}


def test_a_transient_child_that_gets_done_while_it_waits_to_be_stopped_stays_done():
    world = World(spec("one_for_all", "permanent", "transient", "permanent")).up()
    world.exit("a")
    world.exit("b", "normal")
    world.obey()
    assert world.live == {"a": 2, "c": 2}


def test_a_stalled_child_is_stopped_and_comes_back_even_if_its_end_looks_normal():
    world = World(spec("one_for_one", "transient")).up()
    assert world.stall("a") == (Stop("a", 1),)
    assert world.stall("a") == ()
    assert world.exit("a", "normal") == (Start("a", 2),)


def test_a_stalled_child_takes_the_others_with_it_as_a_crashed_one_does():
    world = World(spec("one_for_all", "permanent", "permanent")).up()
    world.stall("a")
    assert world.exit("a") == (Stop("b", 1),)


def test_a_stall_counts_as_a_restart():
    world = World(spec("one_for_one", "permanent", max_restarts=0)).up()
    world.stall("a")
    assert isinstance(world.exit("a")[0], Escalate)


def test_a_stalled_child_that_goes_down_with_a_sibling_is_the_same_restart():
    world = World(spec("one_for_all", "permanent", "permanent", max_restarts=1)).up()
    world.stall("b")
    world.exit("a")
    assert world.exit("b") == (Start("a", 2),)


def test_the_last_restart_within_the_intensity_is_made_and_the_next_one_escalates():
    world = World(spec("one_for_one", "permanent", "permanent", max_restarts=2, window=10.0)).up()
    assert world.exit("a") == (Start("a", 2),)
    assert world.exit("a") == (Start("a", 3),)
    assert world.exit("a") == (Stop("b", 1),)
    (end,) = world.exit("b", "normal")
    assert end == Escalate("'a' ended, restart 3 in 10.0 s: max_restarts is 2")


@pytest.mark.parametrize(("at", "escalates"), [(10.0, True), (10.001, False)])
def test_a_restart_counts_up_to_and_including_the_end_of_its_window(at, escalates):
    world = World(spec("one_for_one", "permanent", max_restarts=1, window=10.0)).up()
    world.exit("a")
    world.now = at
    (decision,) = world.exit("a")
    assert isinstance(decision, Escalate) is escalates


def test_each_restart_within_the_window_waits_twice_as_long_up_to_the_most():
    world = World(spec("one_for_one", "permanent", max_restarts=5, backoff=0.05, max_backoff=0.3)).up()
    waits = [world.exit("a")[0].after for _ in range(5)]
    assert waits == pytest.approx([0.05, 0.1, 0.2, 0.3, 0.3])


def test_in_a_group_only_the_first_start_waits():
    world = World(spec("one_for_all", "permanent", "permanent", backoff=0.05)).up()
    world.exit("b")
    assert world.exit("a", "normal") == (Start("a", 2, 0.05),)
    assert world.start("a") == (Start("b", 2, 0.0),)


@pytest.mark.parametrize(("strategy", "stops"), [("one_for_one", 3), ("one_for_all", 1), ("rest_for_one", 1)])
def test_a_request_to_stop_goes_in_reverse_order(strategy, stops):
    world = World(spec(strategy, *["permanent"] * 3)).up()
    assert len(world.say(StopRequested())) == stops
    assert world.say(StopRequested()) == ()
    world.obey()
    assert world.log[3:] == [Stop("c", 1), Stop("b", 1), Stop("a", 1), Finished()]


def test_a_supervisor_that_gives_up_escalates_even_if_it_is_asked_to_stop_meanwhile():
    world = World(spec("one_for_one", "permanent", "permanent", max_restarts=0)).up()
    world.exit("a")
    assert world.say(StopRequested()) == ()
    assert isinstance(world.exit("b", "normal")[0], Escalate)


def test_a_child_that_is_being_killed_does_not_hold_up_the_stops_behind_it():
    world = World(spec("rest_for_one", *["permanent"] * 3)).up()
    world.stall("a")
    assert world.exit("b") == (Stop("c", 1),)


def test_a_child_that_waits_for_its_restart_can_be_stopped():
    world = World(spec("one_for_one", "permanent", backoff=1.0)).up()
    world.exit("a")
    assert world.say(StopRequested()) == (Stop("a", 2),)


def test_a_supervisor_without_children_is_finished():
    tree, decisions = begin(SupervisorSpec(()))
    assert decisions == (Finished(),)
    assert react(tree, StopRequested()) == (tree, ())


def test_two_children_of_one_name_are_refused():
    with pytest.raises(Bug, match="its own name"):
        SupervisorSpec((ChildSpec("a"), ChildSpec("a")))


# --- properties -------------------------------------------------------------------------------------

specs = st.builds(
    lambda kinds, strategy, most, window: spec(strategy, *kinds, max_restarts=most, window=window),
    st.lists(st.sampled_from(RESTARTS), min_size=1, max_size=4),
    st.sampled_from(STRATEGIES),
    st.integers(0, 4),
    st.sampled_from([0.5, 2.0, 5.0]),
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["start", "start", "obey", "normal", "error", "error", "stall", "wait", "stale", "stop"]),
        st.integers(0, 7),
    ),
    max_size=60,
)


def play(world: World, moves: list[tuple[str, int]], *, stops: bool = True) -> None:
    names = [child.name for child in world.spec.children]
    for move, number in moves:
        live = sorted(world.live)
        match move:
            case "wait":
                world.now += number / 4
            case "stop" if stops and number == 0:
                world.say(StopRequested())
            case "stale":
                before, name = world.tree, names[number % len(names)]
                stale = world.live.get(name, 1) - 1
                for event in (Exited(name, stale, "error", world.now), Started(name, stale), Stalled(name, stale, 0.0)):
                    assert world.say(event) == ()
                assert world.say(Exited("nobody", 1, "error", world.now)) == ()
                assert world.tree == before
            case "obey" if world.told_to_stop:
                world.exit(world.told_to_stop[number % len(world.told_to_stop)], "normal")
            case "start" if live:
                world.start(live[number % len(live)])
            case "stall" if live:
                world.stall(live[number % len(live)])
            case "normal" | "error" if live:
                world.exit(live[number % len(live)], move)
            case _:
                pass


@given(specs, steps)
def test_there_is_at_most_one_life_of_a_child_and_a_stale_word_changes_nothing(spec, moves):
    play(World(spec), moves)  # the world asserts it at every step


@given(specs, steps)
def test_lives_count_up_by_one_and_temporary_children_have_one(spec, moves):
    world = World(spec)
    play(world, moves)
    for child in spec.children:
        lives = [
            decision.life for decision in world.log if isinstance(decision, Start) and decision.child == child.name
        ]
        assert lives == list(range(1, len(lives) + 1))
        assert child.restart != "temporary" or len(lives) <= 1


@given(specs, st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.sampled_from(["normal", "error"]))))
def test_a_transient_child_that_ends_normally_by_itself_never_comes_back(spec, exits):
    world = World(spec).up()
    done: set[str] = set()
    for child, reason in exits:
        world.obey()
        if child not in world.live:
            continue
        world.exit(child, reason)
        kind = next(each.restart for each in spec.children if each.name == child)
        if kind == "temporary" or (kind == "transient" and reason == "normal"):
            done.add(child)
        assert not done & set(world.live)


@given(specs, st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 3, allow_nan=False)), max_size=30))
def test_failures_are_restarted_exactly_while_they_are_within_the_intensity(spec, failures):
    """Safety: no window holds more restarts than allowed. Liveness: the allowed ones are made."""
    world = World(spec).up()
    restarts: list[float] = []
    for child, pause in failures:
        world.now += pause
        if child not in world.live:
            continue
        kind = next(each.restart for each in spec.children if each.name == child)
        life = world.live[child]
        world.exit(child)
        world.obey()
        if kind == "temporary":
            assert child not in world.live
            continue
        allowed = sum(world.now - then <= spec.window for then in restarts) < spec.max_restarts
        if not allowed:
            assert isinstance(world.log[-1], Escalate)
            assert world.tree.mode == "over"
            return
        restarts.append(world.now)
        assert world.live[child] == life + 1
        assert world.tree.ready


@given(specs, steps, steps)
def test_after_a_request_to_stop_nothing_starts_and_everything_ends(spec, before, after):
    world = World(spec)
    play(world, before, stops=False)
    world.say(StopRequested())
    mark = len(world.log)
    play(world, after)
    world.obey()
    assert not world.live
    assert not any(isinstance(decision, Start) for decision in world.log[mark:])
    assert isinstance(world.log[-1], Finished | Escalate)


@given(specs, steps)
def test_the_end_is_said_once_and_is_the_last_word(spec, moves):
    world = World(spec)
    play(world, moves)
    ends = [index for index, decision in enumerate(world.log) if isinstance(decision, Finished | Escalate)]
    assert ends in ([], [len(world.log) - 1])
    assert bool(ends) is (world.tree.mode == "over")


@given(specs, steps)
def test_a_supervisor_never_hangs_if_its_children_obey(spec, moves):
    world = World(spec)
    play(world, moves)
    world.obey()
    assert world.tree.ready or world.tree.mode == "over"


@given(specs.filter(lambda spec: spec.strategy != "one_for_one"), steps)
def test_dependent_children_start_only_after_all_earlier_ones_are_up_and_stop_only_after_all_later_ones(spec, moves):
    world = World(spec)
    names = [child.name for child in spec.children]
    for move in moves:
        ready = set(world.ready)
        ended_before = {child.spec.name for child in world.tree.children if child.phase == "ended"}
        play(world, [move])
        for decision in world.last:
            if isinstance(decision, Start):
                earlier = names[: names.index(decision.child)]
                assert all(name in world.ready | ready or name not in world.live for name in earlier)
                assert not any(name in world.live and name not in world.ready for name in earlier)
            elif isinstance(decision, Stop) and world.tree.mode != "up" and move[0] != "stall":
                later = names[names.index(decision.child) + 1 :]
                assert not set(later) & set(world.live)
        assert ended_before <= {child.spec.name for child in world.tree.children if child.phase == "ended"}


@given(specs.filter(lambda spec: spec.strategy == "rest_for_one"), steps)
def test_rest_for_one_never_touches_a_child_before_the_one_that_failed(spec, moves):
    world = World(spec)
    names = [child.name for child in spec.children]
    for move in moves:
        before = dict(world.live)
        condemned = {child.spec.name for child in world.tree.children if child.phase in ("condemned", "stopping")}
        play(world, [move], stops=False)
        fallen = [name for name in names if name in before and name not in world.live]
        if world.tree.mode != "up" or not fallen:
            continue
        first = names.index(fallen[0])
        now = {child.spec.name for child in world.tree.children if child.phase in ("condemned", "stopping")}
        assert all(names.index(name) > first for name in now - condemned)
