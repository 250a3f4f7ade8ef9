import os
import socket
import time

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from callboard.errors import ConfigError
from callboard.tools import RESULT_LIMIT, cap, execute, file_tools


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "a.txt").write_text("one\ntwo\nthree\n")
    (root / "sub" / "b.log").write_text("two a.b\naxb\n")
    (root / "sub" / "deep" / "c.log").write_text("nothing")
    (tmp_path / "secret.txt").write_text("two secret")
    return root


@pytest.fixture
def call(root, context):
    tools = {each.spec.name: each for each in file_tools(root)}

    async def run(name, **arguments):
        with anyio.fail_after(30):
            return await execute(tools[name], arguments, context())

    return run


async def test_lines_are_read_from_where_to_where(call):
    result = await call("read_file", path="a.txt", start=2, lines=1)
    assert result.value == {"path": "a.txt", "start": 2, "end": 2, "text": "two", "more": True}
    result = await call("read_file", path="./sub/../a.txt".replace("sub/../", ""))
    assert result.value == {"path": "./a.txt", "start": 1, "end": 3, "text": "one\ntwo\nthree", "more": False}


async def test_reading_behind_the_end_and_empty_files_is_no_error(call, root):
    (root / "empty").touch()
    assert (await call("read_file", path="empty")).value["text"] == ""
    assert (await call("read_file", path="a.txt", start=9)).value["more"] is False


async def test_reading_on_from_the_end_gives_every_line_once(call, root):
    lines = [f"line {number} " + "ü" * (number % 700) for number in range(1_000)]
    (root / "long").write_text("\n".join(lines))
    found, start, more = [], 1, True
    while more:
        value = (await call("read_file", path="long", start=start, lines=2_000)).value
        assert not cap(value, RESULT_LIMIT).truncated
        found += value["text"].split("\n")
        start, more = value["end"] + 1, value["more"]
    assert found == lines


async def test_a_huge_line_is_cut_and_the_next_one_is_found(call, root):
    (root / "huge").write_bytes(b"x" * 5_000_000 + b"\nnext\n")
    value = (await call("read_file", path="huge")).value
    first, second = value["text"].split("\n")
    assert first == "x" * 2_000 + "… 5,000,001 bytes in all, cut"
    assert second == "next"


async def test_what_is_no_utf8_is_replaced(call, root):
    (root / "latin").write_bytes(b"gr\xfc\xdfe\r\n")
    assert (await call("read_file", path="latin")).value["text"] == "gr\ufffd\ufffde"


@pytest.mark.parametrize("name", ["read_file", "list_files", "search_text"])
@pytest.mark.parametrize(
    "path", ["..", "../secret.txt", "sub/../../secret.txt", "/etc/passwd", "//etc/passwd", "a.txt\0", "sub/../a.txt"]
)
async def test_a_path_that_leads_out_of_the_root_is_refused(call, name, path):
    arguments = {"pattern": "two"} if name == "search_text" else {}
    assert (await call(name, path=path, **arguments)).problem_kind == "outside_root"


@pytest.mark.parametrize("name", ["read_file", "list_files", "search_text"])
async def test_a_symbolic_link_is_refused_wherever_it_stands_in_the_path(call, root, name):
    (root / "out").symlink_to(root.parent)
    (root / "file").symlink_to(root.parent / "secret.txt")
    (root / "loop").symlink_to("loop")
    arguments = {"pattern": "two"} if name == "search_text" else {}
    for path in ("out", "out/secret.txt", "file", "loop", "out/root/a.txt"):
        result = await call(name, path=path, **arguments)
        assert result.problem_kind == "link", path
        assert result.value is None


async def test_links_are_listed_as_links_and_neither_walked_nor_searched(call, root):
    (root / "out").symlink_to(root.parent)
    (root / "file").symlink_to(root.parent / "secret.txt")
    entries = (await call("list_files", pattern="**/*")).value["entries"]
    assert {"path": "out", "kind": "link"} in entries
    assert not any("secret" in entry["path"] for entry in entries)
    matches = (await call("search_text", pattern="two")).value["matches"]
    assert [(match["path"], match["line"]) for match in matches] == [("a.txt", 2), ("sub/b.log", 1)]


@pytest.mark.parametrize("victim", ["sub", "a.txt"])
async def test_what_turns_into_a_link_between_check_and_open_never_leads_out(call, root, monkeypatch, victim):
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "b.log").write_text("secret")
    target = {"sub": outside, "a.txt": root.parent / "secret.txt"}[victim]
    stat = os.stat
    swapped = []

    def stat_then_swap(path, *args, **kwargs):
        found = stat(path, *args, **kwargs)
        if path == victim and not swapped:
            swapped.append(path)
            (root / victim).rename(root / "aside")
            (root / victim).symlink_to(target)
        return found

    monkeypatch.setattr(os, "stat", stat_then_swap)
    result = await call("read_file", path={"sub": "sub/b.log", "a.txt": "a.txt"}[victim])
    assert swapped == [victim]
    assert result.problem_kind in {"link", "not_found"}


async def test_pipes_devices_sockets_and_directories_are_refused_and_never_hang(call, root):
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        began = time.monotonic()
        for path in ("pipe", "socket", "sub", "."):
            assert (await call("read_file", path=path)).problem_kind == "not_a_file"
        assert (await call("search_text", pattern="two", path="pipe")).problem_kind == "not_a_file"
        assert (await call("search_text", pattern="two")).value["skipped"] == 2
        assert time.monotonic() - began < 20


async def test_a_binary_file_is_refused_and_skipped_by_the_search(call, root):
    (root / "binary").write_bytes(b"two\0two")
    result = await call("read_file", path="binary")
    assert result.problem_kind == "binary_file"
    assert (await call("search_text", pattern="two")).value["skipped"] == 1
    assert (await call("search_text", pattern="two", path="binary")).problem_kind == "binary_file"


@pytest.mark.parametrize("path", ["none", "a.txt/b", "sub/none/c", "x" * 300, "ü" * 200])
async def test_a_path_that_is_not_there_is_said_so(call, path):
    for name, arguments in (("read_file", {}), ("list_files", {}), ("search_text", {"pattern": "x"})):
        assert (await call(name, path=path, **arguments)).problem_kind == "not_found"


async def test_a_listing_shows_the_directory_or_with_two_stars_all_below(call):
    entries = (await call("list_files")).value["entries"]
    assert entries == [{"path": "a.txt", "kind": "file", "size": 14}, {"path": "sub", "kind": "directory"}]
    entries = (await call("list_files", pattern="**/*.log")).value["entries"]
    assert [entry["path"] for entry in entries] == ["sub/b.log", "sub/deep/c.log"]
    entries = (await call("list_files", path="sub", pattern="*.log")).value["entries"]
    assert [entry["path"] for entry in entries] == ["sub/b.log"]


async def test_a_long_listing_is_cut_and_a_name_that_is_no_utf8_is_shown(call, root):
    (root / os.fsdecode(b"sub/odd\xff")).touch()
    assert (await call("list_files", path="sub", pattern="odd*")).value["entries"][0]["path"] == "sub/odd\ufffd"
    for number in range(501):
        (root / "sub" / f"n{number}").touch()
    value = (await call("list_files", path="sub")).value
    assert (len(value["entries"]), value["more"]) == (500, True)


async def test_a_pattern_is_a_text_unless_it_is_declared_an_expression(call):
    found = (await call("search_text", pattern="a.b")).value["matches"]
    assert found == [{"path": "sub/b.log", "line": 1, "text": "two a.b"}]
    found = (await call("search_text", pattern="a.b", regex=True, path="sub")).value["matches"]
    assert [match["line"] for match in found] == [1, 2]
    assert (await call("search_text", pattern="(", regex=True)).problem_kind == "bad_pattern"
    assert (await call("search_text", pattern="(")).value["matches"] == []


async def test_a_search_ends_at_the_most_matches(call, root):
    (root / "many").write_text("needle\n" * 50)
    value = (await call("search_text", pattern="needle", max_matches=50)).value
    assert (len(value["matches"]), value["more"]) == (50, False)
    value = (await call("search_text", pattern="needle", max_matches=49)).value
    assert (len(value["matches"]), value["more"]) == (49, True)


async def test_an_expression_that_explodes_is_killed_while_the_loop_goes_on(root, context):
    (root / "evil").write_text("a" * 60 + "!")
    search = next(each for each in file_tools(root) if each.spec.name == "search_text")
    beats = []

    async def beat():
        while True:
            beats.append(time.monotonic())
            await anyio.sleep(0.01)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(beat)
            result = await execute(search, {"pattern": "(a+)+$", "regex": True}, context(deadline=1.0))
            group.cancel_scope.cancel()
    assert result.problem_kind == "timeout"
    assert len(beats) > 20


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(
    path=st.text() | st.lists(st.sampled_from(["..", ".", "", "sub", "a.txt", "out", "deep"])).map("/".join),
    start=st.integers(-1, 5),
    pattern=st.text(),
)
def test_any_path_and_pattern_give_a_value_or_a_structured_problem(root, context, path, start, pattern):
    if not (root / "out").is_symlink():
        (root / "out").symlink_to(root.parent)
    read, listing, _ = file_tools(root)
    for each, arguments in ((read, {"path": path, "start": start}), (listing, {"path": path, "pattern": pattern})):
        result = anyio.run(execute, each, arguments, context())
        assert result.problem_kind in {None, "bad_arguments", "outside_root", "link", "not_found", "not_a_file"}
        assert b"secret" not in to_json(result.value)


def test_a_root_that_is_no_directory_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match="give a directory that exists"):
        file_tools(tmp_path / "none")
