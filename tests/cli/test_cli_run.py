"""``callboard run`` and ``check`` as real processes."""

from __future__ import annotations

import gc
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest
from typer.testing import CliRunner

from callboard.bus.server import live_server
from callboard.cli.main import app, main
from tests.support.program import EXAMPLES, callboard, command, document, environment, wait_until

HELLO = str(EXAMPLES / "hello" / "agents.yaml")
TRIAGE = str(EXAMPLES / "triage" / "agents.yaml")
ETL = str(EXAMPLES / "etl" / "agents.yaml")
MODEL = "model: {provider: scripted, turns: [{text: x, delay: 30}]}"


def test_the_hello_example_prints_its_result_and_tells_the_run_on_stderr(tmp_path: Path) -> None:
    done = callboard("run", HELLO, "hello", "Ada", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Hello, Ada. This answer is in a journal on the bus.\n"
    assert "nats://127.0.0.1:" in done.stderr
    assert "data in .callboard" in done.stderr
    assert "hello done" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert (tmp_path / ".callboard").is_dir()
    assert live_server(tmp_path / ".callboard") is None


def test_the_triage_example_finds_the_failing_requests(tmp_path: Path) -> None:
    done = callboard("run", TRIAGE, "triage", "Which requests fail?", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "requests failed, most of them /checkout on pay-2" in done.stdout
    assert (tmp_path / "report.md").read_text().startswith("# Failing requests")
    assert "search_text(path=shop.log" in done.stderr


def test_the_triage_lead_joins_its_team(tmp_path: Path) -> None:
    told = document(callboard("run", TRIAGE, "lead", "Why?", "--json", cwd=tmp_path))
    assert told["status"] == "completed"
    assert "failed on pay-2. Slow: " in told["result"]


def test_the_etl_example_books_once(tmp_path: Path) -> None:
    done = callboard("run", ETL, "etl", "-", "--input-json", cwd=tmp_path, stdin='{"file": "orders.csv"}')
    assert json.loads(done.stdout) == {"booked": 4, "cents": 550}, done.stderr
    books = sqlite3.connect(tmp_path / "books.sqlite")
    assert books.execute("select count(*), sum(cents) from book").fetchone() == (4, 550)
    books.close()


def test_a_run_that_fails_ends_with_1_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("agents: {a: {model: {provider: scripted, turns: [{fail: {kind: auth}}]}}}")
    done = callboard("run", "a.yaml", "a", "x", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "a failed: model_auth" in done.stderr
    told = document(callboard("run", "a.yaml", "a", "x", "--json", cwd=tmp_path), code=1)
    assert (told["status"], told["result"]) == ("failed", None)
    assert told["why"].startswith("model_auth: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"agents: {{a: {{{MODEL}, sytem: x}}}}", r"a.yaml:1:"),
        ("agents: {a: {tools: ['nope.py:f']}}", "a.yaml:1:"),
        ("agents: [", "a.yaml:1:"),
        (f"agents: {{b: {{{MODEL}}}}}", "there is no agent 'a' in 'a.yaml': use b"),
    ],
)
def test_a_wrong_configuration_ends_with_2_and_no_traceback(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    done = callboard("run", "a.yaml", "a", "x", cwd=tmp_path)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())
    assert not (tmp_path / ".callboard").exists()


def test_wrong_usage_ends_with_2(tmp_path: Path) -> None:
    assert callboard("run", cwd=tmp_path).returncode == 2
    assert callboard("watch", cwd=tmp_path).returncode == 2
    done = callboard("run", HELLO, "hello", "{", "--input-json", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stderr)["error"]["type"] == "ConfigError"


def test_without_a_bus_commands_end_with_3_and_say_how_to_start_one(tmp_path: Path) -> None:
    done = callboard("runs", "list", cwd=tmp_path)
    assert done.returncode == 3
    assert "callboard up" in done.stderr


def test_ctrl_c_kills_the_run_and_prints_the_receipt(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"agents: {{a: {{{MODEL}}}}}")
    log = tmp_path / "log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            command("run", "a.yaml", "a", "x"),
            cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
        wait_until(lambda: "▶" in log.read_text())
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "■ killed" in shown
    assert "settled" in shown
    assert live_server(tmp_path / ".callboard") is None


def test_check_says_who_of_a_chain_is_asked_first(tmp_path: Path) -> None:
    chain = "{models: [{provider: scripted, name: one, turns: [{text: x}]}, openai/gpt-5], prefer: %s}"
    (tmp_path / "a.yaml").write_text(f"agents:\n  a: {chain % 'price'}\n  b: {chain % 'order'}\n")
    with chdir(tmp_path):
        told = CliRunner().invoke(app, ["check", "a.yaml"])
    assert told.exit_code == 0
    assert told.stdout.count("the cheapest first, of") == 1
    assert told.stdout.count("openai/gpt-5") == 2


def test_check_shows_agents_tools_and_limits(tmp_path: Path) -> None:
    done = callboard("check", TRIAGE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "search_text (pure)" in done.stdout
    assert "12 turns" in done.stdout


def test_the_schema_is_json_and_help_names_the_exit_codes(tmp_path: Path) -> None:
    assert document(callboard("schema", cwd=tmp_path))["additionalProperties"] is False
    told = callboard("--help", cwd=tmp_path)
    assert told.returncode == 0
    assert "Exit codes: 0 done" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "loads"),
    [
        ("--help", ""),
        ("runs --help", "pydantic"),
        ("submit --help", "pydantic"),
    ],  # typer reads a command's options with it
)
def test_help_loads_no_bus_no_event_loop_and_nothing_that_draws(arguments: str, loads: str) -> None:
    program = f"""
import sys
from callboard.cli.main import main
sys.argv = ["callboard", *{arguments.split()!r}]
try:
    main()
finally:
    heavy = "pydantic nats anyio asyncio structlog ruamel rich attr pygments markdown_it"
    print(*sorted(set(heavy.split()) & set(sys.modules)), file=sys.stderr)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Usage: callboard" in told.stdout
    assert told.stderr == f"{loads}\n"


@pytest.mark.parametrize(
    ("uses", "others"),
    [
        (
            "app.board app.serving cli.outcome cli.screen cli.tables",  # of a client
            "app.node actors.code actors.worker supervisors guards.catalogue guards.sidecar guards.chain",
        ),
        ("app.agents cli.tables cli.guard_tables cli.model_tables", "bus.client bus.connection"),  # of `check`
        ("app.embedded", "guards.rate guards.alerts"),  # few configurations have these
    ],
)
def test_nobody_loads_the_parts_of_others(uses: str, others: str) -> None:
    program = f"""
import sys
from importlib import import_module
for name in {uses.split()!r}:
    import_module(f"callboard.{{name}}")
print(*(name for name in {others.split()!r} if f"callboard.{{name}}" in sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"


def test_commands_do_not_look_for_garbage_while_they_import(monkeypatch: pytest.MonkeyPatch) -> None:
    before = gc.get_threshold()
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["callboard", "--help"])
    try:
        with pytest.raises(SystemExit):
            main()
        assert gc.get_threshold()[0] > before[0]
    finally:
        gc.set_threshold(*before)


def test_help_says_what_each_command_does_in_full() -> None:
    told = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    assert "supervisor, guards and worker are started, and ended, for you. Prints the result. up" in told
