"""Errors about what is right elsewhere and has no place in a migration.

Raised by `statements`, `parse` and `postgres.checks`, before anything is applied; see
`errors` for the rules. Fields are plain values.
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


class NulByte(SourceError):
    """The file holds a NUL byte: right in UTF-8, and in no text of PostgreSQL's."""

    code = "nul-byte"
    hint = (
        "remove it (a value of that kind is bytea: '\\x00'); where every other byte is one, "
        "the file is UTF-16: iconv -f UTF-16LE -t UTF-8 FILE"
    )

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place}: a NUL byte, which PostgreSQL takes in no text"


class BackslashCommand(SourceError):
    r"""The file holds a psql command; only ``\restrict`` and ``\unrestrict`` are accepted."""

    code = "backslash-command"
    hint = (
        "psql runs backslash commands, a server does not: write the SQL it stands for"
    )

    file: str
    line: int
    column: int
    command: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place}: psql command {self.command} cannot be applied"


class CannotBeTransactional(SourceError):
    """``transaction=true`` on a file that cannot be applied in one transaction."""

    code = "cannot-be-transactional"
    hint = "remove the directive, or move the statement to a file of its own"

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file} asks for one transaction, but {self.reason}"
