"""The emulated world: one object that holds all state, handed to every service.

Made once by the command line. Its lock guards every message that a service may send
while a thread changes it.
"""

import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from google.cloud.artifactregistry_v1.types import Repository
from google.cloud.devtools.cloudbuild_v1.types import Build, BuildTrigger
from google.cloud.iam_admin_v1.types import ServiceAccount
from google.cloud.run_v2.types import Execution, Job, Task, TaskTemplate
from google.cloud.secretmanager_v1.types import SecretVersion
from google.cloud.vpcaccess_v1.types import Connector

from emulator.faults import Faults
from emulator.logs import LogStore
from emulator.operations import Operations
from emulator.policy import Policy
from emulator.processes import LineListener, Running
from emulator.registry import Images, Shelf
from emulator.stores import Buckets, SecretStore

SERVICES = (
    "artifactregistry", "cloudbuild", "cloudresourcemanager", "compute", "iam",
    "logging", "run", "secretmanager", "serviceusage", "sqladmin", "storage",
    "vpcaccess",
)  # fmt: skip


class Setting(NamedTuple):
    """What the world is called."""

    project: str = "rehearsal"
    region: str = "europe-west1"
    number: str = "123456789012"


class Addresses(NamedTuple):
    """Where the emulator listens: ``host:port`` for gRPC and for plain HTTP."""

    grpc: str = ""
    rest: str = ""


class Docker(Protocol):
    """The docker of a build that runs."""

    def docker(self, argv: list[str], cwd: str) -> Any:
        """Carry out a command line; the answer has exit, out and err."""
        ...


class Pushed(NamedTuple):
    """A pushed image: its digest, and docker's last line."""

    digest: str
    line: str


class Workshop(Protocol):
    """What one build works with: the images it has made, and a way to run its steps."""

    def start(
        self, number: int, secrets: Mapping[str, str], listener: LineListener
    ) -> Running:
        """Start a step; `CannotStart` or `Problem` when that cannot be."""
        ...

    def push(self, name: str) -> Pushed:
        """Push an image as the build's service account; `PushRefused` if that fails."""
        ...

    def close(self) -> None:
        """The build has ended: leave nothing of it."""
        ...


class Mode(Protocol):
    """How containers are run: as processes, or by a container engine."""

    name: str
    #: What a build's log says about it.
    remark: str

    def open(self, build: Build, account: str, directory: Path) -> Workshop:
        """Open the workshop of a build, in a directory of its own."""
        ...

    def start_task(
        self,
        template: TaskTemplate,
        environment: Mapping[str, str],
        name: str,
        listener: LineListener,
    ) -> Running:
        """Start a container of a task; `CannotStart` when that cannot be."""
        ...

    def add_image(self, name: str, told: Mapping[str, Any]) -> None:
        """Put an image that the world begins with into the registry."""
        ...

    def close(self) -> None:
        """The emulator ends: leave nothing running."""
        ...


class World:
    """Everything there is. Whoever makes one gives it a mode before it is used."""

    mode: Mode

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.addresses = Addresses()
        self.lock = threading.RLock()
        self.faults = Faults()
        self.policy = Policy()
        self.logs = LogStore(self.faults)
        self.operations = Operations()
        self.registry: Images = Shelf()
        self.secrets = SecretStore()
        self.buckets = Buckets()
        self.jobs: dict[str, Job] = {}
        self.executions: dict[str, Execution] = {}
        # Every execution there ever was: those of deleted jobs too.
        self.started: list[str] = []
        self.tasks: dict[str, Task] = {}
        self.builds: dict[str, Build] = {}
        self.checkouts: dict[str, Path] = {}
        self.triggers: dict[str, BuildTrigger] = {}
        self.repositories: dict[str, Repository] = {}
        self.connectors: dict[str, Connector] = {}
        self.service_accounts: dict[str, ServiceAccount] = {}
        # A new project has this network and this subnetwork.
        self.networks: set[str] = {"default"}
        self.subnetworks: dict[str, Mapping[str, object]] = {
            f"projects/{setting.project}/regions/{setting.region}/subnetworks/default": {
                "ipCidrRange": "10.132.0.0/20",
                "network": f"projects/{setting.project}/global/networks/default",
                "region": setting.region,
                "privateIpGoogleAccess": False,
            }
        }
        self.projects: set[str] = {setting.project}
        self.services: set[str] = {f"{name}.googleapis.com" for name in SERVICES}
        # Engines of the builds that run: what their docker has built and not pushed.
        self.engines: dict[str, Docker] = {}
        # Cloud SQL instances: the directory of a server of this machine with its socket.
        self.instances: dict[str, Path] = {}
        self.stoppers: dict[str, Callable[[], None]] = {}
        # How long the most patient caller of a method was ready to wait, in seconds.
        self.patience: dict[str, float] = {}
        self.scratch = Path(tempfile.mkdtemp(prefix="emulator-"))
        self.home = self.scratch / "home"
        self.home.mkdir()

    def sockets(self, template: TaskTemplate) -> dict[str, Path]:
        """What a task finds at which path for the Cloud SQL instances that it mounts."""
        volumes = {volume.name: volume for volume in template.volumes}
        return {
            f"{mount.mount_path}/{instance}": self.instances[instance]
            for mount in template.containers[0].volume_mounts
            for instance in volumes[mount.name].cloud_sql_instance.instances
            if instance in self.instances
        }

    def default_account(self) -> str:
        """The service account of whoever names none."""
        return f"{self.setting.number}-compute@developer.gserviceaccount.com"

    def knows(self, resource: str) -> bool:
        """Tell whether a resource's project exists; some names leave it open."""
        kind, _, rest = resource.partition("/")
        project = rest.partition("/")[0]
        return kind != "projects" or project in {
            *self.projects, self.setting.number, "-", "_",
        }  # fmt: skip

    def happened(self, event: str, **facts: object) -> None:
        """Something happened; a fault may answer it."""
        for fault in self.faults.strike("event", event=event, **facts):
            self._answer(
                fault.do, fault.text("secret"), fault.text("version", "latest")
            )
            if fault.do == "delete_connector":
                wanted = fault.text("connector")
                self.connectors = {
                    name: connector
                    for name, connector in self.connectors.items()
                    if not name.endswith(f"/{wanted}")
                }

    def _answer(self, do: str, secret: str, version: str) -> None:
        if not do.endswith("_secret"):
            return
        state: Any = SecretVersion.State
        name = f"projects/{self.setting.project}/secrets/{secret}/versions/{version}"
        self.secrets.turn(
            name, state.DISABLED if do == "disable_secret" else state.DESTROYED
        )
