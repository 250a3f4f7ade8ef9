"""Whatever is published, the codec answers with a message or InvalidMessage, and no adapter dies."""

import json
import random
from collections import Counter
from collections.abc import Callable

import anyio

from callboard.bus.bus import open_bus
from callboard.bus.codec import decode_record, decode_task, encode
from callboard.bus.messages import KNOWN, VERSION, Record, Resume, RunSteered, Task
from callboard.bus.subjects import RunKey, TaskAddress
from callboard.errors import InvalidMessage
from tests.support.bus import bus_url, fresh_bus

CASES = 24_000
NAMES = sorted({name for model in KNOWN.values() for name in model.model_fields} | {"events", "v", "id", "owner",
    "input", "run", "key", "resume", "deadline", "parent", "depth"})  # fmt: skip
RAW = ("NaN", "1e999", "-1e999", "9" * 400, "9" * 5000, "-0", "1e400", '"\\ud800"', '"\\u0000"', '"*"', '">"', '"a.b"',
    '"' + "x" * 300 + '"', "[" * 90 + "]" * 90, "[" * 500 + "]" * 500, '{"a":1,"a":2}', '"2026-11-21T00:00:00Z"',
    '"2026-11-21"', "1e18", "253402300800", '"9999-12-31T23:59:59-23:59"', "true", "null", "{}", "[]",
    '"é😀"')  # fmt: skip


def value(chance: random.Random, depth: int = 0) -> str:
    pick = chance.random()
    if pick < 0.5 or depth > 3:
        return chance.choice(RAW)
    if pick < 0.6:
        return str(chance.choice((0, 1, -1, 2**31, 2**63, 2**64, 10**30, 1.5)))
    if pick < 0.7:
        return json.dumps(chance.choice(sorted(KNOWN)))
    if pick < 0.85:
        return "[" + ",".join(value(chance, depth + 1) for _ in range(chance.randrange(3))) + "]"
    return thing(chance, depth + 1)


def thing(chance: random.Random, depth: int = 0) -> str:
    fields = [f'"{chance.choice(NAMES)}":{value(chance, depth + 1)}' for _ in range(chance.randrange(6))]
    if chance.random() < 0.6:
        fields.append(f'"type":{json.dumps(chance.choice(sorted(KNOWN)))}')
    return "{" + ",".join(fields) + "}"


def payload(chance: random.Random) -> bytes:
    kind = chance.random()
    if kind < 0.1:
        return chance.randbytes(chance.randrange(60))
    if kind < 0.4:
        text = f'{{"v":{chance.choice(("1", "1", "2", value(chance)))},"events":[{thing(chance)}]}}'
    elif kind < 0.6:
        text = f'{{"input":{value(chance)},{thing(chance)[1:-1] or chr(34) + "x" + chr(34) + ":1"}}}'
    else:
        text = thing(chance)
    data = bytearray(text.encode())
    for _ in range(chance.choice((0, 0, 0, 1, 3))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def refusal(decode: Callable[[bytes], Record | Task | Resume], data: bytes) -> str:
    """Empty for a message, which must then survive a round trip."""
    try:
        message = decode(data)
    except InvalidMessage as error:
        return error.reason
    newer = isinstance(message, Record) and message.v > VERSION  # is not read further, so it is not written either
    assert newer or decode(encode(message)) == message, data
    return ""


def test_every_payload_is_a_message_or_an_invalid_message_and_messages_encode_again():
    chance = random.Random(20261121)
    seen: Counter[str] = Counter()
    for _ in range(CASES):
        data = payload(chance)
        seen[refusal(decode_record, data)] += 1
        seen[refusal(decode_task, data)] += 1
    assert set(seen) == {"", "bad_json", "bad_shape"}
    assert min(seen.values()) > CASES / 100, seen


async def test_a_queue_and_a_journal_full_of_garbage_lose_nothing_that_is_good():
    chance = random.Random(7)
    key = RunKey("default", "r1")
    async with fresh_bus() as made, open_bus(bus_url(), subjects=made.subjects, name="x") as bus:
        sent = []
        for number in range(300):
            await made.publish(f"{made.subjects.prefix}.task.default.triage.normal", payload(chance))
            await made.publish(made.subjects.run(key), payload(chance))
            if number % 30 == 0:
                sent.append(await bus.tasks.publish(TaskAddress("default", "triage", "normal"), Task(input="good")))
                await bus.journals.signal(key, Record(id=f"good{number}", events=(RunSteered(text="x"),)))
        await made.publish(f"{made.subjects.prefix}.task.default.triage.normal", b"[" * 1_000_000)
        await made.barrier()
        seen = set()
        with anyio.fail_after(30):
            while not set(sent) <= seen:
                for held in await bus.tasks.pull("triage", "normal", batch=50, wait=0.2):
                    seen.add(held.sequence)
                    await held.acknowledge()
        entries = await bus.journals.read(key)
        assert len(entries) == 310
        assert sum(1 for entry in entries if entry.record and entry.record.id.startswith("good")) == 10
        assert all(entry.problem or entry.record for entry in entries)
        assert {letter.reason for letter in await bus.graveyard.letters(400)} >= {"bad_json", "bad_shape"}
