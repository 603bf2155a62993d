"""Name the privilege that a refused statement lacked, and the GRANT that gives it.

Called by `diagnose`. The server names the object and leaves out the privilege and the
schema; what it says in another language than English is left as it stands. Pure.
"""

import re

from migrate.postgres.sql import identifier

_DENIED = re.compile(r"permission denied for ([a-z ]+?) (\S.*)\Z")
_NOT_OWNER = re.compile(r"must be owner of ([a-z ]+?) (\S.*)\Z")
_ROWS = {"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"}
_NEEDED = {
    "schema": "USAGE, CREATE",
    "database": "CREATE",
    "sequence": "USAGE, SELECT",
    "function": "EXECUTE",
    "procedure": "EXECUTE",
    "language": "USAGE",
    "type": "USAGE",
    "tablespace": "CREATE",
    "foreign server": "USAGE",
}
#: What GRANT calls TABLE.
_TABLES = {"table", "view", "materialized view", "foreign table"}


def missing_privilege(message: str, words: tuple[str, ...], role: str) -> str:
    """Return what to run as the owner; ``words`` begin with the statement's verb."""
    grantee = identifier(role)
    if found := _NOT_OWNER.match(message):
        kind, name = found[1], found[2]
        return (
            f"role {role} does not own {kind} {name}; run as its owner:"
            f" ALTER {kind.upper()} {identifier(name)} OWNER TO {grantee};"
            f" or GRANT the owner to {grantee};"
        )
    if not (found := _DENIED.match(message)):
        return f"role {role} lacks a privilege; its owner, or a superuser, can grant it"
    kind, name = found[1], found[2]
    if kind in _TABLES or (kind not in _NEEDED and words and words[0] in _ROWS):
        kind, privilege = "table", words[0] if words and words[0] in _ROWS else "ALL"
    else:
        privilege = _NEEDED.get(kind, "ALL")
    return (
        f"role {role} lacks {privilege} on {kind} {name}; run as its owner:"
        f" GRANT {privilege} ON {kind.upper()} {identifier(name)} TO {grantee};"
    )
