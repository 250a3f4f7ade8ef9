"""What counts as the same call and the same outcome, what an answer repeats, and how results sound."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.bus.messages import Blob, Content, Problem
from callboard.guards.loop.declared import kinds_in
from callboard.guards.loop.fingerprint import asking_of, outcome_of, said_in, text_key, words_of
from callboard.guards.loop.known import Pieces, Sieve
from callboard.guards.loop.lineage import circle
from callboard.guards.loop.mood import mood_of
from callboard.guards.loop.repetition import repeated
from callboard.guards.loop.state import Person
from callboard.guards.loop.streaks import heard_again
from tests.guards.loop.trace import words

UUIDS = ("0b7e9c1a-3c55-4f0e-9d4e-0a4a8a1f2b3c", "ffffffff-aaaa-4bbb-8ccc-dddddddddddd")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def call_key(name, arguments):
    return asking_of(name, arguments).key


def known_with(pieces, marks):
    """What is known with these."""
    sieve = Sieve(pieces)
    sieve.add(marks)
    return sieve.pieces()


def seen(*outcomes):
    """What is known after these."""
    return known_with(Pieces(), [each for one in outcomes for piece in one.pieces for each in piece[:3]])


def outcome(value=None, *, problem="", arguments=None, blob=None):
    failed = Problem(kind="tool_error", message=problem) if problem else None
    return outcome_of(Content(value=value, blob=blob), failed, tool="f", arguments=arguments)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"n": 1.0}, {"n": 1}),
        ({"q": "to  be\n or"}, {"q": "to be or"}),
        ('{"a": 1, "b": 2}', {"b": 2, "a": 1}),
        ({"q": "x", "request_id": UUIDS[0]}, {"q": "x", "request_id": UUIDS[1]}),
        ({"at": "2026-11-21T09:13:07.123Z"}, {"at": "2026-11-21T09:14:31Z"}),
        ({"path": "/tmp/tmpab12cd34/x"}, {"path": "/tmp/tmpzz99yy88/x"}),
        ({"object": "<X at 0x7f0011223344>"}, {"object": "<X at 0x7f99aabbccdd>"}),
    ],
)
def test_calls_are_the_same_whatever_differs_by_itself(one, other):
    assert call_key("f", one) == call_key("f", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"day": "2026-11-21"}, {"day": "2026-11-22"}),
        ({"slot": "2026-11-21T10:00:00Z"}, {"slot": "2026-11-21T11:00:00Z"}),
        ({"id": UUIDS[0]}, {"id": UUIDS[1]}),
        ({"n": 1}, {"n": 1.5}),
        ({"q": "{not json"}, {"q": "{no json"}),
        ("{not json", "{no json"),
        ({"q": "x" * 5_000 + "one" + "y" * 5_000}, {"q": "x" * 5_000 + "two" + "y" * 5_000}),
    ],
)
def test_calls_differ_by_what_somebody_chose(one, other):
    assert call_key("f", one) != call_key("f", other)
    assert call_key("f", one) != call_key("g", one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("done at 2026-11-21 09:13:07", "done at 2026-11-22 10:00:00"),
        ("41 passed in 0.42s", "41 passed in 12 s"),
        ("bound to 127.0.0.1:54321", "bound to 127.0.0.1:40022"),
        ({"x": 1, "timestamp": 1_763_731_742}, {"timestamp": 1_763_731_999, "x": 1}),
        (f"order {UUIDS[0]}", f"order {UUIDS[1]}"),
        ("commit 3f2a9bc", "commit 9e8d7c6"),
        ("pid 4711 at 13:29:02", "pid 12 at 13:30:44"),
        ("window Save as, clock 9:05", "window Save as, clock 12:47"),
    ],
)
def test_outcomes_are_the_same_but_for_times_and_ids(one, other):
    assert outcome(one).same == outcome(other).same


def test_ids_tell_outcomes_of_different_calls_apart():
    assert outcome({"id": UUIDS[0]}).exact != outcome({"id": UUIDS[1]}).exact
    assert outcome({"id": UUIDS[0]}).same == outcome({"id": UUIDS[1]}).same


def test_the_shape_of_an_outcome_has_neither_numbers_nor_the_words_of_the_call():
    one = outcome("no file /a/b.py (try 3)", arguments={"path": "/a/b.py"})
    other = outcome("no file /c.py (try 14)", arguments={"path": "/c.py"})
    assert one.shape == other.shape
    assert one.same != other.same
    assert outcome("x 1", arguments="x").shape == outcome("y 2", arguments="y").shape


def test_an_error_is_what_it_says_first_and_a_traceback_what_it_says_last():
    long = [
        f"Error: it is not allowed to do this at all, in this place {'and there ' * 12}{tail * 90}" for tail in "ab"
    ]
    assert outcome(long[0]).shape == outcome(long[1]).shape
    assert outcome(long[0]).same != outcome(long[1]).same
    end = "\n  more of it" * 20 + "\nValueError: x"
    assert outcome(problem=f"Traceback: a{end}").shape == outcome(problem=f"Traceback: b{end}").shape


def test_long_results_count_by_head_tail_and_a_print_of_the_middle():
    text = "word " * 4_000
    assert outcome(text).same != outcome(text[:9_000] + "other" + text[9_005:]).same
    assert outcome(text).long
    assert outcome(text[:9_000] + "12:13" + text[9_000:]).same == outcome(text[:9_000] + "14:15" + text[9_000:]).same


def test_a_long_result_is_known_by_its_pieces_whatever_their_order():
    hits = [{"title": f"what {words(random.Random(n), 6)}", "url": f"https://{n}.test"} for n in range(9)]
    known = Sieve(seen(outcome({"results": hits})))
    assert known.new(outcome({"results": hits[7:2:-1]}).pieces) == (0, 0)
    another = {"title": "quite another thing", "url": "https://9.test"}
    other = outcome({"results": [*hits[:5], another]}).pieces
    assert known.new(other) == (51, 29), "the address's number is new, its words are not"


def test_a_piece_is_faint_without_its_numbers_or_the_words_of_the_call():
    filler = "a line that is always there and says nothing at all " * 5
    first = outcome(f"{filler}\nno such file: /a/b.py (12)", arguments={"path": "/a/b.py"})
    known = Sieve(seen(first))
    for text, arguments, expected in (
        ("no such file: /a/b.py (13)", {"path": "/a/b.py"}, (1, 0)),
        ("no such file: /other.py (12)", {"path": "/other.py"}, (1, 0)),
        ("no such file: /other.py (12)", {"path": "x"}, (1, 1)),
        ("no such file: /a/b.py (12)", {"path": "x"}, (0, 0)),
    ):
        fresh, novel = known.new(outcome(f"{filler}\n{text}", arguments=arguments).pieces)
        assert (bool(fresh), bool(novel)) == expected


def test_words_of_a_call_are_one_gap_however_many_they_are():
    shapes = {
        outcome(f"old_str `{old}` did not appear in a.py", arguments={"old": old, "path": "a.py"}).shape
        for old in ("one", "def two", "three more words here")
    }
    assert len(shapes) == 1
    assert outcome("unknown command 'f'").shape == outcome("unknown command 'q'", arguments="q").shape


def test_what_is_remembered_of_pieces_is_bounded_and_forgets_the_oldest():
    old, rest = [1], [(n * 2_654_435_761) % 2**32 for n in range(2, 22_000)]
    known = known_with(Pieces(), old)
    assert known_with(known, old) is known
    for piece in rest:
        known = known_with(known, [piece])
    assert Sieve(known).share(tuple(rest[-900:])) == 0
    assert not Sieve(known).has(1)
    assert len(known.young) + len(known.old) == 32_768


def test_what_a_person_says_again_keeps_most_of_its_words_and_what_is_new_does_not():
    text = "The summaries lack concrete figures for the price rules, and there is no report of the vendor about them."
    person = heard_again(Person(), said_in(text))

    def again(said):
        return heard_again(person, said_in(said)).again

    assert person.again == 0
    assert again(
        "Still: the summaries lack concrete figures for the price rules, and there is no report of the vendor."
    )
    assert again(text.replace(" ", "  "))
    assert not again("The parser reads a header that no queue of the tenant has ever written to it.")
    assert not again("Done.")


def test_what_persons_have_said_is_forgotten_after_a_dozen_others():
    person = heard_again(Person(), said_in("go on"))
    for n in range(12):
        person = heard_again(person, said_in(words(random.Random(n), 40)))
    assert person.again == 0
    assert len(person.lately) == 12
    assert max(map(len, person.lately)) <= 33
    assert heard_again(person, said_in("go on")).again == 0
    assert heard_again(person, person.lately[0]).again == 1


def test_few_words_count_by_twos_and_signs_of_other_scripts_one_by_one():
    assert len(words_of("go to the shelf")) == 3
    assert len(words_of("北京数据中心的主机")) == 8
    assert len(words_of(" ".join(f"word{chr(97 + n)}" for n in range(14)))) == 12
    assert set(words_of("same words here", of="f")) & set(words_of("same words here", of="g")) == set()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"command": "git status", "description": "Look"}, {"command": "git status", "description": "Look again"}),
        ({"reason": "it is about money"}, {"reason": "billing"}),
        ({"command": "ls", "timeout": 30}, {"command": "ls", "timeout": 90}),
    ],
)
def test_what_is_said_about_a_call_and_how_long_it_may_take_is_not_what_it_asks(one, other):
    assert call_key("f", one) == call_key("f", other)
    assert call_key("f", {"title": "a", "description": "b"}) != call_key("f", {"title": "a", "description": "c"})


def test_one_step_further_is_the_same_call_but_for_its_numbers_and_ids():
    one, other = (asking_of("f", {"page": n, "id": UUIDS[n]}) for n in (0, 1))
    assert (one.bare, one.key == other.key) == (other.bare, False)
    assert set(one.numbers) != set(other.numbers)


def test_of_a_failure_those_pieces_count_that_say_what_is_wrong():
    excerpt = "\n".join(f"{n}: {words(random.Random(n), 6)}" for n in range(9))
    failed = outcome(f"Error: old_string not found in the file\n{excerpt}\nPlease read it, this is how it looks now.")
    assert failed.mood == "bad"
    assert len(failed.said) == 1
    assert len(failed.pieces) > 9


@pytest.mark.parametrize("tool", ["scrape", "github.getFile", "mcp__web__fetch_page", "browser_open"])
def test_what_is_read_may_speak_of_failures(tool):
    page = "The login form of the shop failed in 2019. " + "It was written anew since then, by other people. " * 8
    assert outcome_of(Content(value=page), None, tool=tool, arguments={}).mood == "plain"
    assert outcome_of(Content(value=page), None, tool="run", arguments={}).mood == "bad"
    assert outcome_of(Content(value=f"Error: {page}"), None, tool=tool, arguments={}).mood == "bad"


def test_references_of_a_page_are_new_at_each_look_and_say_nothing():
    assert outcome("- button 'Save' [ref=e12]").same == outcome("- button 'Save' [ref=e977]").same


def test_content_in_the_object_store_counts_by_its_hash():
    blobs = [Blob(sha256=each * 64, size=40_000) for each in "ab"]
    assert outcome("preview", blob=blobs[0]).same != outcome("preview", blob=blobs[1]).same
    assert outcome("preview", blob=blobs[0]) == outcome("preview", blob=blobs[0])


@given(JSON, JSON)
def test_any_json_has_one_fingerprint(value, arguments):
    assert outcome(value, arguments=arguments) == outcome(value, arguments=arguments)
    assert call_key("f", arguments) == call_key("f", arguments)


@given(st.text(max_size=200))
def test_any_text_has_one_fingerprint(text):
    assert text_key(text) == text_key(f"  {text}\n")
    assert outcome(text) == outcome(text)


def test_deep_json_in_a_text_is_a_text():
    assert call_key("f", "[" * 4_000) == call_key("f", "[" * 4_000)


@pytest.mark.parametrize(
    ("text", "mood"),
    [
        ("ok", "good"), ('{"status":"created","error":null}', "good"), ("0 errors, all fine: done", "good"),
        ("Your command ran successfully and did not produce any output.", "good"),
        ("blue", "plain"), ("x" * 500, "plain"), ("pending", "waiting"), ("build: in progress", "waiting"),
        ("", "void"), ("null", "void"), ('""', "void"), ("(no output)", "void"),
        ("[]", "empty"), ("No matches found.", "empty"), ("false", "empty"), ("404 page not found", "empty"),
        ("Incorrect password", "bad"), ('{"status":401}', "bad"), ("cannot do that", "bad"),
        ("Error: " + "x" * 500, "bad"),
        ("x" * 500 + " 31 passed in 2.1s", "good"), ("x " * 300 + "1 failed, 3 passed", "bad"),
        ("lint fail 3s\nbuild in_progress 9s", "waiting"), ("1 row affected", "good"), ("unchanged", "good"),
        ('{"status":201}', "good"),
        ("HTTP 503: temporarily unavailable", "transient"), ("Too many requests", "transient"),
    ],
)  # fmt: skip
def test_a_result_sounds_as_it_reads(text, mood):
    assert mood_of(text, failed=False) == mood


def test_a_problem_is_bad_whatever_it_says_unless_it_will_pass():
    assert mood_of("ok", failed=True) == "bad"
    assert mood_of("", failed=True) == "bad"
    assert mood_of("timed out", failed=True) == "transient"


@pytest.mark.parametrize(
    "unit", ["I will try that again now. ", "Let me look\ninto this file.\n", "no good words here, "]
)
@pytest.mark.parametrize("cut", [0, 5])
def test_a_text_that_ends_in_the_same_words_over_and_over_is_seen(unit, cut):
    text = "Sure, here it is: " + unit * 60
    assert repeated(text[: len(text) - cut]) >= 20


def test_a_text_of_the_same_line_with_others_between_is_seen():
    lines = [f"The same line that says nothing at all.\n{n}\n" for n in range(60)]
    assert repeated("".join(lines)) == 60


@pytest.mark.parametrize(
    "text",
    [
        "short, short, short, short",
        "\n".join(f"| {n} | {n * 7 % 13} | ok |" for n in range(300)),
        "\n".join(f"{n}. item {n * n}: fine and well" for n in range(200)),
        "| --- | --- |\n" * 100,
        "0 0 0 0 0 0 0 0\n" * 100,
        "\n".join(f"    assert add({n}, {n + 1}) == {2 * n + 1}" for n in range(100)),
        "word " * 20 + "and then something else entirely follows, which no one has said before" * 1 + "." * 400,
        "}" * 600,
    ],
)
def test_lists_tables_rules_and_code_are_no_repetition(text):
    assert repeated(text) == 0


@given(st.integers(0, 10**6))
def test_prose_is_no_repetition(seed):
    rng = random.Random(seed)
    vocabulary = [f"w{chr(97 + n % 26)}{n}x" for n in range(80)]
    assert repeated(" ".join(rng.choice(vocabulary) for _ in range(400))) == 0


def test_tools_are_what_their_agent_declares():
    tools = [
        {"name": "look", "effect": "pure"}, {"name": "wait", "effect": "pure", "polls": True},
        {"name": "put", "effect": "idempotent"}, {"name": "delegate", "kind": "spawn"}, {"effect": "pure"}, 7,
    ]  # fmt: skip
    assert kinds_in({"tools": tools}) == {"look": "read", "wait": "poll", "put": "write", "delegate": "delegate"}
    assert kinds_in({"tools": 3}) == kinds_in(None) == kinds_in({}) == {}


@pytest.mark.parametrize(
    ("path", "times"),
    [("a", 1), ("abc", 1), ("aaa", 1), ("abab", 2), ("xababab", 3), ("abcabc", 2), ("abcdabcd", 2), ("abcb", 1)],
)
def test_a_circle_of_agents_is_counted(path, times):
    assert circle(tuple(path))[0] == times
