"""Shell: files below one directory and never outside of it. Standard library only: it is also a child process.

A path is walked component by component with ``O_NOFOLLOW`` from a descriptor of the root, so that ``..``, absolute
paths and symbolic links (also one that is put there meanwhile) lead nowhere. Links are refused even if they point
inside. Only regular files are read: what a name stands for is checked before it is opened and again afterwards, and
opening never blocks, so that a FIFO or a device neither hangs nor notices.

As a program it searches: a request as JSON on stdin, the answer as JSON on stdout. A regular expression can take for
ever inside one call that holds the interpreter's lock; a process can be killed.
"""

from __future__ import annotations

import errno
import fnmatch
import json
import os
import re
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO, Any

_LINE = 1 << 20
"""Bytes of a line that are looked at in one piece; a longer one counts as several pieces of the same line."""
_SNIFFED = 8_192
"""Bytes at the beginning of a file that decide whether it is text."""
_NAMED = {
    errno.ENOENT: ("not_found", "there is no such file or directory"),
    errno.ENOTDIR: ("not_found", "a part of it is not a directory"),
    errno.ELOOP: ("link", "it is or leads through a symbolic link, and links are not followed"),
    errno.EACCES: ("no_access", "no permission"),
    errno.ENAMETOOLONG: ("not_found", "the name is too long"),
}


class RefusedPath(Exception):
    """A path that is not read. ``kind`` is a short machine-readable word."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@contextmanager
def directory(root: str, path: str) -> Generator[int]:
    """A descriptor of the directory ``path`` below ``root``."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in _parts(path):
            with _named(path):
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                if stat.S_ISLNK(os.stat(part, dir_fd=descriptor, follow_symlinks=False).st_mode):
                    raise OSError(errno.ELOOP, "link")
                following = os.open(part, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = following
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def text_file(root: str, path: str) -> Generator[IO[bytes]]:
    """The regular text file ``path`` below ``root``."""
    *above, name = _parts(path) or [""]
    if not name:
        raise RefusedPath("not_a_file", f"{path!r} is a directory: name a file in it")
    with directory(root, "/".join(above)) as parent, _opened(parent, name, shown=path) as file:
        yield file


def lines_of(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Numbered pieces of lines, without holding more than one in memory."""
    number = 1
    while piece := file.readline(_LINE):
        yield number, piece
        number += piece.endswith(b"\n")


def entries(root: str, path: str, *, pattern: str) -> Iterator[dict[str, Any]]:
    """What lies in ``path`` and matches, in order. A pattern with ``/`` or ``**`` also looks into subdirectories."""
    deep = "/" in pattern or "**" in pattern
    plain = pattern.removeprefix("**/")
    with directory(root, path) as top:
        for below, directories, files, descriptor in os.fwalk(".", dir_fd=top):
            directories.sort()
            for name in sorted(directories + files):
                relative = os.path.normpath(f"{below}/{name}")
                if fnmatch.fnmatchcase(relative, pattern) or fnmatch.fnmatchcase(relative, plain):
                    yield {"path": shown(_joined(path, relative)), **_described(descriptor, name)}
            if not deep:
                return


def search(root: str, path: str, *, pattern: str, regex: bool, most: int) -> dict[str, Any]:
    """Lines that contain ``pattern``, below a directory or in one file; ``skipped`` counts what is no readable text."""
    try:
        expression = re.compile(pattern if regex else re.escape(pattern))
    except (re.error, RecursionError, OverflowError) as error:
        raise RefusedPath("bad_pattern", f"{pattern!r} is not a regular expression: {error}") from error
    matches: list[dict[str, Any]] = []
    skipped = 0
    for name in _files(root, path):
        try:
            with text_file(root, name) as file:
                for number, piece in lines_of(file):
                    line = piece.decode(errors="replace").rstrip("\r\n")
                    if expression.search(line) is None:
                        continue
                    if len(matches) == most:
                        return {"matches": matches, "more": True, "skipped": skipped}
                    matches.append({"path": shown(name), "line": number, "text": cut(line, 400)})
        except (RefusedPath, OSError):
            skipped += 1
    return {"matches": matches, "more": False, "skipped": skipped}


def cut(text: str, most: int) -> str:
    """At most ``most`` characters of ``text``, and a note if there were more."""
    return text if len(text) <= most else f"{text[:most]}… {len(text):,} characters in all, cut"


def shown(path: str) -> str:
    """A path as valid UTF-8; a name that is none cannot be opened under what is shown."""
    return os.fsencode(path).decode(errors="replace")


def _parts(path: str) -> list[str]:
    if path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise RefusedPath("outside_root", f"{path!r} is refused: give a path relative to the root, without `..`")
    return [part for part in path.split("/") if part not in {"", "."}]


@contextmanager
def _named(path: str) -> Generator[None]:
    try:
        yield
    except (OSError, UnicodeEncodeError) as error:
        number = error.errno if isinstance(error, OSError) else errno.ENOENT
        kind, reason = _NAMED.get(number or 0, ("unreadable", str(error)))
        raise RefusedPath(kind, f"{path!r}: {reason}") from error


@contextmanager
def _opened(parent: int, name: str, *, shown: str) -> Generator[IO[bytes]]:
    with _named(shown):
        _require_regular(os.stat(name, dir_fd=parent, follow_symlinks=False), shown)
        flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        file = open(name, "rb", opener=lambda name, mode: os.open(name, mode | flags, dir_fd=parent))  # noqa: SIM115  # closed below
    with file:
        _require_regular(os.fstat(file.fileno()), shown)
        if b"\0" in file.peek(_SNIFFED)[:_SNIFFED]:
            raise RefusedPath("binary_file", f"{shown!r} is a binary file, not text")
        yield file


def _require_regular(status: os.stat_result, path: str) -> None:
    kind = _kind(status)
    if kind == "link":
        raise OSError(errno.ELOOP, "link")
    if kind != "file":
        raise RefusedPath("not_a_file", f"{path!r} is not a regular file but a {kind}")


def _kind(status: os.stat_result) -> str:
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
    return kinds.get(stat.S_IFMT(status.st_mode), "device, pipe or socket")


def _described(directory: int, name: str) -> dict[str, Any]:
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return {"kind": "gone"}
    kind = _kind(status)
    return {"kind": kind, "size": status.st_size} if kind == "file" else {"kind": kind}


def _joined(path: str, name: str) -> str:
    return "/".join([*_parts(path), name])


def _files(root: str, path: str) -> Iterator[str]:
    """``path`` itself if it is a file, else every file below it, in order."""
    *above, name = _parts(path) or [""]
    with directory(root, "/".join(above)) as parent, _named(path):
        is_directory = not name or stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    if not is_directory:
        with text_file(root, path):  # named on purpose, it is an error if it cannot be read
            pass
        yield path
        return
    with directory(root, path) as top:
        for below, directories, files, _ in os.fwalk(".", dir_fd=top):
            directories.sort()
            for file in sorted(files):
                yield _joined(path, os.path.normpath(f"{below}/{file}"))


def _main() -> None:
    request = json.load(sys.stdin)
    try:
        answer = search(**request)
    except RefusedPath as refused:
        answer = {"refused": [refused.kind, str(refused)]}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    _main()
