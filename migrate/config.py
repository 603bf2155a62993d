"""Every setting of the engine, declared once: flag, variable, default, help.

Called by the faces with three mappings (flags, environment, environment file). The
command line, the reference page and the container entrypoint are made from `OPTIONS`.
Reads one file when ``--env`` asks for it; never reads ``os.environ`` itself.
"""

import enum
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from migrate.dsn import Dsn
from migrate.duration import milliseconds
from migrate.errors import (
    BadSetting,
    EnvironmentFileWrong,
    NoDatabaseUrl,
    UnknownEnvironment,
)


class Output(enum.Enum):
    """How a command speaks."""

    TEXT = "text"
    JSON = "json"


class Option(NamedTuple):
    """One setting. ``parse`` turns its text into its value or raises ValueError."""

    name: str
    flag: str
    variable: str
    default: str | None
    help: str
    parse: Callable[[str], Any]
    metavar: str = "TEXT"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("it is a number of at least 1")
    return int(text)


def _switch(text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError("it is true or false")


#: PostgreSQL's NAMEDATALEN, without its closing byte.
_NAME_BYTES = 63


def _identifier(text: str) -> str:
    if not 0 < len(text.encode()) <= _NAME_BYTES or "\0" in text:
        raise ValueError("it is a PostgreSQL name of 1 to 63 bytes")
    return text


def _output(text: str) -> Output:
    try:
        return Output(text)
    except ValueError:
        raise ValueError("it is text or json") from None


OPTIONS = (
    Option(
        "database_url",
        "--database-url",
        "DATABASE_URL",
        None,
        "the database, in any form libpq takes; or embedded:DIRECTORY",
        str,
        "URL",
    ),
    Option(
        "dir",
        "--dir",
        "MIGRATE_DIR",
        "migrations",
        "where the migrations are",
        str,
        "DIR",
    ),
    Option(
        "output",
        "--output",
        "MIGRATE_OUTPUT",
        "text",
        "text or json (one object per line)",
        _output,
        "FORMAT",
    ),
    Option(
        "wait",
        "--wait",
        "MIGRATE_WAIT",
        "60s",
        "how long to try for the first connection",
        milliseconds,
        "TIME",
    ),
    Option(
        "lock_wait",
        "--lock-wait",
        "MIGRATE_LOCK_WAIT",
        "60s",
        "how long to wait for another runner to finish",
        milliseconds,
        "TIME",
    ),
    Option(
        "lock_timeout",
        "--lock-timeout",
        "MIGRATE_LOCK_TIMEOUT",
        "5s",
        "how long one statement may wait for a lock, and so make traffic wait; "
        "CONCURRENTLY is exempt",
        milliseconds,
        "TIME",
    ),
    Option(
        "lock_tries",
        "--lock-tries",
        "MIGRATE_LOCK_TRIES",
        "10",
        "how often a migration that met a lock timeout is tried",
        _count,
        "N",
    ),
    Option(
        "statement_timeout",
        "--statement-timeout",
        "MIGRATE_STATEMENT_TIMEOUT",
        "0",
        "how long one statement may run; 0: no limit",
        milliseconds,
        "TIME",
    ),
    Option(
        "idle_timeout",
        "--idle-timeout",
        "MIGRATE_IDLE_TIMEOUT",
        "5min",
        "idle_in_transaction_session_timeout of our sessions",
        milliseconds,
        "TIME",
    ),
    Option(
        "schema",
        "--schema",
        "MIGRATE_SCHEMA",
        "public",
        "the schema of the history table",
        _identifier,
        "NAME",
    ),
    Option(
        "table",
        "--table",
        "MIGRATE_TABLE",
        "schema_migrations",
        "the history table",
        _identifier,
        "NAME",
    ),
    Option(
        "iam_auth",
        "--iam-auth",
        "MIGRATE_IAM_AUTH",
        "false",
        "log in with a token of the metadata server instead of a password",
        _switch,
        "BOOL",
    ),
    Option(
        "metadata_url",
        "--metadata-url",
        "MIGRATE_METADATA_URL",
        "http://metadata.google.internal",
        "where the metadata server is (for tests and proxies)",
        str,
        "URL",
    ),
)

#: What the platform tells about the run, and is kept with every history entry.
PLATFORM = {
    "build_id": ("BUILD_ID", "MIGRATE_BUILD_ID"),
    "commit_sha": ("COMMIT_SHA", "MIGRATE_COMMIT_SHA"),
    "image_digest": ("IMAGE_DIGEST", "MIGRATE_IMAGE_DIGEST"),
    "execution": ("CLOUD_RUN_EXECUTION", "MIGRATE_EXECUTION"),
}


class Platform(NamedTuple):
    """Who asked for this run, as far as the platform says."""

    build_id: str | None = None
    commit_sha: str | None = None
    image_digest: str | None = None
    execution: str | None = None


class Settings(NamedTuple):
    """The effective settings of one command. Times are in milliseconds."""

    database_url: str | None
    dir: str
    output: Output
    wait: int
    lock_wait: int
    lock_timeout: int
    lock_tries: int
    statement_timeout: int
    idle_timeout: int
    schema: str
    table: str
    iam_auth: bool
    metadata_url: str
    platform: Platform
    environment: Mapping[str, str]

    def dsn(self) -> Dsn:
        """Return the database's address as libpq will complete it.

        Raises `NoDatabaseUrl` and `BadDatabaseUrl`.
        """
        if self.database_url:
            return Dsn.parse(self.database_url).with_defaults(self.environment)
        if any(self.environment.get(v) for v in ("PGHOST", "PGSERVICE", "PGDATABASE")):
            return Dsn({}).with_defaults(self.environment)
        raise NoDatabaseUrl


def load(
    flags: Mapping[str, str | None],
    environment: Mapping[str, str],
    env_name: str | None,
) -> Settings:
    """Return the settings: flag before variable before environment file before default.

    Raises `BadSetting`, which names where the bad value came from.
    """
    env_name = env_name or environment.get("MIGRATE_ENV")
    file, path = read_environment_file(env_name) if env_name else ({}, "")
    values: dict[str, Any] = {}
    for option in OPTIONS:
        for text, origin in (
            (flags.get(option.name), option.flag),
            (environment.get(option.variable) or None, option.variable),
            (file.get(option.name), f"{option.name} in {path}"),
            (option.default, "the default"),
        ):
            if text is not None:
                values[option.name] = _parsed(option, text, origin)
                break
        else:
            values[option.name] = None
    platform = Platform(
        **{
            field: next((environment[n] for n in names if environment.get(n)), None)
            for field, names in PLATFORM.items()
        }
    )
    return Settings(**values, platform=platform, environment=environment)


def _parsed(option: Option, text: str, origin: str) -> object:
    try:
        return option.parse(text)
    except ValueError as error:
        raise BadSetting(origin=origin, value=text, reason=str(error)) from None


_NULL = "tag:yaml.org,2002:null"  # what YAML calls a value left out


def read_environment_file(name: str) -> tuple[dict[str, str], str]:
    """Return the engine's settings in ``environments/NAME.yaml``, and its path.

    Raises `UnknownEnvironment` and `EnvironmentFileWrong`. The engine reads the section
    ``engine`` and leaves the sections of the orchestrator alone.
    """
    path = f"environments/{name}.yaml"
    try:
        with open(path, "rb") as stream:
            text = stream.read()
    except OSError:
        raise UnknownEnvironment(name=name, known=_environments()) from None
    import yaml  # noqa: PLC0415 - 10 ms that only --env pays

    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise EnvironmentFileWrong(
            file=path, line=_line(error, text), reason=_problem(error)
        ) from None
    if root is None:
        return {}, path
    found: dict[str, str] = {}
    for key, value in _pairs(root, "it", path):
        if key.value != "engine" or value.tag == _NULL:
            continue
        for name_node, setting in _pairs(value, "engine", path):
            if wrong := _wrong(name_node.value, setting, found):
                line = name_node.start_mark.line + 1
                raise EnvironmentFileWrong(file=path, line=line, reason=wrong)
            if setting.tag != _NULL:
                found[name_node.value] = setting.value
    return found, path


def _environments() -> str:
    """Name the environments there are, for the error that one is not."""
    here = os.listdir("environments") if os.path.isdir("environments") else []
    names = sorted(f.removesuffix(".yaml") for f in here if f.endswith(".yaml"))
    return ", ".join(names) or "none"


def _problem(error: Exception) -> str:
    what = getattr(error, "problem", None) or getattr(error, "reason", None)
    return f"it is not YAML: {what or error}"


def _line(error: Exception, text: bytes) -> int:
    """Return where YAML's scanner, or its reader, stopped."""
    mark = getattr(error, "problem_mark", None)
    return 1 + (
        mark.line if mark else text.count(b"\n", 0, getattr(error, "position", 0))
    )


def _pairs(node: Any, what: str, path: str) -> Any:
    """Return the pairs of a mapping as YAML's nodes, which know their lines."""
    if node.id != "mapping":
        line = node.start_mark.line + 1
        reason = f"{what} is not a mapping of names to values"
        raise EnvironmentFileWrong(file=path, line=line, reason=reason)
    return node.value


def _wrong(name: Any, setting: Any, found: Mapping[str, str]) -> str:
    """Say what is wrong with one line of the section ``engine``, or nothing."""
    if not isinstance(name, str):
        return "a setting's name is one word"
    if name in found:
        return f"setting {name!r} stands twice"
    if name not in {option.name for option in OPTIONS}:
        return f"unknown setting {name!r}{_nearest(name)}"
    if setting.id != "scalar":
        return f"setting {name!r} holds a list or a mapping, not one value"
    return ""


def _nearest(name: str) -> str:
    """Suggest the setting that was probably meant, if one is near."""
    import difflib  # noqa: PLC0415 - 2 ms that only a mistake pays

    near = difflib.get_close_matches(name, [option.name for option in OPTIONS], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
