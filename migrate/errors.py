"""Every foreseen error of the engine: a stable code, an exit status, and what to do next.

Raised everywhere in ``migrate``, caught only by the faces (``cli``, ``run_migration``).
Imports nothing of the house, so that no ring can form; fields are plain values.
Anything that is not an `ExplainedError` is a bug and keeps its traceback.
"""

import enum
from typing import ClassVar, Self, dataclass_transform


class ExitCode(enum.IntEnum):
    """What is true after the process ended. A contract: never renumbered."""

    OK = 0
    BUG = 1
    USAGE = 2
    SOURCE = 3
    BLOCKED = 4
    LOCKED = 5
    UNREACHABLE = 6
    FAILED = 7
    NEEDS_REPAIR = 8
    PENDING = 9
    UNVERIFIED = 10


@dataclass_transform(kw_only_default=True, eq_default=False)
class ExplainedError(Exception):
    """An error that was foreseen.

    Subclasses declare their fields as annotations and get a keyword-only constructor for
    them. Not a dataclass: its decorator costs half a millisecond a class at every start
    (docs/decisions/0003-values-are-named-tuples.md).
    """

    code: ClassVar[str] = ""
    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    hint: ClassVar[str] = ""

    def __init__(self, **fields: object) -> None:
        """Keep the fields as attributes; the message is made from them by ``__str__``."""
        super().__init__()
        self.__dict__.update(fields)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by fields: ``Exception`` would pickle by positional arguments."""
        return _rebuild, (type(self), self.__dict__)

    def advice(self) -> str:
        """Return the hint with the error's own fields filled in."""
        return self.hint.format_map(self.__dict__)

    @classmethod
    def all(cls) -> list[type[Self]]:
        """Return every concrete error below this class, in order of definition."""
        found: list[type[Self]] = []
        for child in cls.__subclasses__():
            if child.code:
                found.append(child)
            found.extend(child.all())
        return found


def masked(text: str) -> str:
    """Return a text without what would be the secret of an address in it.

    What somebody typed is quoted to him; an address in the wrong place may be part of it.
    All goes up to the last ``@``, and all after ``password=``: too much rather than too
    little.
    """
    if "://" not in text and "=" not in text:
        return text
    import re  # noqa: PLC0415 - a mistake alone pays for it

    text = re.sub(r"(?s)://.*@", "://***@", text)
    return re.sub(r"(?is)((?:password|secret|_key)\s*=).*", r"\1***", text)


class QuotesInput:
    """What makes an error repeat what it was given without a secret in it."""

    def __init__(self, **fields: object) -> None:
        """Keep the fields, the texts among them masked."""
        kept = {k: masked(v) if isinstance(v, str) else v for k, v in fields.items()}
        super().__init__(**kept)


def _rebuild(kind: type[ExplainedError], fields: dict[str, object]) -> ExplainedError:
    return kind(**fields)


# --- source: a file is wrong; the database was not touched ----------------------------


class SourceError(QuotesInput, ExplainedError):
    """A migration file, or the directory, is wrong."""

    exit_code = ExitCode.SOURCE


class UnterminatedText(SourceError):
    """A quote, dollar quote, comment, block or COPY data section is never closed."""

    code = "unterminated"
    hint = "close it, or look above the line named: the opening may be a typing slip"

    file: str
    line: int
    column: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.what} begins here and is never closed"


class NotUtf8(SourceError):
    """The file is not valid UTF-8."""

    code = "not-utf8"
    hint = "convert it, for example: iconv -f LATIN1 -t UTF-8 FILE"

    file: str
    line: int
    column: int
    byte: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: byte 0x{self.byte:02x} is not UTF-8"


class UnreadableDirectory(SourceError):
    """The migrations directory cannot be read."""

    code = "unreadable-directory"
    hint = "name the directory with --dir or MIGRATE_DIR"

    directory: str
    reason: str

    def __str__(self) -> str:
        return f"migrations directory {self.directory!r} cannot be read: {self.reason}"


class UnreadableFile(SourceError):
    """A migration file cannot be read."""

    code = "unreadable-file"
    hint = "check its permissions"

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file} cannot be read: {self.reason}"


class NoMigrations(SourceError):
    """The directory holds no migration."""

    code = "no-migrations"
    hint = "create the first one with: python -m migrate new NAME"

    directory: str

    def __str__(self) -> str:
        return f"there is no migration in {self.directory!r}"


class BadFileName(SourceError):
    """A ``.sql`` file whose name fits no pattern."""

    code = "bad-file-name"
    hint = (
        "name it NNNN_name.sql or YYYYMMDDHHMMSS_name.sql (with .down.sql and .verify.sql "
        "beside it), or R__name.sql for a repeatable one; letters, digits, _ and -"
    )

    file: str

    def __str__(self) -> str:
        return f"{self.file!r} is not a migration's name"


class DuplicateVersion(SourceError):
    """Two files carry one version."""

    code = "duplicate-version"
    hint = "give one of them the next free version"

    version: str
    first: str
    second: str

    def __str__(self) -> str:
        return f"version {self.version} stands twice: {self.first} and {self.second}"


class OrphanFile(SourceError):
    """A ``.down.sql`` or ``.verify.sql`` without its migration."""

    code = "orphan-file"
    hint = "give it the same name as the migration it belongs to, or remove it"

    file: str

    def __str__(self) -> str:
        return f"{self.file} belongs to no migration in the directory"


class EmptyFile(SourceError):
    """The file holds no statement."""

    code = "empty-file"
    hint = "write a statement, or remove the file"

    file: str

    def __str__(self) -> str:
        return f"{self.file} holds no statement"


class UnknownDirective(SourceError):
    """A ``-- migrate:`` comment with a key that does not exist."""

    code = "unknown-directive"
    hint = "the directives are listed in docs/reference/file-format.md"

    file: str
    line: int
    directive: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        known = ", ".join(self.known)
        return f"{self.file}:{self.line}: unknown directive {self.directive!r} (known: {known})"


class BadDirective(SourceError):
    """A directive with a value that means nothing, or in a place where it has no effect."""

    code = "bad-directive"
    hint = "correct the comment at the head of the file"

    file: str
    line: int
    directive: str
    value: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: directive {self.directive}={self.value!r}: {self.reason}"


class UnmetRequirement(SourceError):
    """A ``requires`` directive names a version that is neither applied nor planned before."""

    code = "unmet-requirement"
    hint = "add the migration it names, or correct the directive"

    file: str
    required: str

    def __str__(self) -> str:
        return f"{self.file} requires version {self.required}, which is not applied before it"


# --- usage: nothing was contacted -----------------------------------------------------


class UsageError(QuotesInput, ExplainedError):
    """The command, or a setting, is wrong. Nothing was contacted."""

    exit_code = ExitCode.USAGE


class BadArguments(UsageError):
    """The command line cannot be understood."""

    code = "bad-arguments"
    hint = "{usage}"

    reason: str
    usage: str

    def __str__(self) -> str:
        return self.reason


class BadDatabaseUrl(UsageError):
    """The database address cannot be read. The message never quotes it."""

    code = "bad-database-url"
    hint = "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or key=value pairs"

    reason: str

    def __str__(self) -> str:
        return f"the database address cannot be read: {self.reason}"


class NoDatabaseUrl(UsageError):
    """No database was named."""

    code = "no-database-url"
    hint = (
        "set DATABASE_URL, or pass --database-url, or --env local for the embedded one"
    )

    def __str__(self) -> str:
        return "no database is named"


class BadSetting(UsageError):
    """A setting has a value that means nothing."""

    code = "bad-setting"
    hint = "docs/reference/settings.md lists every setting and its form"

    origin: str
    value: str
    reason: str

    def __str__(self) -> str:
        return f"{self.origin} is {self.value!r}: {self.reason}"


class UnknownEnvironment(UsageError):
    """``--env`` names a file that does not exist."""

    code = "unknown-environment"
    hint = "environments are files: environments/NAME.yaml"

    name: str
    known: str

    def __str__(self) -> str:
        return f"there is no environment {self.name!r} (there are: {self.known})"


class EnvironmentFileWrong(UsageError):
    """An environment file cannot be read, or holds a key that does not exist."""

    code = "environment-file"
    hint = "every key is documented where it stands in environments/local.yaml"

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class UnknownVersion(UsageError):
    """A version was named that is in neither the directory nor the history."""

    code = "unknown-version"
    hint = "python -m migrate status lists the versions"

    version: str
    newest: str

    def __str__(self) -> str:
        return f"there is no version {self.version!r} (the newest is {self.newest})"


class ConfirmationNeeded(UsageError):
    """A fenced verb was called where nobody can be asked."""

    code = "confirmation-needed"
    hint = "read what it will do above, then repeat the command with --yes"

    verb: str

    def __str__(self) -> str:
        return (
            f"{self.verb} changes what is recorded or undoes work: it needs --yes here"
        )


class EmbeddedMissing(UsageError):
    """The embedded Postgres is asked for and not installed."""

    code = "embedded-missing"
    hint = (
        "pip install 'cloudrun-migrate[embedded]', or name a database with DATABASE_URL"
    )

    def __str__(self) -> str:
        return "the embedded Postgres is not installed"
