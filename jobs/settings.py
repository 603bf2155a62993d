"""Every key of an environment's section ``launch``, and of a trigger's file, declared once.

Called by `config`, which reads the files. Each parser takes what YAML wrote (text, list or
mapping) and raises ValueError with what would have been right; the file and the line are
added there. Secrets are named here, never written here.
"""

import difflib
import enum
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jobs.errors import BadName
from jobs.names import EnvName, ProjectId, Region

_UNITS = {"s": 1, "min": 60, "h": 3600}
_LENGTH = re.compile(r"([0-9]+)\s*(s|min|h)\Z")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,255}\Z")
_VERSION = re.compile(r"(?:[0-9]+|latest)\Z")
_ACCOUNT = re.compile(r"[^@\s]+@[^@\s]+\Z")
_INSTANCE = re.compile(r"[^:\s]+(?::[^:\s]+)?:[a-z0-9-]+:[^:\s]+\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SECRETIVE = re.compile(
    r"PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_KEY|DATABASE_URL|DSN", re.IGNORECASE
)


#: How Cloud Build names a repository, by the generation of its connection.
SECOND_GENERATION = re.compile(
    r"projects/[^/]+/locations/[^/]+/connections/[^/]+/repositories/[^/]+\Z"
)
FIRST_GENERATION = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)/([A-Za-z0-9._-]+)\Z")


class JobMode(enum.Enum):
    """Whether each launch makes a job of its own, or one job is kept and updated."""

    EPHEMERAL = "ephemeral"
    STABLE = "stable"


class Egress(enum.Enum):
    """Which traffic of the job goes through the VPC; Cloud Run's own words."""

    PRIVATE_RANGES_ONLY = "PRIVATE_RANGES_ONLY"
    ALL_TRAFFIC = "ALL_TRAFFIC"


class Trigger(NamedTuple):
    """What starts a migration by itself: ``triggers/ENV.yaml``."""

    repository: str
    branch: str
    # Nobody's push reaches a database unseen because a line was forgotten.
    approval: bool = True
    included_files: tuple[str, ...] = ("migrations/**",)
    ignored_files: tuple[str, ...] = ()
    enabled: bool = True
    file: str = ""


class Key(NamedTuple):
    """One key of a file. ``parse`` raises ValueError for a bad value."""

    name: str
    field: str
    parse: Callable[[Any], Any]
    required: bool = False


# --- values ---------------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it is one value, not a list or a mapping")  # noqa: TRY004
    return value


def _matching(form: re.Pattern[str], words: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if not form.match(_text(value)):
            raise ValueError(words)
        return str(value)

    return parse


def _seconds(least: int, most: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        match = _LENGTH.match(_text(value))
        if not match:
            raise ValueError("it is a number with a unit: s, min or h")
        found = int(match[1]) * _UNITS[match[2]]
        if not least <= found <= most:
            raise ValueError(f"it is from {least} s to {most} s")
        return found

    return parse


def _one_of(kind: type[enum.Enum]) -> Callable[[Any], Any]:
    names = {str(m.value).lower().replace("_", "-"): m for m in kind}

    def parse(value: Any) -> Any:
        try:
            return names[_text(value)]
        except KeyError:
            raise ValueError(f"it is {' or '.join(names)}") from None

    return parse


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ValueError("it is a list of values")
    return tuple(value)


def _switch(value: Any) -> bool:
    if _text(value).lower() not in {"true", "false"}:
        raise ValueError("it is true or false")
    return str(value).lower() == "true"


def _variables(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise ValueError("it is a mapping of names to values")  # noqa: TRY004
    for name, text in value.items():
        if not _VARIABLE.match(name):
            raise ValueError(f"{name!r} is not the name of a variable")
        if _SECRETIVE.search(name) or ("://" in str(text) and "@" in str(text)):
            raise ValueError(
                f"{name} looks like a secret; a secret is named by database_secret "
                "and given to the job by Cloud Run"
            )
        _text(text)
    return dict(value)


def _repository(value: Any) -> str:
    if not (SECOND_GENERATION.match(_text(value)) or FIRST_GENERATION.match(value)):
        raise ValueError(
            "it is OWNER/NAME (GitHub, connected in the console), or "
            "projects/P/locations/L/connections/C/repositories/R"
        )
    return str(value)


def _pattern(value: Any) -> str:
    try:
        re.compile(_text(value))
    except re.error as error:
        raise ValueError(f"it is no regular expression: {error}") from None
    return str(value)


def _checked(make: Callable[[str], str]) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        try:
            return make(_text(value))
        except BadName as error:
            raise ValueError(error.reason) from None

    return parse


def _image(value: Any) -> str:
    text = _text(value)
    if "@" in text or ":" in text.rpartition("/")[2] or not text:
        raise ValueError("it is an image without tag or digest; the build adds both")
    return text


_ACCOUNTS = _matching(_ACCOUNT, "it is a service account's e-mail address")

#: Every key there is, in the order of the documented files.
KEYS = (
    Key("project", "project", _checked(ProjectId.parse), required=True),
    Key("region", "region", _checked(Region.parse), required=True),
    Key("endpoint", "endpoint", _text),
    Key("name", "name", _checked(EnvName.parse)),
    Key("job_mode", "job_mode", _one_of(JobMode)),
    Key("image", "image", _image, required=True),
    Key("base_image", "base_image", _text),
    Key("docker_builder", "docker_builder", _text),
    Key("build_file", "build_file", _text),
    Key("build_service_account", "build_service_account", _ACCOUNTS),
    Key("job_service_account", "job_service_account", _ACCOUNTS),
    Key("source_bucket", "source_bucket", _text),
    Key(
        "database_secret",
        "database_secret",
        _matching(_SECRET, "it is a secret's name in Secret Manager, not its value"),
        required=True,
    ),
    Key(
        "database_secret_version",
        "database_secret_version",
        _matching(_VERSION, "it is a version's number, or latest"),
    ),
    Key("network", "network", _text),
    Key("subnet", "subnet", _text),
    Key("network_tags", "network_tags", _texts),
    Key("connector", "connector", _text),
    Key("egress", "egress", _one_of(Egress)),
    Key(
        "cloudsql_instance",
        "cloudsql_instance",
        _matching(_INSTANCE, "it is PROJECT:REGION:INSTANCE"),
    ),
    Key("cpu", "cpu", _matching(re.compile(r"[0-9]+m?\Z"), "it is 1, 2, 4 or 8")),
    Key(
        "memory",
        "memory",
        _matching(re.compile(r"[0-9]+(Mi|Gi)\Z"), "it is a size such as 512Mi or 2Gi"),
    ),
    Key("task_timeout", "task_timeout_s", _seconds(10, 168 * 3600)),
    Key("queue_timeout", "queue_timeout_s", _seconds(10, 24 * 3600)),
    Key("build_timeout", "build_timeout_s", _seconds(60, 24 * 3600)),
    Key("stale_after", "stale_after_s", _seconds(0, 24 * 3600)),
    Key("args", "args", _texts),
    Key("variables", "variables", _variables),
)
NAMES = tuple(k.name for k in KEYS)

#: The same of a trigger's file.
TRIGGER_KEYS = (
    Key("repository", "repository", _repository, required=True),
    Key("branch", "branch", _pattern, required=True),
    Key("approval", "approval", _switch),
    Key("included_files", "included_files", _texts),
    Key("ignored_files", "ignored_files", _texts),
    Key("enabled", "enabled", _switch),
)
#: Environments whose builds somebody must approve, whatever the file says.
APPROVED = ("prod", "production")


def unknown(name: str, names: Sequence[str]) -> str:
    """Say that a key is unknown, and which it may have been meant to be."""
    near = difflib.get_close_matches(str(name), names, n=1)
    cure = (
        f"; did you mean {near[0]!r}?" if near else f" (there are: {', '.join(names)})"
    )
    return f"unknown key {name!r}{cure}"
