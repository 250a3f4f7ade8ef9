import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from callboard.errors import ToolError
from callboard.tools import execute, run_command, tool


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", maxsplit=1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


async def until(condition):
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110  # processes and threads announce nothing
            await anyio.sleep(0.005)


async def pids_in(file, count):
    await until(lambda: file.exists() and len(file.read_text().split()) == count)
    return [int(pid) for pid in file.read_text().split()]


# A shell, a child and a grandchild, all deaf to SIGTERM; each writes its pid.
FAMILY = """
trap '' TERM
echo $$ >> "$1"
sh -c 'trap "" TERM; echo $$ >> "$1"
sh -c "trap \\"\\" TERM; echo \\$\\$ >> \\"$1\\"; sleep 60; sleep 60"; true' x "$1" &
wait; sleep 60
"""


async def test_a_command_gets_its_input_and_gives_its_output_and_status(context):
    script = "cat; echo wrong >&2; exit 3"
    result = await run_command(["sh", "-c", script], context=context(), input="grüße")
    assert (result.code, result.stdout, result.stderr) == (3, "grüße", "wrong\n")


async def test_a_command_runs_where_and_with_what_it_is_told(context, tmp_path):
    argv = ["/bin/sh", "-c", 'pwd; echo "$NAME"']
    result = await run_command(argv, context=context(), cwd=tmp_path, env={"NAME": "value"})
    assert result.stdout == f"{tmp_path.resolve()}\nvalue\n"


async def test_a_command_that_does_not_read_its_input_is_fine(context):
    result = await run_command(["true"], context=context(), input=b"x" * 1_000_000)
    assert result.code == 0


async def test_output_beyond_the_limit_is_cut_and_says_so(context):
    result = await run_command(["head", "-c", "3000000", "/dev/zero"], context=context(), keep=10)
    assert result.stdout == "\0" * 10 + "… 3,000,000 bytes in all, cut"


@pytest.mark.parametrize("argv", [["/no/such/program"], ["/etc/passwd"], ["a\0b"]])
async def test_a_command_that_cannot_start_is_a_tool_error(context, argv):
    with pytest.raises(ToolError) as caught:
        await run_command(argv, context=context())
    assert caught.value.kind == "not_started"


@pytest.mark.parametrize("how", ["timeout", "deadline", "cancellation"])
async def test_a_stop_kills_the_whole_group_down_to_deaf_grandchildren(context, tmp_path, how):
    file = tmp_path / "pids"
    argv = ["sh", "-c", FAMILY, "sh", str(file)]
    limits = {"timeout": (2.0, 30.0), "deadline": (None, 2.0), "cancellation": (None, 30.0)}
    timeout, deadline = limits[how]
    problems = []

    async def run():
        try:
            await run_command(argv, context=context(deadline=deadline), timeout=timeout)
        except ToolError as error:
            problems.append(error.kind)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        pids = await pids_in(file, 3)
        assert all(alive(pid) for pid in pids)
        if how == "cancellation":
            group.cancel_scope.cancel()
    assert not any(alive(pid) for pid in pids)
    assert problems == ([] if how == "cancellation" else ["timeout"])


async def test_what_a_command_leaves_in_the_background_ends_with_it(context, tmp_path):
    file = tmp_path / "pids"
    script = 'sleep 60 & echo $! > "$1"; echo done'
    began = time.monotonic()
    result = await run_command(["sh", "-c", script, "sh", str(file)], context=context())
    assert result.stdout == "done\n"
    assert time.monotonic() - began < 10
    assert not alive(int(file.read_text()))


async def test_a_process_that_left_the_group_does_not_hold_the_call_up(context, tmp_path):
    file = tmp_path / "pids"
    script = (
        'setsid sh -c \'echo $$ > "$1"; exec sleep 60\' sh "$1" & while [ ! -s "$1" ]; do sleep 0.01; done; echo done'
    )
    result = await run_command(["sh", "-c", script, "sh", str(file)], context=context())
    assert result.stdout == "done\n"
    os.kill(int(file.read_text()), signal.SIGKILL)


async def test_a_subprocess_tool_dies_at_the_timeout_of_the_tool(context, tmp_path):
    file = tmp_path / "pids"
    deadline = context()

    @tool(timeout=1.0)
    async def family():
        await run_command(["sh", "-c", FAMILY, "sh", str(file)], context=deadline)

    assert (await execute(family, {}, deadline)).problem_kind == "timeout"
    assert not any(alive(int(pid)) for pid in file.read_text().split())


def test_a_command_dies_with_the_process_that_started_it(tmp_path):
    file = tmp_path / "pid"
    program = f"""
import anyio
from callboard.tools import ToolContext, run_command

async def main():
    context = ToolContext(run="r", tenant="t", call="c", key="k", deadline=60.0)
    await run_command(["sh", "-c", "echo $$ > {file}; exec sleep 60"], context=context)

anyio.run(main)
"""
    process = subprocess.Popen([sys.executable, "-c", program])
    [pid] = anyio.run(pids_in, file, 1)
    assert alive(pid)
    process.kill()
    process.wait()
    anyio.run(until, lambda: not alive(pid))
