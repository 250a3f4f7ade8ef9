import pytest

from callboard.tools import ToolContext


@pytest.fixture
def context():
    def build(*, call="call-1", deadline=30.0):
        return ToolContext(run="run-1", tenant="default", call=call, key="key-1", deadline=deadline)

    return build
