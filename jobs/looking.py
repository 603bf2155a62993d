"""Gather what the preflight judges: from the cloud in parallel, and from the checkout.

Called by `doctor`. Only looks: nothing is created, started or changed, and the value of
the secret stays in an `Address` that hides it. A question that is refused becomes an
`Unknown`; only missing or expired credentials end the looking, for then every answer would.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from jobs import buildfile, engine, source, tidy
from jobs.access import grants, project_resource, repository_of
from jobs.address import DEFAULT_SOCKET, Address
from jobs.config import TRIGGERS, Target, load_trigger
from jobs.errors import BadAddress, Denied, LaunchError, NoCredentials, NotFound
from jobs.facts import Facts, Local, Remote, Unknown, Unreadable
from jobs.imagefiles import Stage, image_of, stage_built
from jobs.names import JobName
from jobs.ports import Binding, Cloud, SecretVersion
from jobs.preflight_access import OWN
from jobs.resources import APIS, BY_SETTING, api_names

T = TypeVar("T")

#: Look-ups at a time: the answers take as long as the slowest, not as all together.
AT_ONCE = 12
#: How long the engine may take to read the migrations.
ENGINE_S = 20
CHECK_FILES = ("plan", "--check-files", "--dir", "migrations")
_ENGINE_DIR = re.compile(
    r"^engine:[ \t]*\n(?:[ \t]+.*\n|[ \t]*\n|#.*\n)*?[ \t]+dir:[ \t]*['\"]?([^'\"#\n]+)",
    re.MULTILINE,
)


def asked(ask: Callable[[], T]) -> T | Unknown:
    """Return an answer, or why there is none. Raises `NoCredentials` alone."""
    try:
        return ask()
    except NoCredentials:
        raise
    except LaunchError as error:
        return Unknown(str(error), denied=isinstance(error, Denied))


class _Crew:
    """Asks in threads that nobody has to wait for: Ctrl-C ends a look at once.

    Not Python's own pool: its end, and the interpreter's, wait for every thread.
    """

    def __init__(self) -> None:
        self._room = threading.BoundedSemaphore(AT_ONCE)

    def submit(self, ask: Callable[[], T]) -> Future[T]:
        """Begin to ask."""
        future: Future[T] = Future()

        def work() -> None:
            with self._room:
                try:
                    future.set_result(ask())
                except BaseException as error:  # noqa: BLE001 - raised by `result`
                    future.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        return future


def look(
    target: Target, cloud: Cloud, root: Path, environment: Mapping[str, str]
) -> Facts:
    """Gather everything about an environment."""
    crew = _Crew()
    local = crew.submit(lambda: _local(target, root, environment))
    # First and alone: without credentials no other question is worth asking.
    number = asked(lambda: cloud.projects.number(target.project))
    account = _build_account(target, cloud)
    remote = _remote(target, cloud, crew, number, account)
    caller = asked(cloud.projects.caller)
    sockets = frozenset(p for p in _sockets(remote.address) if Path(p).exists())
    return Facts(
        local=local.result(),
        remote=remote,
        caller="" if isinstance(caller, Unknown) else caller,
        here=bool(target.endpoint),
        sockets=sockets,
    )


def _sockets(address: object) -> tuple[str, ...]:
    return (address.socket, DEFAULT_SOCKET) if isinstance(address, Address) else ()


# --- the cloud ------------------------------------------------------------------------


def _build_account(target: Target, cloud: Cloud) -> str | Unknown:
    if target.build_service_account:
        return target.build_service_account
    parent = tidy.parent_of(target)
    return asked(lambda: cloud.builds.default_service_account(parent))


def _remote(
    target: Target,
    cloud: Cloud,
    crew: _Crew,
    number: str | Unknown | None,
    account: str | Unknown,
) -> Remote:
    """Ask everything at once; collect in order."""

    def begin(ask: Callable[[], T]) -> Future[T | Unknown]:
        return crew.submit(lambda: asked(ask))

    projects = cloud.projects
    named = "" if isinstance(account, Unknown) else account
    plain = number if isinstance(number, str) else ""
    needed = grants(target, number=plain, build_account=named)
    own = [g for g in needed if g.need.who in OWN]
    others = [g for g in needed if g.need.who not in OWN]
    permissions: dict[str, list[str]] = {}
    for grant in own:
        permissions.setdefault(grant.resource, []).append(grant.need.permission)
    places = dict.fromkeys(
        [project_resource(target.project), *(g.resource for g in others)]
    )
    emails = [e for e in dict.fromkeys((named, target.job_service_account)) if e]

    allowed = {
        place: begin(partial(projects.may, place, tuple(asking)))
        for place, asking in permissions.items()
    }
    policies = {
        place: begin(partial(projects.bindings, place))
        for place in places
        if not place.startswith("//compute.")
    }
    exist = {
        email: begin(
            partial(projects.service_account_exists, _home(email, target), email)
        )
        for email in emails
    }
    services = begin(lambda: projects.enabled_services(target.project, _apis()))
    secret = begin(lambda: _secret(target, cloud))
    address = begin(lambda: _address(target, cloud))
    repository = begin(lambda: _repository(target, cloud))
    connector = begin(
        lambda: (
            projects.connector_state(target.connector_name)
            if target.connector
            else None
        )
    )
    subnet = begin(lambda: _subnet(target, cloud))
    busy = begin(lambda: _busy(target, cloud))
    policy = {place: _or_none(future.result()) for place, future in policies.items()}
    bucket = f"//storage.googleapis.com/b/{target.bucket}"
    may = {place: future.result() for place, future in allowed.items()}
    return Remote(
        number=number,
        services=services.result(),
        secret=secret.result(),
        address=address.result(),
        build_account=account,
        accounts={email: future.result() for email, future in exist.items()},
        repository=repository.result(),
        connector=connector.result(),
        subnet=subnet.result(),
        bucket=_bucket(may.get(bucket)),
        policies=policy,
        allowed=may,
        busy=busy.result(),
    )


def _apis() -> list[str]:
    return api_names([*APIS, *BY_SETTING])


def _home(email: str, target: Target) -> str:
    """Return the project of a service account, as its address says."""
    name, _, domain = email.partition("@")
    home = domain.removesuffix(".iam.gserviceaccount.com")
    return home if home != domain and name else target.project


def _or_none(found: Sequence[Binding] | Unknown) -> Sequence[Binding] | None:
    return None if isinstance(found, Unknown) else found


def _bucket(found: frozenset[str] | Unknown | None) -> bool | Unknown:
    """Tell from the question about permissions whether there is a bucket at all."""
    if isinstance(found, Unknown):
        return False if "404" in found.why or "not exist" in found.why else found
    return True


def _secret(target: Target, cloud: Cloud) -> SecretVersion | None:
    try:
        return cloud.secrets.version(target.secret_name, target.database_secret_version)
    except NotFound:
        return None


def _address(target: Target, cloud: Cloud) -> Address | Unreadable | None:
    """Read the address; one that is missing or disabled is told by the secret's check."""
    try:
        version = cloud.secrets.version(
            target.secret_name, target.database_secret_version
        )
        if version.state != "ENABLED":
            return None
        return Address.parse(cloud.secrets.access(target.secret_name, version.version))
    except NotFound:
        return None
    except BadAddress as error:
        return Unreadable(str(error))


def _repository(target: Target, cloud: Cloud) -> bool | None:
    place = repository_of(target.image)
    if place is None:
        return None
    return cloud.registry.repository_exists(
        place.project, place.region, place.repository
    )


def _subnet(target: Target, cloud: Cloud) -> str | None:
    if not target.subnet:
        return None
    parts = target.subnet.split("/")
    home = parts[1] if parts[0] == "projects" and len(parts) > 1 else target.project
    return cloud.projects.subnet_range(home, target.region, parts[-1])


def _busy(target: Target, cloud: Cloud) -> Sequence[str]:
    found = [f"build {build.id}" for build in tidy.active_builds(cloud, target)]
    for job in tidy.jobs_of(cloud, target):
        execution = tidy.latest_execution(cloud, JobName.parse(job.name))
        if execution is not None and not execution.done:
            found.append(f"execution {execution.short}")
    return found


# --- the checkout ---------------------------------------------------------------------


def _local(target: Target, root: Path, environment: Mapping[str, str]) -> Local:
    document = asked(lambda: buildfile.load(str(root / target.build_file)))
    uploaded = asked(lambda: source.files(root))
    answer = engine.ask(CHECK_FILES, root, environment, seconds=ENGINE_S)
    return Local(
        document=document,
        uploaded=uploaded,
        image=_image(root, uploaded, document),
        engine_dir=_engine_dir(root / f"environments/{target.env}.yaml"),
        engine_exit=answer.exit_code,
        engine_said=answer.said,
        engine_late=answer.late,
        approval=_approval(root, target),
    )


def _approval(root: Path, target: Target) -> bool:
    """Read it in the trigger's file; one that is wrong is told by ``trigger``."""
    directory = root / TRIGGERS
    if not (directory / f"{target.env}.yaml").exists():
        return False
    found = asked(lambda: load_trigger(target.env, str(directory)))
    return not isinstance(found, Unknown) and found.approval


def _image(
    root: Path, uploaded: Sequence[str] | Unknown, document: Mapping[str, Any] | Unknown
) -> Stage | Unknown:
    try:
        text = (root / "Dockerfile.migrate").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Unknown(f"Dockerfile.migrate cannot be read: {error}")
    stage = "" if isinstance(document, Unknown) else stage_built(document)
    return image_of(text, () if isinstance(uploaded, Unknown) else uploaded, stage)


def _engine_dir(path: Path) -> str:
    """Return the directory that the engine's section of an environment file names."""
    try:
        found = _ENGINE_DIR.search(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ""
    return found[1].strip() if found else ""
