from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.bus.codec import (
    DEPTH,
    RECORD_BYTES,
    TASK_BYTES,
    TASK_DEPTH,
    canonical,
    decode_record,
    decode_task,
    encode,
    event_types,
    is_by,
    run_key,
)
from callboard.bus.messages import (
    KNOWN,
    Amount,
    Content,
    Parent,
    Problem,
    Record,
    Resume,
    RunCreated,
    RunKilled,
    SignalReceived,
    Task,
    ToolReturned,
    UnknownEvent,
)
from callboard.bus.subjects import RunKey, TaskAddress
from callboard.errors import InvalidMessage

AT = datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)
ADDRESS = TaskAddress("t", "a", "normal")
TOKENS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
EVENTS = st.one_of(
    st.builds(RunKilled, reason=st.text(), by=st.text(), parent=st.none() | TOKENS),
    st.builds(SignalReceived, name=TOKENS, value=JSON),
    st.builds(
        ToolReturned,
        call=st.text(),
        result=st.builds(Content, value=JSON),
        problem=st.none() | st.builds(Problem, kind=st.text(), message=st.text()),
    ),
    st.builds(RunCreated, agent=TOKENS, at=st.just(AT), input=st.builds(Content, value=JSON), spec=JSON),
)
RECORDS = st.builds(
    Record,
    id=TOKENS,
    owner=st.text(),
    at=st.none() | st.just(AT),
    events=st.lists(EVENTS, min_size=1, max_size=3).map(tuple),
)


def reason(payload: bytes) -> str:
    with pytest.raises(InvalidMessage) as caught:
        decode_record(payload)
    return caught.value.reason


@settings(max_examples=300, deadline=None)
@given(RECORDS)
def test_a_record_comes_back_as_it_was(record):
    assert decode_record(encode(record)) == record


@settings(max_examples=200, deadline=None)
@given(st.builds(Task, input=JSON, run=st.none() | TOKENS, parent=st.none() | st.builds(Parent, run=TOKENS)))
def test_a_task_comes_back_as_it_was(task):
    assert decode_task(encode(task)) == task


def test_a_resume_task_comes_back_as_it_was():
    assert decode_task(encode(Resume(resume=7, run="r"))) == Resume(resume=7, run="r")


@given(TOKENS, TOKENS, TOKENS)
def test_an_entry_says_at_its_beginning_whose_it_is(record, mine, other):
    payload = encode(Record(id=record, owner=mine, at=AT, events=(RunKilled(reason=f'"owner":"{other}"'),)))
    assert is_by(payload, mine)
    assert is_by(payload, other) == (other == mine)
    assert not is_by(encode(Record(id=record, at=AT, events=(RunKilled(reason=f'"owner":"{mine}"'),))), mine)
    assert not is_by(payload, "")


@pytest.mark.parametrize(
    "payload",
    [
        b'{"owner":"o1","type":"run.killed"}',
        b'{"type":"signal.received","name":"go","value":{"owner":"o1"}}',
        b'{"v":1,"id":"a","events":[{"type":"signal.received","name":"go","value":{"owner":"o1"}}]}',
        b'{"v":1,"id":"a","at":"2026-11-21T12:00:00+00:00","events":[{"type":"run.killed","owner":"o1"}]}',
        b'{"v":1,"id":"a","owner":"o1',
        b'"owner":"o1"',
    ],
)
def test_what_somebody_else_writes_about_an_owner_is_not_by_it(payload):
    assert is_by(b'{"v":1,"id":"a","owner":"o1","events":[]}', "o1")
    assert not is_by(payload, "o1")
    assert not is_by(b'{"v":1,"id":"a","owner":"","events":[]}', ""), "nobody is its owner"


def test_an_encoded_record_is_compact_and_keeps_its_types():
    record = Record(id="a", events=(RunKilled(), RunKilled(reason="x")))
    assert encode(record) == (b'{"v":1,"id":"a","events":[{"type":"run.killed"},{"type":"run.killed","reason":"x"}]}')


def test_an_event_of_a_newer_version_is_kept_whole():
    record = decode_record(b'{"id":"a","events":[{"type":"run.teleported","to":"mars"}]}')
    assert record.events == (UnknownEvent(type="run.teleported", to="mars"),)
    assert decode_record(encode(record)) == record


def test_the_header_names_known_types_only():
    record = Record(id="a", events=(RunKilled(), UnknownEvent(type="x\r\nNats-Rollup: all")))
    assert event_types(record) == "run.killed,unknown"


@pytest.mark.parametrize("kind", sorted(KNOWN))
def test_no_default_of_an_event_is_lost_on_the_way(kind):
    model = KNOWN[kind]
    needed = {
        "at": AT, "agent": "a", "call": "c", "problem": Problem(kind="k", message="m"), "task": 1, "tool": "t",
        "policy": "ask", "timer": "t", "child": "c", "text": "t", "outcome": "failed", "name": "n", "decision": "done",
        "guard": "g", "more": Amount(),
    }  # fmt: skip
    event = model(**{name: needed[name] for name, field in model.model_fields.items() if field.is_required()})
    assert decode_record(encode(Record(id="a", events=(event,)))).events == (event,)


def test_a_bare_event_is_a_record_whose_id_depends_on_content_and_sequence():
    kill = b'{"type":"run.killed","reason":"why"}'
    record = decode_record(kill, sequence=5)
    assert record.events == (RunKilled(reason="why"),)
    assert record == decode_record(kill, sequence=5)
    assert len({record.id, decode_record(kill, sequence=6).id, decode_record(kill + b" ", sequence=5).id}) == 3
    assert decode_record(b'{"events":[{"type":"run.killed"}]}', sequence=9).id.startswith("9-")


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "bad_json"),
        (b"nonsense", "bad_json"),
        (b"\xff\xfe", "bad_json"),
        (b"\xef\xbb\xbf{}", "bad_json"),
        (b'{"type":"run.killed","reason":NaN}', "bad_json"),
        (b'{"type":"signal.received","name":"a","value":-Infinity}', "bad_json"),
        (b'{"type":"signal.received","name":"a","value":1e999}', "bad_json"),
        (b'{"type":"run.killed","reason":"\\ud800"}', "bad_json"),
        (b'{"type":"run.killed","\\uDFFF":1}', "bad_json"),
        (b'{"type":"run.killed","type":"run.steered"}', "bad_json"),
        (b'{"type":"signal.received","name":"a","value":' + b"9" * 5000 + b"}", "bad_json"),
        (b'{"type":"signal.received","name":"a","value":' + b"[" * 150 + b"]" * 150 + b"}", "bad_json"),
        (b"[" * 200_000, "bad_json"),
        (b'"' + b"x" * 1_000_000 + b'"', "too_large"),
        (b"[]", "bad_shape"),
        (b"null", "bad_shape"),
        (b"{}", "bad_shape"),
        (b'{"type":"run.killed","reason":5}', "bad_shape"),
        (b'{"events":[]}', "bad_shape"),
        (b'{"events":{}}', "bad_shape"),
        (b'{"events":[{}]}', "bad_shape"),
        (b'{"id":"a b","events":[{"type":"run.killed"}]}', "bad_shape"),
        (b'{"id":"a*","events":[{"type":"run.killed"}]}', "bad_shape"),
        (b'{"id":"","events":[{"type":"run.killed"}]}', "bad_shape"),
        (b'{"v":"1","events":[{"type":"run.killed"}]}', "bad_shape"),
        (b'{"v":true,"events":[{"type":"run.killed"}]}', "bad_shape"),
        (b'{"v":0,"events":[{"type":"run.killed"}]}', "bad_shape"),
    ],
)
def test_what_is_no_record_has_a_reason(payload, why):
    assert reason(payload) == why


@pytest.mark.parametrize(
    "payload", [b'{"v":2,"events":[{"type":"run.killed"}]}', b'{"v":2,"id":7,"something":"else","events":5}']
)
def test_a_record_of_a_newer_version_says_its_version_and_nothing_else(payload):
    record = decode_record(payload, sequence=3)
    assert record.v == 2
    assert [event.type for event in record.events] == ["unknown"]


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "\ud800", {"a": float("-inf")}], ids=["nan", "inf", "surrogate", "nested"]
)
def test_nothing_is_encoded_that_would_not_decode(value):
    with pytest.raises(InvalidMessage) as caught:
        encode(Record(id="a", events=(SignalReceived.model_construct(name="n", value=value),)))
    assert caught.value.reason == "bad_json"
    with pytest.raises(InvalidMessage):
        canonical(value)


def test_text_that_looks_like_nan_or_an_escape_is_only_text():
    for value in ("NaN", "Infinity", "\\ud800", "😀", ["["] * 500):
        record = Record(id="a", owner="😀", events=(SignalReceived(name="n", value=value),))
        assert decode_record(encode(record)) == record


def test_the_limits_of_depth_and_size_are_exact():
    def nested(depth: int) -> object:
        value: object = 1
        for _ in range(depth):
            value = [value]
        return value

    encode(Task(input=nested(TASK_DEPTH - 1)))
    with pytest.raises(InvalidMessage, match="deeper"):
        encode(Task.model_construct(input=nested(TASK_DEPTH)))
    deep = b'{"input":' + b"[" * TASK_DEPTH + b"]" * TASK_DEPTH + b"}"
    with pytest.raises(InvalidMessage, match="deeper"):
        decode_task(deep)
    signal = SignalReceived(name="n", value=nested(DEPTH - 3))
    assert decode_record(encode(Record(id="a", events=(signal,)))).events == (signal,)
    with pytest.raises(InvalidMessage, match="deeper"):
        encode(Record(id="a", events=(signal.model_copy(update={"value": nested(DEPTH - 2)}),)))
    frame = len(encode(Task(input="")))
    assert len(encode(Task(input="x" * (TASK_BYTES - frame)))) == TASK_BYTES
    with pytest.raises(InvalidMessage, match="object store"):
        encode(Task(input="x" * (TASK_BYTES - frame + 1)))
    frame = len(encode(Record(id="a", events=(RunKilled(reason="x"),)))) - 1
    assert len(encode(Record(id="a", events=(RunKilled(reason="x" * (RECORD_BYTES - frame)),)))) == RECORD_BYTES
    with pytest.raises(InvalidMessage):
        encode(Record(id="a", events=(RunKilled(reason="x" * (RECORD_BYTES - frame + 1)),)))


def test_the_run_is_named_by_subject_or_body_and_both_must_agree():
    def key(address: TaskAddress, body: Task | Resume) -> RunKey:
        return run_key(address, body, sequence=7, stored_at=AT)

    named = TaskAddress("t", "a", "normal", "r1")
    assert key(named, Task(input=1)) == key(ADDRESS, Task(input=1, run="r1")) == RunKey("t", "r1")
    assert key(named, Task(input=1, run="r1", key="k")) == RunKey("t", "r1")
    assert key(ADDRESS, Resume(resume=1, run="r1")) == RunKey("t", "r1")
    with pytest.raises(InvalidMessage) as caught:
        key(named, Task(input=1, run="r2"))
    assert caught.value.reason == "run_conflict"


@given(st.text(min_size=1, max_size=256), st.text(min_size=1, max_size=256))
def test_an_idempotency_key_is_one_run_for_each_tenant_and_agent(one, two):
    def run(tenant: str, agent: str, key: str) -> str:
        body = Task(input=1, key=key)
        return run_key(TaskAddress(tenant, agent, "low"), body, sequence=1, stored_at=AT).run

    assert run("t", "a", one) == run("t", "a", one)
    assert (run("t", "a", one) == run("t", "a", two)) == (one == two)
    assert len({run("t", "a", one), run("u", "a", one), run("t", "b", one)}) == 3
    assert len(run("t", "a", one)) == 41


def test_without_a_name_the_run_is_named_by_where_its_task_was_stored():
    def run(sequence: int, at: datetime) -> str:
        return run_key(ADDRESS, Task(input=1), sequence=sequence, stored_at=at).run

    head, _, milliseconds = run(7, AT).partition("-")
    assert (head, int(milliseconds, 36)) == ("t7", round(AT.timestamp() * 1000))
    assert len({run(7, AT), run(8, AT), run(7, AT.replace(second=1))}) == 3


@given(JSON)
def test_equal_values_have_one_canonical_form(value):
    assert canonical(value) == canonical(value)
    assert canonical({"b": value, "a": 1}) == canonical({"a": 1, "b": value})
