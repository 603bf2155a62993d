"""What would make this launch fail: decisions over gathered facts. Pure.

Called by `doctor` and, through it, before every launch. Each check answers with at least
one finding: what holds is said too. A finding that forbids the launch tells how it would
have failed, in the service's own words where they are known, and the command that cures
it. Files are judged by `preflight_files`, access by `preflight_access`.
"""

from collections.abc import Callable, Sequence

from jobs import resources
from jobs.access import repository_of
from jobs.address import DEFAULT_SOCKET, LONGEST_SOCKET, Address, Form
from jobs.config import Target
from jobs.errors import BadName
from jobs.facts import Facts, Unknown, Unreadable
from jobs.findings import Finding, Weight
from jobs.names import job_name, stable_job_name
from jobs.resources import command
from jobs.settings import Egress, JobMode

Check = Callable[[Target, Facts], list[Finding]]

#: What Cloud Run appends to a build's id; as long as the ids of Cloud Build are.
_ANY_BUILD = "00000000-0000-4000-8000-000000000000"


def fine(check: str, what: str) -> list[Finding]:
    """Say that a check holds."""
    return [Finding(check, Weight.FINE, what)]


def unasked(check: str, what: str, unknown: Unknown, role: str = "") -> list[Finding]:
    """Say that a question could not be answered, and by which role it could."""
    cure = f"grant roles/{role} to whoever launches" if unknown.denied else ""
    text = f"not checked: {what} ({unknown.why})"
    return [Finding(check, Weight.WARNING, text, cure=cure)]


def wrong(check: str, what: str, why: str, cure: str) -> list[Finding]:
    """Say what forbids the launch."""
    return [Finding(check, Weight.FATAL, what, why, cure)]


# --- the project ----------------------------------------------------------------------


def project(target: Target, facts: Facts) -> list[Finding]:
    """See that the project exists and may be seen."""
    number = facts.remote.number
    if isinstance(number, Unknown) and not number.denied:
        return unasked("project", f"project {target.project}", number, "browser")
    if number is None or isinstance(number, Unknown):
        return wrong(
            "project",
            f"there is no project {target.project}, or you may not see it",
            f"The caller does not have permission on project '{target.project}' "
            "(or it may not exist).",
            "gcloud projects list",
        )
    return fine("project", f"project {target.project} ({number})")


def services(target: Target, facts: Facts) -> list[Finding]:
    """See that the APIs are enabled."""
    names = resources.apis(target)
    found = facts.remote.services
    if isinstance(found, Unknown):
        return unasked(
            "apis", "whether the APIs are on", found, "serviceusage.serviceUsageViewer"
        )
    off = [name for name in names if name not in found]
    if not off:
        return fine("apis", f"{len(names)} APIs are enabled")
    return wrong(
        "apis",
        f"not enabled: {', '.join(off)}",
        f"API [{off[0]}] has not been used in project {target.project} before or it is "
        "disabled",
        command(resources.enable(off, target.project)),
    )


def names(target: Target, _facts: Facts) -> list[Finding]:
    """See that names fit into what Cloud Run takes."""
    try:
        if target.job_mode is JobMode.STABLE:
            name = stable_job_name(target.env, target.name)
        else:
            name = job_name(target.env, target.name, _ANY_BUILD)
    except BadName as error:
        return wrong(
            "name",
            str(error),
            f"Invalid job_id '{error.value}': must be less than 64 characters",
            f"shorten `name` in {target.file or 'the environment file'}",
        )
    return fine("name", f"a job's name has {len(name)} characters")


def busy(target: Target, facts: Facts) -> list[Finding]:
    """See that nothing else migrates this environment."""
    found = facts.remote.busy
    if isinstance(found, Unknown):
        return unasked("busy", "whether another launch is on", found, "run.viewer")
    if not found:
        return fine("busy", f"nothing else migrates {target.env}")
    return wrong(
        "busy",
        f"{target.env} is being migrated: {', '.join(found)}",
        "the second runner waits for the first one's lock, and gives up",
        f"python -m jobs logs {target.env} --follow",
    )


# --- the network ----------------------------------------------------------------------


def connector(target: Target, facts: Facts) -> list[Finding]:
    """See that the VPC connector exists and is ready."""
    if not target.connector:
        return []
    name, state = target.connector_name, facts.remote.connector
    short = name.rpartition("/")[2]
    if isinstance(state, Unknown):
        return unasked("connector", f"VPC connector {short}", state, "vpcaccess.viewer")
    if state is None:
        return wrong(
            "connector",
            f"there is no VPC connector {short} in {target.region}",
            f"Resource '{name}' was not found",
            command(resources.connector(target).make),
        )
    if state != "READY":
        return wrong(
            "connector",
            f"VPC connector {short} is {state}",
            f"VPC connector {name} is not ready",
            command(resources.connector(target).look[:-1]),
        )
    return fine("connector", f"VPC connector {short} is ready")


def subnet(target: Target, facts: Facts) -> list[Finding]:
    """See that the subnet of Direct VPC egress exists and has room."""
    if not target.subnet:
        return []
    short, found = target.subnet.rpartition("/")[2], facts.remote.subnet
    if isinstance(found, Unknown):
        return unasked("subnet", f"subnet {short}", found, "compute.networkViewer")
    if found is None:
        return wrong(
            "subnet",
            f"there is no subnet {short} in {target.region}",
            f"VPC subnetwork '{target.subnet}' not found.",
            command(resources.subnet(target).make),
        )
    bits = found.rpartition("/")[2]
    if bits.isdecimal() and int(bits) > 26:  # noqa: PLR2004 - /26 is the smallest
        text = f"subnet {short} is {found}; Direct VPC egress wants a /26 or larger"
        return [Finding("subnet", Weight.WARNING, text)]
    return fine("subnet", f"subnet {short} is {found}")


# --- the secret -----------------------------------------------------------------------


def secret(target: Target, facts: Facts) -> list[Finding]:
    """See that the secret exists, and the version a job would get is enabled."""
    found, name = facts.remote.secret, target.database_secret
    asked = target.database_secret_version
    if isinstance(found, Unknown):
        return unasked("secret", f"secret {name}", found, "secretmanager.viewer")
    if found is None:
        return wrong(
            "secret",
            f"there is no version {asked} of secret {name}",
            f"Secret [{target.secret_name}] not found or has no versions.",
            f"{command(resources.secret(target).make)}; "
            f"python -m jobs secret set-url {target.env} --new",
        )
    if found.state != "ENABLED":
        return wrong(
            "secret",
            f"version {found.version} of secret {name} is {found.state}",
            f"Secret Version [{target.secret_name}/versions/{found.version}] is in "
            f"{found.state} state.",
            f"gcloud secrets versions enable {found.version} --secret={name} "
            f"--project={target.project}",
        )
    return fine("secret", f"secret {name}, version {found.version}, is enabled")


def address(target: Target, facts: Facts) -> list[Finding]:
    """See that the address in the secret leads somewhere with these network settings."""
    found = facts.remote.address
    if found is None:
        return []
    if isinstance(found, Unknown):
        return unasked(
            "address",
            f"the form of the address in {target.database_secret}",
            found,
            "secretmanager.secretAccessor (on the secret)",
        )
    if isinstance(found, Unreadable):
        return wrong(
            "address",
            f"secret {target.database_secret}: {found.why}",
            "invalid dsn",
            f"python -m jobs secret set-url {target.env} --new",
        )
    return _FORMS[found.form](target, facts, found) + _login(target, found)


def _told(target: Target, found: Address, text: str) -> str:
    return f"secret {target.database_secret} ({found}) {text}"


def _to_private(target: Target) -> str:
    means = "connector" if target.connector else "private-ip"
    return (
        f"python -m jobs secret set-url {target.env} --connection {means} "
        "--host PRIVATE_IP"
    )


def _no_socket(found: Address) -> str:
    return (
        f'connection to server on socket "{found.socket}" failed: '
        "No such file or directory"
    )


def _cloud_sql(target: Target, _facts: Facts, found: Address) -> list[Finding]:
    if target.cloudsql_instance == found.instance:
        size = len(found.socket.encode())
        if size > LONGEST_SOCKET:
            return wrong(
                "address",
                f"the socket's path has {size} bytes; {LONGEST_SOCKET} are the most",
                f'Unix-domain socket path "{found.socket}" is too long',
                _to_private(target),
            )
        if target.egress is Egress.ALL_TRAFFIC and target.connector:
            text = "all traffic goes through the connector, the socket's proxy included"
            return [Finding("address", Weight.WARNING, text)]
        return fine("address", _told(target, found, "goes through the mounted socket"))
    if target.cloudsql_instance:
        what = f"names instance {found.instance}; {target.cloudsql_instance} is mounted"
        cure = (
            f"python -m jobs secret set-url {target.env} --connection socket "
            f"--instance {target.cloudsql_instance}"
        )
        return wrong("address", _told(target, found, what), _no_socket(found), cure)
    what = (
        "is the form of the Cloud SQL socket, and the job mounts none: set "
        f"`cloudsql_instance: {found.instance}`, or use the private IP"
    )
    return wrong(
        "address", _told(target, found, what), _no_socket(found), _to_private(target)
    )


def _socket(target: Target, facts: Facts, found: Address) -> list[Finding]:
    if facts.here and found.socket in facts.sockets:
        return fine(
            "address", _told(target, found, "goes through a socket of this machine")
        )
    if found.form is Form.DEFAULT and (host := target.variables.get("PGHOST")):
        return fine("address", _told(target, found, f"is completed by PGHOST={host}"))
    what = "has no host" if found.socket == DEFAULT_SOCKET else "names a socket"
    what += ", and there is none in a Cloud Run container"
    return wrong(
        "address", _told(target, found, what), _no_socket(found), _to_private(target)
    )


def _private(target: Target, _facts: Facts, found: Address) -> list[Finding]:
    if target.connector or target.network or target.subnet:
        way = "the connector" if target.connector else "Direct VPC egress"
        return fine("address", _told(target, found, f"goes through {way}"))
    return wrong(
        "address",
        _told(target, found, "is a private address, and nothing leads into the VPC"),
        f'connection to server at "{found.hosts[0]}", port {found.ports[0]} failed: '
        "Connection timed out",
        f"set `network` and `subnet`, or `connector`, in {target.file}",
    )


def _loopback(target: Target, facts: Facts, found: Address) -> list[Finding]:
    if facts.here:
        return fine(
            "address", _told(target, found, "is on this machine, as the job is")
        )
    return wrong(
        "address",
        _told(target, found, "is the container itself, where no database runs"),
        f'connection to server at "{found.hosts[0]}", port {found.ports[0]} failed: '
        "Connection refused",
        _to_private(target),
    )


def _name(target: Target, _facts: Facts, found: Address) -> list[Finding]:
    if target.cloudsql_instance:
        text = _told(target, found, "does not use the instance that is mounted")
        return [Finding("address", Weight.WARNING, text)]
    return fine("address", _told(target, found, "is a name or a public address"))


_FORMS: dict[Form, Callable[[Target, Facts, Address], list[Finding]]] = {
    Form.CLOUD_SQL: _cloud_sql,
    Form.SOCKET: _socket,
    Form.DEFAULT: _socket,
    Form.PRIVATE: _private,
    Form.LOOPBACK: _loopback,
    Form.NAME: _name,
}


def _login(target: Target, found: Address) -> list[Finding]:
    token = target.variables.get("MIGRATE_IAM_AUTH", "")
    if found.password or token or found.form in {Form.SOCKET, Form.LOOPBACK}:
        return []
    text = _told(target, found, "has no password")
    return [
        Finding(
            "address",
            Weight.WARNING,
            text,
            "fe_sendauth: no password supplied",
            f"python -m jobs secret rotate {target.env}",
        )
    ]


# --- what is pushed to ----------------------------------------------------------------


def repository(target: Target, facts: Facts) -> list[Finding]:
    """See that the image's repository exists."""
    place, found = repository_of(target.image), facts.remote.repository
    if place is None:
        return fine("repository", f"{target.image} is not in Artifact Registry")
    if isinstance(found, Unknown):
        text = f"repository {place.repository}"
        return unasked("repository", text, found, "artifactregistry.reader")
    if not found:
        return wrong(
            "repository",
            f"there is no repository {place.repository} in {place.region}",
            f'name unknown: Repository "{place.repository}" not found',
            command(resources.repository(place).make),
        )
    return fine("repository", f"repository {place.repository} exists")


def bucket(target: Target, facts: Facts) -> list[Finding]:
    """See that the bucket for the source exists, or can be made."""
    found = facts.remote.bucket
    if isinstance(found, Unknown):
        return unasked("bucket", f"gs://{target.bucket}", found, "storage.bucketViewer")
    if found:
        return fine("bucket", f"gs://{target.bucket} exists")
    text = f"gs://{target.bucket} does not exist; the upload will make it, if you may"
    cure = command(resources.bucket(target).make)
    return [Finding("bucket", Weight.WARNING, text, cure=cure)]


#: In the order they are told, after `project`.
CHECKS: Sequence[Check] = (
    services, names, busy, secret, address, connector, subnet, repository, bucket,
)  # fmt: skip
