"""One frozen `Target`: where a launch goes, with which image, secret, network, limits.

Called by `commands` with the name of an environment. Reads ``environments/NAME.yaml``, its
section ``launch``; the section ``engine`` belongs to `migrate` and is left alone. Reads
``triggers/NAME.yaml`` too. The keys are declared in `settings`; an unknown one is refused
with the line it stands on and the nearest name there is.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jobs.errors import TargetFileWrong, UnknownTarget
from jobs.names import EnvName
from jobs.settings import (
    APPROVED,
    KEYS,
    TRIGGER_KEYS,
    Egress,
    JobMode,
    Key,
    Trigger,
    unknown,
)

DIRECTORY = "environments"
TRIGGERS = "triggers"
#: What the run step adds around the task: its start, its last log lines, its end.
START_S, LOG_S, STOP_S = 300, 90, 60


class Target(NamedTuple):
    """Everything a launch needs to know about an environment. Times are in seconds."""

    env: str
    project: str
    region: str
    image: str
    database_secret: str
    database_secret_version: str = "latest"  # noqa: S105
    endpoint: str = ""
    name: str = "prompt-migration"
    job_mode: JobMode = JobMode.EPHEMERAL
    base_image: str = ""
    docker_builder: str = ""
    build_file: str = "cloudbuild.migrate.yaml"
    build_service_account: str = ""
    job_service_account: str = ""
    source_bucket: str = ""
    network: str = ""
    subnet: str = ""
    network_tags: tuple[str, ...] = ()
    connector: str = ""
    egress: Egress = Egress.PRIVATE_RANGES_ONLY
    cloudsql_instance: str = ""
    cpu: str = "1"
    memory: str = "512Mi"
    task_timeout_s: int = 600
    queue_timeout_s: int = 600
    build_timeout_s: int = 5400
    stale_after_s: int = 120
    args: tuple[str, ...] = ()
    variables: Mapping[str, str] = {}
    file: str = ""
    lines: Mapping[str, int] = {}

    @property
    def deadline_s(self) -> int:
        """How long the run step waits for the execution: its time, and its start."""
        return self.task_timeout_s + START_S

    @property
    def step_s(self) -> int:
        """How long the run step may take: its deadline, the last lines, its end."""
        return self.deadline_s + LOG_S + STOP_S

    @property
    def lifetime_s(self) -> int:
        """After how long a job of ours is certainly forgotten."""
        return self.build_timeout_s + self.queue_timeout_s + START_S

    @property
    def bucket(self) -> str:
        """The bucket the source is uploaded to; gcloud's regional default."""
        if self.source_bucket:
            return self.source_bucket
        plain = self.project.replace(".", "_").replace(":", "_")
        return f"{plain.replace('google', 'elgoog')}_{self.region}_cloudbuild"

    @property
    def connector_name(self) -> str:
        """The connector's full name."""
        if not self.connector or "/" in self.connector:
            return self.connector
        return f"projects/{self.project}/locations/{self.region}/connectors/{self.connector}"

    @property
    def secret_name(self) -> str:
        """The secret's full name, without a version."""
        if "/" in self.database_secret:
            return self.database_secret
        return f"projects/{self.project}/secrets/{self.database_secret}"


# --- reading --------------------------------------------------------------------------


def environments(directory: str = DIRECTORY) -> list[str]:
    """Return the names of the environments that can be launched."""
    here = sorted(Path(directory).glob("*.yaml"))
    return [path.stem for path in here if _has_launch(path)]


def _has_launch(path: Path) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    return any(line.startswith("launch:") for line in text.splitlines())


def load(env: str, directory: str = DIRECTORY) -> Target:
    """Return the target an environment file describes.

    Raises `UnknownTarget`, and `TargetFileWrong` with the line.
    """
    path = f"{directory}/{env}.yaml"
    known = environments(directory)
    if env not in known:
        raise UnknownTarget(name=env, known=", ".join(known) or "none")
    return target_from(Path(path).read_bytes(), env, path)


def target_from(text: bytes, env: str, path: str) -> Target:
    """Return the target that the text of an environment file describes."""
    section, at = _section(text, path)
    fields, lines = _fields(section, KEYS, path, at)
    target = Target(env=EnvName.parse(env), file=path, lines=lines, **fields)
    if wrong := _together(target):
        name, reason = wrong
        line = lines.get(name, at)
        raise TargetFileWrong(file=path, line=line, reason=f"{name}: {reason}")
    return target


def load_trigger(env: str, directory: str = TRIGGERS) -> Trigger:
    """Return the trigger of an environment. Raises `TargetFileWrong` with the line."""
    path = f"{directory}/{env}.yaml"
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise TargetFileWrong(file=path, line=1, reason=reason) from None
    return trigger_from(text, env, path)


def trigger_from(text: bytes, env: str, path: str) -> Trigger:
    """Return the trigger that the text of a file in ``triggers`` describes."""
    fields, lines = _fields(_lines(_root(text, path), path), TRIGGER_KEYS, path, 1)
    trigger = Trigger(file=path, **fields)
    if env in APPROVED and not trigger.approval:
        reason = f"approval: a push does not change {env} before somebody has approved"
        raise TargetFileWrong(file=path, line=lines["approval"], reason=reason)
    return trigger


_Pairs = Sequence[tuple[str, int, Any]]


def _fields(
    pairs: _Pairs, keys: Sequence[Key], path: str, at: int
) -> tuple[dict[str, Any], dict[str, int]]:
    """Return values by field, and lines by name; ``at`` is where the pairs begin."""
    fields: dict[str, Any] = {}
    lines: dict[str, int] = {}
    known = {key.name: key for key in keys}
    for name, line, value in pairs:
        if name in lines:
            raise TargetFileWrong(file=path, line=line, reason=f"{name!r} stands twice")
        if name not in known:
            reason = unknown(name, tuple(known))
            raise TargetFileWrong(file=path, line=line, reason=reason)
        lines[name] = line
        if value is None:
            continue
        try:
            fields[known[name].field] = known[name].parse(value)
        except ValueError as error:
            reason = f"{name} is {value!r}: {error}"
            raise TargetFileWrong(file=path, line=line, reason=reason) from None
    for key in keys:
        if key.required and key.field not in fields:
            raise TargetFileWrong(file=path, line=at, reason=f"{key.name!r} is missing")
    return fields, lines


def _together(target: Target) -> tuple[str, str] | None:
    """Say which keys contradict each other, or nothing."""
    if target.connector and (target.network or target.subnet):
        return (
            "connector",
            "a job has a connector or Direct VPC (network, subnet), not both",
        )
    if target.network_tags and not (target.network or target.subnet):
        return "network_tags", "they need network or subnet"
    needed = target.step_s
    if needed + START_S > target.build_timeout_s:
        return "build_timeout", (
            f"the run step may take {needed} s (task_timeout and its margins), and the "
            f"build needs {START_S} s more: it is {target.build_timeout_s} s"
        )
    return None


def _section(text: bytes, path: str) -> tuple[_Pairs, int]:
    """Return the pairs of the section ``launch`` with their lines, and its own line."""
    for key, value in _pairs(_root(text, path), path):
        if key.value == "launch":
            return _lines(value, path), key.start_mark.line + 1
    raise TargetFileWrong(file=path, line=1, reason="it has no section `launch`")


def _root(text: bytes, path: str) -> Any:
    """Return the node that a YAML text is."""
    import yaml  # noqa: PLC0415 - 10 ms that --help need not pay

    try:
        return yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = f"it is not YAML: {getattr(error, 'problem', None) or error}"
        line = 1 + (mark.line if mark else 0)
        raise TargetFileWrong(file=path, line=line, reason=reason) from None


def _lines(node: Any, path: str) -> _Pairs:
    """Return the pairs of a mapping: name, line, value."""
    return [
        (str(k.value), k.start_mark.line + 1, _plain(v)) for k, v in _pairs(node, path)
    ]


def _pairs(node: Any, path: str) -> Any:
    if node is None or node.id != "mapping":
        line = 1 if node is None else node.start_mark.line + 1
        reason = "here stands no mapping of names to values"
        raise TargetFileWrong(file=path, line=line, reason=reason)
    return node.value


def _plain(node: Any) -> Any:
    """Return a node as text, list or mapping: numbers stay as they were written."""
    if node.id == "mapping":
        return {str(k.value): _plain(v) for k, v in node.value}
    if node.id == "sequence":
        return [_plain(v) for v in node.value]
    return None if node.tag == "tag:yaml.org,2002:null" else str(node.value)
