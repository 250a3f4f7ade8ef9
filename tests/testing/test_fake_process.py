"""The fake provider as a process, and the file it plays."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from callboard.errors import ConfigError
from callboard.testing import Fault, Rate, Reply, Tokens
from callboard.testing.__main__ import main
from callboard.testing.script_file import read_script

SCRIPT = """
replies:
  - text: hello
    thinking: hm
    calls:
      - {name: add, arguments: {a: 1}}
      - {name: add, arguments: '{"a":'}
    tokens: {input: 100, output: 10}
    stop: end
    pace: 1ms
  - {text: second}
faults:
  - {kind: rate, at: 1, retry_after: 2, retry_form: ms}
  - {kind: drop, at: [7, 8], between: [0, 10]}
prices:
  m: {input: 3, output: 15, cached: 0.3}
models: [m]
retired: [old]
limit: {requests: 100}
"""


def test_a_file_says_all_that_a_program_can() -> None:
    play = read_script(SCRIPT, "script.yaml")
    assert isinstance(play.replies, list)
    assert play.replies[0].tokens == Tokens(100, 10)
    assert play.replies[0].calls[1].arguments == '{"a":'
    assert (play.replies[0].pace, play.replies[1]) == (0.001, Reply("second"))
    assert play.faults[0] == Fault("rate", at=1, retry_after=2.0, retry_form="ms")
    assert play.faults[1].at == (7, 8)
    assert play.prices == {"m": Rate(3, 15, 0.3)}
    assert (play.models, play.retired) == (("m",), ("old",))
    assert play.limit is not None
    assert callable(read_script("{replies: [{text: a}], by_turn: true}", "x").replies)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "empty"), ("replies: [{txt: a}]", "txt"), ("replies: [{text: a}]\nfaults: [{kind: odd}]", "x.yaml:2")],
)
def test_what_is_wrong_in_the_file_is_said_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_script(text, "x.yaml")


@pytest.mark.parametrize("form", ["json", "text"])
def test_the_process_prints_its_address_and_at_the_end_its_bill(tmp_path: Path, form: str) -> None:
    script = tmp_path / "script.yaml"
    script.write_text(SCRIPT)
    command = [
        sys.executable,
        "-m",
        "callboard.testing",
        "--script",
        str(script),
        *(["--json"] if form == "json" else []),
    ]
    body = {"model": "m", "max_tokens": 10, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            url = json.loads(first)["url"] if form == "json" else first.split()[2]
            with httpx2.Client(base_url=url, timeout=60) as client:
                refused = client.post("/v1/messages", json=body)
                assert (refused.status_code, refused.headers["retry-after-ms"]) == (429, "2000")
                assert "message_stop" in client.post("/v1/messages", json=body).text
            process.send_signal(signal.SIGTERM)
            last, _ = process.communicate(timeout=60)
            assert process.returncode == 0
        finally:
            process.kill()
    if form == "json":
        assert json.loads(last)["bill"]["m"] == json.loads(last)["total"]
        assert json.loads(last)["total"]["usd_micros"] == 450
    else:
        assert "m: 1 calls, 100 + 0 cached" in last
        assert "$0.000450" in last


def test_a_wrong_file_ends_the_process_with_its_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "script.yaml"
    script.write_text("replies: 1")
    monkeypatch.setattr(sys, "argv", ["callboard.testing", "--script", str(script)])
    assert main() == 2
    assert "script.yaml:1" in capsys.readouterr().err
