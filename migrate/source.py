"""The only reader of migration files.

Called by the runner. Lists a directory, computes checksums, opens files for the splitter.
Never writes.
"""

import errno
import hashlib
import os
import stat
from typing import BinaryIO

from migrate.errors import (
    DuplicateVersion,
    NoMigrations,
    OrphanFile,
    UnreadableDirectory,
    UnreadableFile,
)
from migrate.filenames import FileName, parse_file_name
from migrate.migration import VERSIONED, Migration, order

#: Small enough to come from Python's own memory: a thousand files are read at every start.
_BLOCK = 1 << 16
_BOM = b"\xef\xbb\xbf"


def read_directory(directory: str) -> list[Migration]:
    """Return the migrations of a directory in the order in which they are applied.

    Reads every file once, for its checksum. Files that do not end in ``.sql`` (or ``.SQL``,
    which is refused as a slip), hidden files and subdirectories are left alone. Raises
    `SourceError`.
    """
    try:
        with os.scandir(directory) as entries:
            files = sorted(
                e.name
                for e in entries
                if e.name[-4:].lower() == ".sql" and e.name[0] != "." and not e.is_dir()
            )
    except OSError as error:
        raise UnreadableDirectory(directory=directory, reason=_why(error)) from error
    ups: dict[int | str, tuple[str, FileName]] = {}
    companions: dict[str, dict[str, str]] = {}
    for file in files:
        parsed = parse_file_name(file)
        if parsed.role:
            companions.setdefault(_stem(file), {})[parsed.role] = file
            continue
        version = parsed.version
        key = int(version) if parsed.kind is VERSIONED else version
        if key in ups:
            raise DuplicateVersion(version=version, first=ups[key][0], second=file)
        ups[key] = (file, parsed)
    if not ups:
        raise NoMigrations(directory=directory)
    found = []
    for file, parsed in sorted(ups.values(), key=_place):
        beside = companions.pop(_stem(file), {}) if companions else {}
        found.append(_read(directory, file, parsed, beside))
    if companions:
        roles = next(iter(companions.values()))
        raise OrphanFile(file=next(iter(roles.values())))
    return found


def _place(found: tuple[str, FileName]) -> tuple[int, int, str]:
    return order(found[1].version)


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
        parsed.version,
        parsed.name,
        parsed.kind,
        path,
        checksum,
        size,
        lines,
        undo_path=f"{directory}/{beside['down']}" if "down" in beside else None,
        verify_path=f"{directory}/{beside['verify']}" if "verify" in beside else None,
    )


def _digest(path: str) -> tuple[str, int, int]:
    """Return (checksum, bytes, lines). Raises `UnreadableFile`."""
    try:
        handle = _opened(path, os.O_RDONLY)
        try:
            block = os.read(handle, _BLOCK)
            following = os.read(handle, _BLOCK)
            if following:
                return _digest_of(handle, block, following)
        finally:
            os.close(handle)
    except OSError as error:
        raise UnreadableFile(file=path, reason=_why(error)) from error
    # Almost every file is one block: a thousand of them are read at every start.
    text = block.removeprefix(_BOM)
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    lines = block.count(b"\n") + (block[-1:] not in {b"", b"\n"})
    return f"sha256:{hashlib.sha256(text).hexdigest()}", len(block), lines


def _opened(path: str, flags: int) -> int:
    """Open a regular file: a pipe or a device might never come to an end, or a beginning."""
    handle = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, "it is no regular file")


def _digest_of(handle: int, block: bytes, following: bytes) -> tuple[str, int, int]:
    """Return the same of a file of many blocks. A CRLF may lie across two."""
    digest = hashlib.sha256()
    size = lines = 0
    text, held = block.removeprefix(_BOM), b""
    while block:
        size += len(block)
        lines += block.count(b"\n")
        last = block[-1:]
        text = held + text
        held = b"\r" if last == b"\r" else b""
        if held:
            text = text[:-1]
        digest.update(text.replace(b"\r\n", b"\n") if b"\r" in text else text)
        block = text = following or os.read(handle, _BLOCK)
        following = b""
    digest.update(held)
    return f"sha256:{digest.hexdigest()}", size, lines + (last != b"\n")


def open_file(path: str) -> BinaryIO:
    """Open a migration file for reading. Raises `UnreadableFile`."""
    try:
        return open(path, "rb", buffering=0, opener=_opened)
    except OSError as error:
        raise UnreadableFile(file=path, reason=_why(error)) from error
