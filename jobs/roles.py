"""The least roles each principal needs: a table, and nothing but the table.

Read by `access`, which makes it concrete for a target, and by the documentation. The rows
are the contract: a launch succeeds with exactly these, and the tests take them away one by
one. The permission of a row is the one by which its absence shows.
"""

import enum
from collections.abc import Mapping
from typing import NamedTuple


class Who(enum.Enum):
    """A kind of principal."""

    SUBMITTER = "submitter"
    CLEANUP = "clean-up"
    LOOKOUT = "preflight"
    APPROVER = "approver"
    ROTATOR = "secret rotator"
    BUILD = "build service account"
    RUNTIME = "runtime service account"
    AGENT = "Cloud Run service agent"


class Scope(enum.Enum):
    """What a role is granted on: as narrow as the service allows."""

    PROJECT = "the project"
    BUILD_ACCOUNT = "the build service account"
    JOB_ACCOUNT = "the runtime service account"
    BUCKET = "the source bucket"
    REPOSITORY = "the image repository"
    SECRET = "the database secret"  # noqa: S105 - a place, not a secret
    SUBNET = "the subnet"
    HOST_PROJECT = "the network's project"
    IMAGE_PROJECT = "the repository of another project"


class Case(enum.Enum):
    """When a row applies."""

    ALWAYS = "always"
    CLOUD_SQL = "with `cloudsql_instance`"
    IAM_LOGIN = "with `MIGRATE_IAM_AUTH`"
    SHARED_SUBNET = "with a subnet of another project"
    SHARED_CONNECTOR = "with a connector of another project"
    OTHER_IMAGE = "with an image of another project"


class Need(NamedTuple):
    """One row: who needs which role, where, why, and which permission shows it."""

    who: Who
    role: str
    scope: Scope
    why: str
    permission: str
    case: Case = Case.ALWAYS


def _need(  # noqa: PLR0917 - the columns of a table
    who: Who,
    role: str,
    scope: Scope,
    permission: str,
    why: str,
    case: Case = Case.ALWAYS,
) -> Need:
    return Need(who, f"roles/{role}", scope, why, permission, case)


#: gcp.md §9, and what the calls of this orchestrator need besides.
LEAST = (
    _need(
        Who.SUBMITTER, "cloudbuild.builds.editor", Scope.PROJECT,
        "cloudbuild.builds.create", "submits, watches and cancels the build",
    ),
    _need(
        Who.SUBMITTER, "iam.serviceAccountUser", Scope.BUILD_ACCOUNT,
        "iam.serviceAccounts.actAs", "lets the build run as its service account",
    ),
    _need(
        Who.SUBMITTER, "storage.objectCreator", Scope.BUCKET,
        "storage.objects.create", "uploads the source",
    ),
    _need(
        Who.SUBMITTER, "storage.objectViewer", Scope.BUCKET,
        "storage.objects.get", "finds a source that is uploaded already",
    ),
    _need(
        Who.SUBMITTER, "run.viewer", Scope.PROJECT,
        "run.executions.get", "watches the job and its execution",
    ),
    _need(
        Who.SUBMITTER, "logging.viewer", Scope.PROJECT,
        "logging.logEntries.list", "reads the job's lines",
    ),
    _need(
        Who.SUBMITTER, "secretmanager.viewer", Scope.SECRET,
        "secretmanager.versions.get", "pins the secret's version; reads no value",
    ),
    _need(
        Who.CLEANUP, "run.developer", Scope.PROJECT,
        "run.jobs.delete", "cancels and deletes what a killed launch left",
    ),
    _need(
        Who.LOOKOUT, "iam.securityReviewer", Scope.PROJECT,
        "resourcemanager.projects.getIamPolicy", "compares roles with this table",
    ),
    _need(
        Who.LOOKOUT, "serviceusage.serviceUsageViewer", Scope.PROJECT,
        "serviceusage.services.get", "sees which APIs are enabled",
    ),
    _need(
        Who.LOOKOUT, "artifactregistry.reader", Scope.REPOSITORY,
        "artifactregistry.repositories.get", "sees that the repository exists",
    ),
    _need(
        Who.LOOKOUT, "vpcaccess.viewer", Scope.PROJECT,
        "vpcaccess.connectors.get", "sees that the connector exists",
    ),
    _need(
        Who.LOOKOUT, "compute.networkViewer", Scope.PROJECT,
        "compute.subnetworks.get", "sees that the subnet exists",
    ),
    _need(
        Who.LOOKOUT, "secretmanager.secretAccessor", Scope.SECRET,
        "secretmanager.versions.access", "judges the form of the address",
    ),
    _need(
        Who.APPROVER, "cloudbuild.builds.approver", Scope.PROJECT,
        "cloudbuild.builds.approve", "approves a build; is not the submitter",
    ),
    _need(
        Who.ROTATOR, "secretmanager.secretVersionManager", Scope.SECRET,
        "secretmanager.versions.add", "adds and disables versions of the address",
    ),
    _need(
        Who.ROTATOR, "secretmanager.secretAccessor", Scope.SECRET,
        "secretmanager.versions.access", "takes the present address apart",
    ),
    _need(
        Who.BUILD, "logging.logWriter", Scope.PROJECT,
        "logging.logEntries.create", "writes the build's log",
    ),
    _need(
        Who.BUILD, "artifactregistry.writer", Scope.REPOSITORY,
        "artifactregistry.repositories.uploadArtifacts", "pushes the image",
    ),
    _need(
        Who.BUILD, "storage.objectViewer", Scope.BUCKET,
        "storage.objects.get", "fetches the source",
    ),
    _need(
        Who.BUILD, "run.developer", Scope.PROJECT,
        "run.jobs.create", "creates, runs and deletes the job",
    ),
    _need(
        Who.BUILD, "iam.serviceAccountUser", Scope.JOB_ACCOUNT,
        "iam.serviceAccounts.actAs", "lets the job run as its service account",
    ),
    _need(
        Who.BUILD, "logging.viewer", Scope.PROJECT,
        "logging.logEntries.list", "judges by the engine's end marker",
    ),
    _need(
        Who.BUILD, "cloudbuild.builds.viewer", Scope.PROJECT,
        "cloudbuild.builds.list", "sees whose jobs are in use before it sweeps",
    ),
    _need(
        Who.BUILD, "secretmanager.viewer", Scope.SECRET,
        "secretmanager.versions.get", "pins the version where a trigger submits",
    ),
    _need(
        Who.RUNTIME, "secretmanager.secretAccessor", Scope.SECRET,
        "secretmanager.versions.access", "is given the database address",
    ),
    _need(
        Who.RUNTIME, "cloudsql.client", Scope.PROJECT,
        "cloudsql.instances.connect", "connects through the socket", Case.CLOUD_SQL,
    ),
    _need(
        Who.RUNTIME, "cloudsql.instanceUser", Scope.PROJECT,
        "cloudsql.instances.login", "logs in with a token", Case.IAM_LOGIN,
    ),
    _need(
        Who.AGENT, "compute.networkUser", Scope.SUBNET,
        "compute.subnetworks.use", "attaches the job", Case.SHARED_SUBNET,
    ),
    _need(
        Who.AGENT, "vpcaccess.user", Scope.HOST_PROJECT,
        "vpcaccess.connectors.use", "attaches the job", Case.SHARED_CONNECTOR,
    ),
    _need(
        Who.AGENT, "artifactregistry.reader", Scope.IMAGE_PROJECT,
        "artifactregistry.repositories.downloadArtifacts", "pulls the image",
        Case.OTHER_IMAGE,
    ),
)  # fmt: skip

#: What covers a role that has no row below.
ANYTHING = ("roles/owner",)
_EDITOR = ("roles/owner", "roles/editor")
#: Roles that hold everything another one of the table holds.
COVERED_BY: Mapping[str, tuple[str, ...]] = {
    "roles/cloudbuild.builds.editor": _EDITOR,
    "roles/cloudbuild.builds.viewer": (
        *_EDITOR, "roles/viewer", "roles/cloudbuild.builds.editor",
        "roles/cloudbuild.builds.approver",
    ),
    "roles/cloudbuild.builds.approver": _EDITOR,
    "roles/iam.serviceAccountUser": (*_EDITOR, "roles/iam.serviceAccountAdmin"),
    "roles/storage.objectCreator": ("roles/storage.objectUser", "roles/storage.admin"),
    "roles/storage.objectViewer": ("roles/storage.objectUser", "roles/storage.admin"),
    "roles/run.viewer": (*_EDITOR, "roles/run.developer", "roles/run.admin"),
    "roles/run.developer": (*_EDITOR, "roles/run.admin"),
    "roles/logging.viewer": (*_EDITOR, "roles/viewer"),
    "roles/logging.logWriter": _EDITOR,
    "roles/artifactregistry.writer": (*_EDITOR, "roles/artifactregistry.admin"),
    "roles/artifactregistry.reader": (
        *_EDITOR, "roles/viewer", "roles/artifactregistry.writer",
        "roles/artifactregistry.admin",
    ),
    "roles/secretmanager.secretAccessor": (*ANYTHING, "roles/secretmanager.admin"),
    "roles/secretmanager.secretVersionManager": (
        *_EDITOR, "roles/secretmanager.admin", "roles/secretmanager.secretVersionAdder",
    ),
    "roles/cloudsql.client": (*_EDITOR, "roles/cloudsql.editor", "roles/cloudsql.admin"),
    "roles/cloudsql.instanceUser": (*ANYTHING, "roles/cloudsql.admin"),
    "roles/compute.networkUser": (*_EDITOR, "roles/compute.networkAdmin"),
    "roles/vpcaccess.user": (*_EDITOR, "roles/vpcaccess.admin"),
}  # fmt: skip
