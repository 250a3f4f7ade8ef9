import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.bus import SESSION

settings.register_profile("callboard", deadline=None)  # how fast the machine is proves nothing
settings.load_profile("callboard")


@pytest.fixture(scope="session", autouse=True)
def _session_bus() -> Iterator[None]:
    """End the nats-server of this worker process, if a test has started it."""
    yield
    SESSION.stop()


@pytest.fixture
def untraced():
    """On Python 3.11 a process that is traced hangs while an exception is pending for a thread in C code."""
    trace, trace_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    yield
    threading.settrace(trace_threads)
    sys.settrace(trace)
