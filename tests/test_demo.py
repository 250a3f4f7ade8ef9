"""`make demo` as somebody without a terminal sees it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_a_run_survives_its_worker_and_a_runaway_is_killed_by_a_person():
    ran = subprocess.run(
        [sys.executable, "-m", "examples.demo"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout[-3_000:] + ran.stderr[-3_000:]
    assert "4 payments started: each bill was paid once" in ran.stdout
    assert ran.stdout.count("nothing new") == 5, "the guard must not end the run before the person does"
    assert "both held" in ran.stdout
