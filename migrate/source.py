"""The only reader of migration files.

Called by the runner. Lists a directory, computes checksums, opens files for the splitter.
Never writes.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from migrate.errors import (
    DuplicateVersion,
    NoMigrations,
    OrphanFile,
    UnreadableDirectory,
    UnreadableFile,
)
from migrate.filenames import FileName, parse_file_name
from migrate.migration import Kind, Migration, order

#: Small enough to come from Python's own memory: a thousand files are read at every start.
_BLOCK = 1 << 16
_BOM = b"\xef\xbb\xbf"


def read_directory(directory: str) -> list[Migration]:
    """Return the migrations of a directory in the order in which they are applied.

    Reads every file once, for its checksum. Files that do not end in ``.sql``, hidden
    files and subdirectories are left alone. Raises `SourceError`.
    """
    try:
        with os.scandir(directory) as entries:
            files = sorted(
                e.name
                for e in entries
                if e.name.endswith(".sql") and e.name[0] != "." and not e.is_dir()
            )
    except OSError as error:
        raise UnreadableDirectory(directory=directory, reason=_why(error)) from error
    ups: dict[tuple[int, int, str], tuple[str, FileName]] = {}
    companions: dict[str, dict[str, str]] = {}
    for file in files:
        parsed = parse_file_name(file)
        if parsed.role:
            companions.setdefault(_stem(file), {})[parsed.role] = file
            continue
        key = order(parsed.version)
        slot = (key[0], key[1], "" if parsed.kind is Kind.VERSIONED else key[2])
        if slot in ups:
            raise DuplicateVersion(
                version=parsed.version, first=ups[slot][0], second=file
            )
        ups[slot] = (file, parsed)
    if not ups:
        raise NoMigrations(directory=directory)
    found = []
    for slot in sorted(ups):
        file, parsed = ups[slot]
        beside = companions.pop(_stem(file), {})
        found.append(_read(directory, file, parsed, beside))
    if companions:
        roles = next(iter(companions.values()))
        raise OrphanFile(file=next(iter(roles.values())))
    return found


def _stem(file: str) -> str:
    return file.partition(".")[0]


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _read(
    directory: str, file: str, parsed: FileName, beside: dict[str, str]
) -> Migration:
    path = f"{directory}/{file}"
    checksum, size, lines = _digest(path)
    return Migration(
        version=parsed.version,
        name=parsed.name,
        kind=parsed.kind,
        path=path,
        checksum=checksum,
        size=size,
        lines=lines,
        undo_path=f"{directory}/{beside['down']}" if "down" in beside else None,
        verify_path=f"{directory}/{beside['verify']}" if "verify" in beside else None,
    )


def blocks(path: str) -> Iterator[bytes]:
    """Yield the bytes of a file in blocks of a megabyte. Raises `UnreadableFile`."""
    try:
        handle = _opened(path, os.O_RDONLY)
        try:
            while block := os.read(handle, _BLOCK):
                yield block
        finally:
            os.close(handle)
    except OSError as error:
        raise UnreadableFile(file=path, reason=_why(error)) from error


def _opened(path: str, flags: int) -> int:
    """Open a regular file: a pipe or a device might never come to an end, or a beginning."""
    handle = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, "it is no regular file")


def _digest(path: str) -> tuple[str, int, int]:
    """Return (checksum, bytes, lines). A CRLF may lie across two blocks."""
    digest = hashlib.sha256()
    size = lines = 0
    held = last = b""
    for block in blocks(path):
        text = held + block
        if not size:
            text = text.removeprefix(_BOM)
        size += len(block)
        lines += block.count(b"\n")
        last = block[-1:]
        held = b"\r" if text.endswith(b"\r") else b""
        if held:
            text = text[:-1]
        digest.update(text.replace(b"\r\n", b"\n") if b"\r" in text else text)
    digest.update(held)
    return f"sha256:{digest.hexdigest()}", size, lines + (last not in {b"", b"\n"})


def open_file(path: str) -> BinaryIO:
    """Open a migration file for reading. Raises `UnreadableFile`."""
    try:
        return open(path, "rb", buffering=0, opener=_opened)
    except OSError as error:
        raise UnreadableFile(file=path, reason=_why(error)) from error
