"""Logs: one line per event, what is bound, and no secret in any shape."""

import base64
import json
import logging
import subprocess
import sys
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.errors import ConfigError
from callboard.log import REDACTED, Redactor, bind, bound, configure, get_logger

SECRET = 'k3y+/= "ü\\'
log = get_logger("callboard.test")


@pytest.fixture(autouse=True)
def _restore_logging():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    import structlog

    structlog.reset_defaults()


@pytest.fixture
def lines(capsys):
    configure(json=True, level="info", secrets=frozenset({SECRET}))

    def read():
        captured = capsys.readouterr()
        assert captured.out == ""
        return [json.loads(line) for line in captured.err.splitlines()]

    return read


def test_a_line_is_json_with_event_fields_level_logger_and_time(lines):
    log.info("task claimed", attempt=2, lane="high")
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "task claimed",
        "attempt": 2,
        "lane": "high",
        "level": "info",
        "logger": "callboard.test",
    }


def test_levels_below_the_configured_one_are_silent(lines):
    log.debug("quiet")
    log.warning("loud")
    log.error("louder")
    assert [line["level"] for line in lines()] == ["warning", "error"]


def test_configuring_again_replaces_what_was_set_before(lines):
    configure(json=True, level="debug")
    log.debug("once")
    assert len(lines()) == 1


def test_an_unknown_level_is_refused_with_the_levels_there_are():
    with pytest.raises(ConfigError, match=r"'loud': use one of debug, info, warning, error"):
        configure(json=True, level="loud")


def test_bound_fields_are_on_every_line_of_the_body_and_not_after_it(lines):
    with bound(run="r1", tenant="acme"):
        log.info("in")
        with bound(step="s", run="r2"):
            log.info("deeper")
        log.info("in again", tenant="override")
    log.info("out")
    shown = [{key: line.get(key) for key in ("run", "tenant", "step")} for line in lines()]
    assert shown == [
        {"run": "r1", "tenant": "acme", "step": None},
        {"run": "r2", "tenant": "acme", "step": "s"},
        {"run": "r1", "tenant": "override", "step": None},
        {"run": None, "tenant": None, "step": None},
    ]


async def test_what_a_task_binds_is_its_own_and_is_inherited_by_the_tasks_it_starts(lines):
    async def run(name):
        bind(run=name)
        async with anyio.create_task_group() as inner:
            inner.start_soon(step)

    async def step():
        await anyio.lowlevel.checkpoint()
        log.info("step")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, "r1")
        tasks.start_soon(run, "r2")
    log.info("after")
    shown = lines()
    assert sorted(line["run"] for line in shown[:2]) == ["r1", "r2"]
    assert "run" not in shown[2]


def test_other_libraries_take_the_same_way_with_what_is_bound(lines):
    with bound(run="r1"):
        logging.getLogger("nats.aio.client").error("nats: %s", f"lost {SECRET}")
    (line,) = lines()
    assert (line["event"], line["run"], line["logger"]) == (f"nats: lost {REDACTED}", "r1", "nats.aio.client")


def test_code_that_uses_structlog_itself_takes_the_same_way(lines):
    import structlog

    with bound(run="r1"):
        structlog.get_logger("mine").info("hello", token=SECRET)
    (line,) = lines()
    assert (line["event"], line["run"], line["token"], line["logger"]) == ("hello", "r1", REDACTED, "mine")


def refuse(message):
    raise ValueError(message)


def test_the_traceback_is_on_the_line_without_secrets(lines):
    try:
        refuse(f"refused {SECRET}")
    except ValueError:
        log.exception("call failed")
    (line,) = lines()
    assert "Traceback" in line["exception"]
    assert f"ValueError: refused {REDACTED}" in line["exception"]


def test_the_console_shows_fields_and_tracebacks_without_secrets(capsys):
    configure(json=False, level="info", secrets=frozenset({SECRET}))
    try:
        refuse(SECRET)
    except ValueError:
        log.exception("call failed", key=SECRET, run="r1")
    shown = capsys.readouterr().err
    assert "call failed" in shown
    assert "run=r1" in shown
    assert "Traceback" in shown
    assert SECRET not in shown
    assert shown.count(REDACTED) == 2


@dataclass
class Holder:
    key: str


class Broken:
    def __repr__(self):
        raise ValueError(SECRET)


def forms(secret):
    raw = secret.encode()
    yield secret
    yield base64.b64encode(raw).decode()
    yield base64.b64encode(raw).decode().rstrip("=")
    yield base64.urlsafe_b64encode(raw).decode()
    yield quote(secret, safe="")
    yield quote(secret, safe="").replace("%2B", "%2b").replace("%2F", "%2f")
    yield quote_plus(secret)
    yield json.dumps(secret)
    yield repr(secret)


@pytest.mark.parametrize("form", list(forms(SECRET)))
@pytest.mark.parametrize("wrap", [str, lambda x: {"a": [x, {"b": (x,)}]}, lambda x: {x: 1}, str.encode, lambda x: {x}])
def test_every_form_of_a_secret_is_redacted_wherever_it_stands(lines, form, wrap):
    event = "sent " + form
    log.info(event, value=wrap(f"<{form}>"))
    (line,) = lines()
    assert form not in json.dumps(line, ensure_ascii=False)
    assert form not in str(line)
    assert REDACTED in line["event"]
    assert REDACTED in str(line["value"])


def test_objects_are_shown_by_their_repr_without_secrets(lines):
    cyclic = [SECRET]
    cyclic.append(cyclic)
    log.info("objects", holder=Holder(SECRET), error=ValueError(SECRET), broken=Broken(), cyclic=cyclic)
    (line,) = lines()
    assert line["holder"] == f"Holder(key='{REDACTED}')"
    assert line["error"] == f"ValueError('{REDACTED}')"
    assert line["broken"] == "<Broken: repr raised ValueError>"
    assert "k3y" not in str(line)


def test_a_number_that_is_a_secret_is_redacted_and_other_values_keep_their_type():
    shown = Redactor(frozenset({"123456"}))(None, "info", {"pin": 123456, "n": 7, "f": 0.5, "t": True, "x": None})
    assert shown == {"pin": REDACTED, "n": 7, "f": 0.5, "t": True, "x": None}


def test_an_entry_that_cannot_be_rendered_says_where_it_is_and_nothing_of_itself(lines):
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if type(each).__module__ == "callboard.log"]  # pytest's own raise
    logging.getLogger("other").info("%d", SECRET)
    (line,) = lines()
    assert (line["event"], line["error"], line["logger"]) == ("an entry could not be rendered", "TypeError", "other")
    assert "test_log.py:" in line["at"]


def test_an_empty_secret_redacts_nothing():
    assert Redactor(frozenset({""}))(None, "info", {"event": "hello"}) == {"event": "hello"}


def test_of_two_secrets_the_longer_one_wins():
    shown = Redactor(frozenset({"abc", "abcdef"}))(None, "info", {"event": "x abcdef y abc"})
    assert shown == {"event": f"x {REDACTED} y {REDACTED}"}


secrets = st.text(st.characters(exclude_categories=("Cs",)), min_size=9, max_size=40).filter(
    lambda text: text not in REDACTED
)


@given(secrets, st.text("abc:", max_size=9), st.text("abc:", max_size=9))
def test_no_form_of_a_secret_survives_also_not_in_basic_authentication(secret, before, after):
    redact = Redactor(frozenset({secret}))
    together = base64.b64encode(f"{before}{secret}{after}".encode()).decode()
    shown = redact(None, "info", {"plain": f"{before}{secret}{after}", "basic": f"Basic {together}"})
    assert secret not in shown["plain"]
    assert REDACTED in shown["basic"]


def test_an_entry_is_readable_by_any_other_handler(caplog):
    with bound(run="r1"):
        log.warning("slow", seconds=2)
    assert caplog.records[0].getMessage() == "slow run='r1' seconds=2"


def test_importing_it_does_not_import_structlog():
    code = "import sys, callboard.log as log; log.get_logger('x').info('quiet'); assert 'structlog' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unconfigured_only_warnings_are_shown_and_stdout_stays_clean():
    code = "from callboard.log import get_logger as g; g('x').info('quiet'); g('x').warning('loud', run='r1')"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "loud run='r1'\n")
