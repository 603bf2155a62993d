"""Statements by name from a .sql file, and PostgreSQL's quoting rules.

Called by the modules of `postgres`. Composes nothing but names and literals.
"""

import functools
import os


@functools.cache
def named_statements(file: str) -> dict[str, str]:
    """Return the statements of a file beside this one, by the ``-- name:`` above each."""
    path = os.path.join(os.path.dirname(__file__), file)
    with open(path, encoding="utf-8") as stream:
        _, *parts = f"\n{stream.read()}".split("\n-- name: ")
    named = (part.partition("\n") for part in parts)
    return {name: body.strip() for name, _, body in named}


def identifier(name: str) -> str:
    """Quote a name."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | int | None) -> str:
    """Quote a value as a literal that reads the same under every setting."""
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    quoted = value.replace("'", "''").replace("\\", "\\\\")
    return f" E'{quoted}'" if "\\" in value else f"'{quoted}'"
