"""Make the files of a new migration.

Called by the command line. Writes into the migrations directory, never over a file.
"""

import os
import re
import time

from migrate.errors import BadFileName, UnreadableDirectory, masked
from migrate.filenames import parse_file_name
from migrate.migration import Kind

_TIMESTAMP_DIGITS = 14


def next_version(files: list[str], now: float) -> str:
    """Return the version after the newest, in the style of the newest: number or time."""
    versions = [
        parsed.version
        for file in files
        if (parsed := parse_file_name(file)).kind is Kind.VERSIONED
    ]
    newest = max(versions, key=int, default="0000")
    if len(newest) == _TIMESTAMP_DIGITS:
        stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(now))
        return max(stamp, str(int(newest) + 1))
    return str(int(newest) + 1).zfill(len(newest))


def new_migration(
    directory: str, name: str, companions: tuple[str, ...], now: float
) -> list[str]:
    """Create ``VERSION_name.sql`` and the companions asked for; return their paths.

    ``companions`` are of "down" and "verify". Raises `BadFileName` and
    `UnreadableDirectory`.
    """
    slug = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()
    if not slug or masked(name) != name:  # an address in the wrong place
        raise BadFileName(file=name)
    try:
        os.makedirs(directory, exist_ok=True)
        files = [f for f in os.listdir(directory) if f.endswith(".sql") and f[0] != "."]
        version = next_version(files, now)
        stem = f"{directory}/{version}_{slug}"
        texts = {f"{stem}.sql": f"-- migrate: description={' '.join(name.split())}\n\n"}
        for companion in companions:
            what = {"down": "Undoes", "verify": "Checks"}[companion]
            texts[f"{stem}.{companion}.sql"] = f"-- {what} {version}_{slug}.sql\n\n"
        for path, text in texts.items():
            with open(path, "x", encoding="utf-8") as stream:
                stream.write(text)
    except OSError as error:
        raise UnreadableDirectory(
            directory=directory, reason=error.strerror or ""
        ) from error
    return list(texts)
