"""Errors after which nothing was done: no session, a forbidden plan, a lock held.

Raised by `postgres`, `runner` and `repairs`; see `errors` for the rules. Fields are plain
values. What fails once work has begun is in `faults`.
"""

from typing import ClassVar

from migrate.errors import ExitCode, ExplainedError

# --- unreachable: no session; nothing was done ----------------------------------------


class Unreachable(ExplainedError):
    """No session could be had. Nothing was done."""

    exit_code = ExitCode.UNREACHABLE

    target: str
    reason: str

    def __str__(self) -> str:
        return f"no session with {self.target}: {self.reason}"


class ServerUnreachable(Unreachable):
    """The server did not answer: unknown host, refused port, time-out."""

    code = "unreachable"
    hint = (
        "see what the address needs with: python -m migrate doctor; a server that is still "
        "starting is waited for with --wait"
    )


class SocketMissing(Unreachable):
    """The address names a Unix socket directory in which no server listens."""

    code = "socket-missing"
    hint = (
        "on Cloud Run either mount the instance (--set-cloudsql-instances PROJECT:REGION:NAME), "
        "or use its private IP with a VPC connector or Direct VPC egress: "
        "postgresql://USER:PASSWORD@PRIVATE_IP:5432/DATABASE"
    )


class LoginRefused(Unreachable):
    """Wrong password, unknown role, or a login that pg_hba.conf does not allow."""

    code = "login-refused"
    hint = "check user and password; the secret's version may be an old one"


class ConnectDenied(Unreachable):
    """The role may not connect to this database, or may not log in at all."""

    code = "connect-denied"
    hint = (
        "as the owner: GRANT CONNECT ON DATABASE … TO …; or ALTER ROLE … LOGIN; "
        "the reason above says which"
    )


class DatabaseMissing(Unreachable):
    """The server has no database of that name."""

    code = "database-missing"
    hint = "create it with CREATE DATABASE, or correct the name in the address"


class ServerFull(Unreachable):
    """The server has no connection left."""

    code = "too-many-connections"
    hint = (
        "wait, or raise --wait; or raise max_connections, or the CONNECTION LIMIT of the "
        "role or database that the reason names"
    )


class ServerTooOld(Unreachable):
    """The server is older than the oldest supported version."""

    code = "server-too-old"
    hint = "PostgreSQL 14 or newer is needed"


class StringsNotStandard(Unreachable):
    """Text would mean something else here: where a string ends, and so a statement."""

    code = "strings-not-standard"
    hint = (
        "ALTER DATABASE … (or ROLE …) SET standard_conforming_strings = on; a migration"
        " that needs it off sets it off itself, above its first string"
    )


class StatementPooling(Unreachable):
    """A pooler in statement mode forbids transactions."""

    code = "statement-pooling"
    hint = "use the pooler's session or transaction mode, or the server's own port"


class ConnectionLost(Unreachable):
    """The session ended while nothing of a migration was at work in it."""

    code = "connection-lost"
    hint = "run the command again: nothing was in progress when the session ended"

    def __str__(self) -> str:
        return f"the session was lost: {self.reason}"


class TokenRefused(Unreachable):
    """The metadata server gave no token for IAM login."""

    code = "iam-token"
    hint = (
        "the job's service account needs roles/cloudsql.client and "
        "roles/cloudsql.instanceUser; outside Google Cloud use a password"
    )


# --- blocked: the database was only read ----------------------------------------------


class Blocked(ExplainedError):
    """Something forbids the plan. The database was only read."""

    exit_code = ExitCode.BLOCKED


class DriftBlocks(Blocked):
    """Directory and history disagree."""

    code = "drift"

    found: tuple[tuple[str, str, str], ...]  # (kind, version, detail)

    _CURES: ClassVar[dict[str, str]] = {
        "edited": "restore the file, or accept the edit: python -m migrate repair {} --accept-edit",
        "missing": (
            "restore the file, its version spelled so, or forget the entry: "
            "python -m migrate repair {} --forget"
        ),
        "out of order": "give it a newer version, or apply it late: --out-of-order",
        "unfinished": "apply again: it resumes where it stopped",
    }

    def __str__(self) -> str:
        lines = [f"{detail} ({kind})" for kind, _, detail in self.found]
        return "directory and history disagree:\n" + "\n".join(f"  {t}" for t in lines)

    def advice(self) -> str:
        """Return one cure for each disagreement."""
        return "\n".join(
            f"{version}: {self._CURES[kind].format(version)}"
            for kind, version, _ in self.found
        )


class NotTogether(Blocked):
    """``--single-transaction`` was asked for, and one file cannot be in a transaction."""

    code = "not-together"
    hint = (
        "apply without --single-transaction; or, up to the version before it, with --to"
    )

    file: str
    version: str
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.file} cannot share one transaction with the others: {self.reason}"
        )


class ForeignHistory(Blocked):
    """A table of that name belongs to another tool."""

    code = "foreign-history"
    hint = (
        "leave it to its tool and keep our history in a schema of its own, adopted at the "
        "last version applied: python -m migrate baseline VERSION --schema migrations --yes"
    )

    table: str
    owner: str
    versions: str

    def __str__(self) -> str:
        return f"{self.table} is a history table of {self.owner} ({self.versions})"


class NewerHistory(Blocked):
    """The history table was upgraded by a newer release."""

    code = "newer-history"
    hint = "use the release that upgraded it, or a newer one"

    table: str
    layout: int
    known: int

    def __str__(self) -> str:
        return f"{self.table} has layout {self.layout}; this release knows up to {self.known}"


class ReadOnlyServer(Blocked):
    """The server, or the role's default, is read-only."""

    code = "read-only"
    hint = (
        "connect to the primary (target_session_attrs=read-write tries several hosts), or "
        "remove default_transaction_read_only from the role or database"
    )

    why: str

    def __str__(self) -> str:
        return f"this session cannot write: {self.why}"


class PrivilegeMissing(Blocked):
    """The role may not do what the history needs."""

    code = "privilege-missing"
    hint = "run as the owner: {grant}"

    privilege: str
    target: str
    role: str
    grant: str

    def __str__(self) -> str:
        return f"role {self.role} lacks {self.privilege} on {self.target}"


class HistoryRefused(Blocked):
    """The server refused to make, read or change the history."""

    code = "history-refused"
    hint = "what the server says is to be changed there; then run the command again"

    table: str
    reason: str

    def __str__(self) -> str:
        return f"the history {self.table} cannot be used: {self.reason}"


class NothingToUndo(Blocked):
    """``rollback`` names a version that cannot be undone."""

    code = "cannot-undo"
    hint = "write its .down.sql beside it, or a new migration that mends forward"

    version: str
    reason: str

    def __str__(self) -> str:
        return f"version {self.version} cannot be rolled back: {self.reason}"


class NothingToRepair(Blocked):
    """``repair``, ``baseline`` or ``unlock`` was asked for something that is not there."""

    code = "nothing-to-repair"
    hint = "python -m migrate status shows what the history says"

    reason: str

    def __str__(self) -> str:
        return self.reason


class PooledSessionState(Blocked):
    """A non-transactional file sets session state, which a transaction pooler loses."""

    code = "pooled-session-state"
    hint = "connect without the pooler for this migration, or split the file"

    file: str
    line: int

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: sets session state for later statements, but the "
            "connection goes through a transaction pooler, which gives each its own session"
        )


# --- locked ---------------------------------------------------------------------------


class LockHeld(ExplainedError):
    """Another runner holds the lock of this history."""

    code = "locked"
    exit_code = ExitCode.LOCKED
    hint = (
        "wait for it, or give it longer with --lock-wait; "
        "if it is dead: python -m migrate unlock"
    )

    holder: str

    def __str__(self) -> str:
        return f"another runner is at work: {self.holder}"
