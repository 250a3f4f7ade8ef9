"""`make runaway` as somebody without a terminal sees it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_three_agents_that_misbehave_are_each_stopped_by_the_guard_that_is_there_for_it():
    ran = subprocess.run(
        [sys.executable, "-m", "examples.runaway"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout[-3_000:] + ran.stderr[-3_000:]
    lines = ran.stdout.splitlines()
    ends = {line.split()[0]: line.split(" by ")[-1] for line in lines if "■" in line}
    assert ends == {"looper": "loop", "spender": "budget", "hanger": "deadline"}
    told = [line.split() for line in lines if line.startswith("guards ")]
    assert {"nudge", "kill"} <= {words[3] for words in told if words[1:3] == ["looper", "loop"]}
    assert any(words[1:3] == ["spender", "budget"] for words in told)
