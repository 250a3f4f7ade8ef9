import sys

import pytest

from callboard.errors import ConfigError
from callboard.tools import Registry, file_tools, tool

SOURCE = """
from __future__ import annotations
from dataclasses import dataclass
from callboard.tools import tool

LOADED = []
LOADED.append(1)

@dataclass
class Item:
    id: int

@tool(effect="pure")
def lookup(item: Item) -> int:
    return len(LOADED)

@tool(name="lookup")
def other() -> None: ...

def plain(): ...

number = 5
"""


@pytest.fixture
def base(tmp_path):
    (tmp_path / "tools.py").write_text(SOURCE)
    return tmp_path


def rejected(reference, base):
    with pytest.raises(ConfigError) as caught:
        Registry().resolve([reference], base)
    return str(caught.value)


def test_only_what_is_named_is_there(base):
    registry = Registry(file_tools(base))
    resolved = registry.resolve(["read_file", "tools.py:lookup"], base)
    assert set(resolved) == {"read_file", "lookup"}
    with pytest.raises(TypeError):
        resolved["more"] = None


def test_a_file_is_loaded_once_and_files_of_one_name_stay_apart(base):
    (base / "sub").mkdir()
    (base / "sub" / "tools.py").write_text(SOURCE.replace("return len(LOADED)", "return -1"))
    first = Registry().resolve(["tools.py:lookup"], base)["lookup"]
    again = Registry().resolve(["./sub/../tools.py:lookup"], base)["lookup"]
    other = Registry().resolve(["sub/tools.py:lookup"], base)["lookup"]
    assert first is again
    assert (first(None), other(None)) == (1, -1)


def test_a_tool_of_an_installed_package_is_found(base, monkeypatch):
    (base / "package_of_tools").mkdir()
    (base / "package_of_tools" / "inner.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(base)
    assert set(Registry().resolve(["package_of_tools.inner:lookup"], base)) == {"lookup"}


def test_two_tools_of_one_name_are_refused(base):
    with pytest.raises(ConfigError, match=r"'tools.py:lookup' and 'tools.py:other' are both called 'lookup'"):
        Registry().resolve(["tools.py:lookup", "tools.py:other"], base)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("read_file", "'read_file' is not built in (there are: none)"),
        ("", "'' is not built in"),
        (":lookup", "write `file.py:function`"),
        ("tools.py:", "write `file.py:function`"),
        ("none.py:lookup", "there is no file"),
        ("tools.py:plain", "is a plain function: decorate it with @tool"),
        ("tools.py:number", "there is no tool 'number' in"),
        ("tools.py:none", "only: lookup, other"),
        ("no_such_package.inner:lookup", "cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"),
    ],
)
def test_a_reference_that_leads_nowhere_says_what_to_write(base, reference, message):
    assert message in rejected(reference, base)


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("import os\n\n1 / 0\n", 3, "ZeroDivisionError: division by zero"),
        ("x = 1\ndef broken(:\n", 2, "SyntaxError: invalid syntax"),
        ("import no_such_module\n", 1, "ModuleNotFoundError: No module named 'no_such_module'"),
        ("import sys\nsys.exit(2)\n", 2, "SystemExit: 2"),
        ("from callboard.tools import tool\n\n@tool\ndef f(x): ...\n", 3, "tool 'f': parameter 'x' has no type"),
        ("import json\njson.loads('{')\n", 2, "JSONDecodeError"),
    ],
)
def test_an_import_that_fails_names_file_line_and_reason(tmp_path, source, line, message):
    file = tmp_path / "broken.py"
    file.write_text(source)
    text = rejected("broken.py:f", tmp_path)
    assert f"cannot be imported: {file.resolve()}:{line}: " in text
    assert message in text
    assert not any(name.startswith("callboard_tools_broken") for name in sys.modules)


def test_a_file_that_failed_can_be_mended_and_loaded(tmp_path):
    (tmp_path / "mended.py").write_text("1 / 0")
    rejected("mended.py:lookup", tmp_path)
    (tmp_path / "mended.py").write_text(SOURCE)
    assert "lookup" in Registry().resolve(["mended.py:lookup"], tmp_path)


def test_the_decorator_keeps_what_the_worker_needs_to_know():
    @tool(polls=True, result_limit=10)
    def state() -> str:
        return ""

    assert (state.spec.polls, state.result_limit) == (True, 10)
