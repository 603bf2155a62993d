"""The grammar of migration file names.

Called by `source` for every file of a directory, applied or not: so it knows nothing of
what is in them. docs/reference/file-format.md promises it.
"""

from typing import NamedTuple

from migrate.errors import BadFileName
from migrate.migration import REPEATABLE, VERSIONED, Kind

_LONGEST = 18  # digits: a version fits the server's bigint


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
    # String methods, no pattern: a thousand names are read at every start.
    stem, dot, role = file.removesuffix(".sql").partition(".")  # .SQL is no role
    version, _, name = stem.partition("_")
    if (not dot or role in {"down", "verify"}) and stem.isascii():
        if version.isdigit() and len(version) <= _LONGEST and _is_name(name):
            return FileName(version, name, VERSIONED, role)
        if stem.startswith("R__") and role != "down" and _is_name(name[1:]):
            return FileName(stem, name[1:], REPEATABLE, role)
    raise BadFileName(file=file)


def _is_name(text: str) -> bool:
    """Whether these are letters, digits, ``_`` and ``-``, of ASCII as the caller knows."""
    bare = text.replace("_", "").replace("-", "")
    return text != "" and (bare == "" or bare.isalnum())
