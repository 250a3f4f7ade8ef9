from collections.abc import Iterator

import pytest

from tests.support.bus import SESSION


@pytest.fixture(scope="session", autouse=True)
def _session_bus() -> Iterator[None]:
    """End the nats-server of this worker process, if a test has started it."""
    yield
    SESSION.stop()
