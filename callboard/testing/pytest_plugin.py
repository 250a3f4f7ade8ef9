"""Shell: the fixture ``cassette``. In ``conftest.py``: ``pytest_plugins = ["callboard.testing.pytest_plugin"]``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from callboard.testing.cassette import from_lines
from callboard.testing.replay import Replayed, replayed


@pytest.fixture
def cassette(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str, str], Replayed]:
    """Play a recorded run again: ``cassette("desk.jsonl", "desk.yaml")``, both beside the test.

    The test fails if the agents ask their models something else than when it was recorded.
    """
    folder = request.path.parent

    def play(recording: str, config: str) -> Replayed:
        recorded = from_lines((folder / recording).read_text(encoding="utf-8"))
        with start_blocking_portal() as portal:
            run = portal.call(partial(replayed, recorded, folder / config, data_dir=tmp_path / recording))
        if run.differs:
            again = f"if it is meant: callboard runs record RUN {config} --to {recording}"
            pytest.fail(f"{recording}: {run.differs}\n\n{again}", pytrace=False)
        return run

    return play
