"""Shell: modules that say "Pure:" are. They await nothing, import no I/O, clock or chance, and reach no shell.

A module with code must say "Pure:" or "Shell:" in the first line of its docstring. Imports for the type checker only do
not count: they do not exist at run time.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import grimp

ROOT: Final = Path(__file__).resolve().parent.parent
IMPURE: Final = frozenset(
    """
    _thread aiohttp anthropic anyio asyncio concurrent ctypes fcntl glob httpx2 io logging mmap
    multiprocessing nats openai os queue random resource rich secrets select selectors shutil signal socket
    sqlite3 ssl structlog subprocess sys tempfile termios threading time typer urllib
    """.split()  # noqa: SIM905 - a list would take a line for each
)
PATH_IO: Final = frozenset(
    """
    absolute chmod cwd exists expanduser glob hardlink_to home is_dir is_file is_symlink iterdir lstat mkdir
    open read_bytes read_text readlink rename resolve rglob rmdir samefile stat symlink_to touch unlink walk
    write_bytes write_text
    """.split()  # noqa: SIM905 - as above
)
OWN_METHOD: Final = re.compile(r"(self\.)?\w+")
CALLS: Final = frozenset(
    {"breakpoint", "datetime.now", "datetime.today", "datetime.utcnow", "date.today", "input", "open", "print"}
    | {"datetime.datetime.now", "datetime.datetime.today", "datetime.datetime.utcnow", "datetime.date.today"}
)
WAITS: Final = (ast.Await, ast.AsyncFor, ast.AsyncWith)


def kind_of(tree: ast.Module) -> str:
    """``Pure`` or ``Shell`` as the docstring says, ``empty`` for a module without code, else ``""``."""
    if not tree.body:
        return "empty"
    head = (ast.get_docstring(tree) or "").partition(":")[0]
    return head if head in {"Pure", "Shell"} else ""


def imported(node: ast.AST) -> Iterator[str]:
    """The dotted names that one statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def for_types_only(tree: ast.Module) -> set[ast.AST]:
    """Everything under ``if TYPE_CHECKING:``."""
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {node for block in blocks for statement in block.body for node in ast.walk(statement)}


def impurities(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """What a pure module must not do, with its line. A ``Path`` may be passed on as a value; its I/O is for shells."""
    types_only = for_types_only(tree)
    paths = any("pathlib.Path" in imported(node) for node in ast.walk(tree))
    for node in ast.walk(tree):
        if isinstance(node, WAITS):
            yield node.lineno, "awaits"
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in CALLS or (paths and name.rpartition(".")[2] in PATH_IO and not OWN_METHOD.fullmatch(name)):
                yield node.lineno, f"calls {name}"
        elif isinstance(node, (ast.Import, ast.ImportFrom)) and node not in types_only:
            impure = (name for name in imported(node) if name.partition(".")[0] in IMPURE)
            yield from ((node.lineno, f"imports {name}") for name in impure)


def reached_shells(kinds: Mapping[str, str]) -> Iterator[str]:
    """Pure modules from which a chain of imports leads to a shell."""
    graph = grimp.build_graph("callboard", exclude_type_checking_imports=True, cache_dir=None)
    shells = {name for name, kind in kinds.items() if kind == "Shell"}
    for name in sorted(name for name, kind in kinds.items() if kind == "Pure"):
        for shell in sorted(graph.find_upstream_modules(name) & shells):
            chain = graph.find_shortest_chain(importer=name, imported=shell) or (name, shell)
            yield f"{name} says Pure and reaches a shell: {' -> '.join(chain)}"


def module_name(path: Path) -> str:
    """``callboard/bus/__init__.py`` as ``callboard.bus``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def main() -> int:
    """Print what is not pure; 1 if anything is."""
    sys.path.insert(0, str(ROOT))
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "callboard").rglob("*.py"))}
    kinds = {module_name(path): kind_of(tree) for path, tree in trees.items()}
    found = [f"{name}: its docstring must begin with Pure: or Shell:" for name, kind in kinds.items() if not kind]
    for path, tree in trees.items():
        if kind_of(tree) == "Pure":
            found += [f"{path.relative_to(ROOT)}:{line}: says Pure and {what}" for line, what in impurities(tree)]
    found += reached_shells(kinds)
    print("\n".join(found) or f"{list(kinds.values()).count('Pure')} pure modules of {len(kinds)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
