"""Errors about statements that are good SQL and have no place in a migration.

Raised by `parse` and `postgres.checks`, before anything is applied; see `errors` for the
rules. Fields are plain values.
"""

from migrate.errors import SourceError


class CopyToClient(SourceError):
    """``COPY … TO STDOUT`` sends rows to whoever applies the file, and nobody keeps them."""

    code = "copy-to-client"
    hint = "remove the statement, or export with psql"

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: COPY … TO STDOUT has nowhere to send its rows"


class CheckEndsTransaction(SourceError):
    """A check begins or ends a transaction: it would commit or undo the migration."""

    code = "check-ends-transaction"
    hint = (
        "remove it: checks run inside the migration's transaction, which is ours to end"
    )

    file: str
    line: int
    statement: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: a check cannot hold {self.statement}"
