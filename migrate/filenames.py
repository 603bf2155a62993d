"""The grammar of migration file names.

Called by `source` for every file of a directory, applied or not: so it knows nothing of
what is in them. docs/reference/file-format.md promises it.
"""

import re
from typing import NamedTuple

from migrate.errors import BadFileName
from migrate.migration import Kind

_VERSIONED = re.compile(r"([0-9]{1,18})_([A-Za-z0-9_-]+)\Z")
_REPEATABLE = re.compile(r"(R__)([A-Za-z0-9_-]+)\Z")


class FileName(NamedTuple):
    """A file name taken apart: ``role`` is "", "down" or "verify"."""

    version: str
    name: str
    kind: Kind
    role: str


def parse_file_name(file: str) -> FileName:
    """Take ``0001_name.sql``, ``0001_name.down.sql`` or ``R__name.sql`` apart.

    Raises `BadFileName`.
    """
    stem, dot, role = file.removesuffix(".sql").partition(".")
    if dot and role not in {"down", "verify"}:
        raise BadFileName(file=file)
    if match := _VERSIONED.match(stem):
        return FileName(match[1], match[2], Kind.VERSIONED, role)
    if (match := _REPEATABLE.match(stem)) and role != "down":
        return FileName(stem, match[2], Kind.REPEATABLE, role)
    raise BadFileName(file=file)
