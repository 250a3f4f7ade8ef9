"""Shell: ``python -m tests.simulation --seed 1234 --trace`` replays a world, ``--seeds 100000 --jobs 2`` plays many."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.simulation.outcome import Outcome
from tests.simulation.runner import failures, replay_command
from tests.simulation.verdict import judge
from tests.simulation.world import play

_CHUNK = 250


def show(outcome: Outcome) -> None:
    """The plan, what happened, and the journals."""
    print(f"scenario {outcome.scenario.name}\n{outcome.plan}\n")
    for at, who, what, *about in outcome.trace:
        print(f"{at:9.4f} {who:12} {what:14}", *about)
    for key, entries in outcome.journals.items():
        print(f"\n{key}")
        for entry in entries:
            assert entry.record is not None
            for event in entry.record.events:
                fields = event.model_dump(mode="json", exclude_defaults=True)
                fields.pop("spec", None)
                print(f"  {entry.sequence:5} {entry.record.owner[:6]:6} {event.type:16} {fields}")


def one(seed: int, *, trace: bool) -> int:
    """Replay ``seed``."""
    outcome = play(seed)
    if trace:
        show(outcome)
    wrong = judge(outcome)
    for line in wrong:
        print(line)
    shown = f"seed {seed} ({outcome.scenario.name}): {outcome.seconds:.2f} virtual s, {outcome.steps} steps"
    print(f"{shown}, {outcome.digest[:16]}, {'wrong' if wrong else 'fine'}")
    return 1 if wrong else 0


def many(first: int, count: int, *, jobs: int) -> int:
    """Play ``count`` worlds from ``first`` on."""
    begun, done, wrong = time.monotonic(), 0, 0
    with ProcessPoolExecutor(jobs) as pool:
        starts = range(first, first + count, _CHUNK)
        chunks = {pool.submit(failures, range(at, min(at + _CHUNK, first + count))) for at in starts}
        for chunk in as_completed(chunks):
            found = chunk.result()
            done += _CHUNK
            wrong += len(found)
            for seed, lines in found.items():
                print(f"\n{replay_command(seed)}\n  " + "\n  ".join(lines))
            speed = done / (time.monotonic() - begun)
            bar = "#" * (30 * done // count)
            print(
                f"\r[{bar:30}] {done}/{count} {speed:.0f} seeds/s, {wrong} wrong", end="", file=sys.stderr, flush=True
            )
    print(file=sys.stderr)
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    if given.seed is not None:
        return one(given.seed, trace=given.trace)
    return many(given.first, given.seeds, jobs=given.jobs)


if __name__ == "__main__":
    sys.exit(main())
