"""Explain a database address, and find what would stop ``apply``, before it is tried.

Called by the command line. Reads files, opens one session, writes nothing. Each finding
says what is the matter and the command that cures it.
"""

import ipaddress
import os
from collections.abc import Callable
from typing import NamedTuple

from migrate.config import Settings
from migrate.dsn import Dsn
from migrate.errors import ExitCode, ExplainedError
from migrate.postgres import lease, lock
from migrate.postgres.access import Access
from migrate.postgres.history import LAYOUT, History
from migrate.postgres.session import Session
from migrate.source import read_directory

_DEFAULT_SOCKET = "/var/run/postgresql"  # where libpq looks when no host is named
_SOCKET_CURE = (
    "mount the instance: gcloud run jobs update JOB --set-cloudsql-instances {instance}\n"
    "or use its private IP, with a VPC connector or Direct VPC egress: "
    "postgresql://USER:PASSWORD@PRIVATE_IP:5432/DATABASE"
)
_PRIVATE_NEEDS = "on Cloud Run: a VPC connector or Direct VPC egress into its network"
_PUBLIC_NEEDS = (
    "on Cloud Run: nothing more, but prefer a private address for a database"
)


class Finding(NamedTuple):
    """One thing that was looked at."""

    good: bool
    what: str
    cure: str = ""
    exit_code: ExitCode = ExitCode.OK


def explain_address(dsn: Dsn, exists: Callable[[str], bool]) -> list[Finding]:
    """Say which way an address connects, and what that way needs. Pure."""
    hosts = dsn.hosts
    if not hosts:
        return [
            Finding(
                good=False,
                what="the address names no host: libpq tries a local socket, and there is none "
                "in a container",
                cure="write the host into the address: postgresql://USER:PASSWORD@HOST:5432/DATABASE",
                exit_code=ExitCode.UNREACHABLE,
            )
            if not exists(_DEFAULT_SOCKET)
            else Finding(
                good=True,
                what="connects to a server on this machine, by its local socket",
            )
        ]
    ports = dsn.shown("port").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    return [
        _explain_host(host or _DEFAULT_SOCKET, port or "5432", exists)
        for host, port in zip(hosts, ports, strict=False)
    ]


def _explain_host(host: str, port: str, exists: Callable[[str], bool]) -> Finding:
    if host.startswith(("/", "@")):
        path = f"{host}/.s.PGSQL.{port}"
        if exists(path):
            return Finding(good=True, what=f"connects by the Unix socket {path}")
        return Finding(
            good=False,
            what=f"the address names the Unix socket {path}, and there is none",
            cure=_SOCKET_CURE.format(
                instance=host.rpartition("/")[2] or "PROJECT:REGION:NAME"
            ),
            exit_code=ExitCode.UNREACHABLE,
        )
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return Finding(
            good=True,
            what=f"connects by TCP to the host name {host}",
            cure=_PUBLIC_NEEDS,
        )
    if address.is_loopback:
        return Finding(good=True, what=f"connects by TCP to {host}, on this machine")
    if not address.is_global:
        return Finding(
            good=True,
            what=f"connects by TCP to the private address {host}",
            cure=_PRIVATE_NEEDS,
        )
    return Finding(
        good=True,
        what=f"connects by TCP to the public address {host}",
        cure=_PUBLIC_NEEDS,
    )


def examine(settings: Settings) -> list[Finding]:
    """Return everything that was looked at, in order; stops where looking ends."""
    findings = [_directory(settings)]
    dsn = settings.dsn()
    findings += explain_address(dsn, os.path.exists)
    if not dsn.parameters.get("user"):
        findings.append(
            Finding(good=True, what="names no user: libpq takes the system user's name")
        )
    if settings.iam_auth:
        findings.append(
            Finding(good=True, what="logs in with a token of the metadata server")
        )
    try:
        session = Access(settings, lambda _: None).open(
            wait_ms=min(settings.wait, 5000)
        )
    except ExplainedError as error:
        return [*findings, _bad(error)]
    try:
        return findings + _in_session(settings, session)
    finally:
        session.close()


def _bad(error: ExplainedError) -> Finding:
    return Finding(
        good=False, what=str(error), cure=error.advice(), exit_code=error.exit_code
    )


def _directory(settings: Settings) -> Finding:
    try:
        migrations = read_directory(settings.dir)
    except ExplainedError as error:
        return _bad(error)
    return Finding(good=True, what=f"{len(migrations)} migrations in {settings.dir}")


def _in_session(settings: Settings, session: Session) -> list[Finding]:
    pooled = (
        ", through a pooler: a lease row takes the place of the advisory lock"
        if session.pooled
        else ""
    )
    findings = [Finding(good=True, what=f"connected to {session.server}{pooled}")]
    history = History(session, settings.schema, settings.table)
    try:
        facts = history.inspect()
        history.check_privileges(facts)
    except ExplainedError as error:
        return [*findings, _bad(error)]
    state = {0: "does not exist yet", LAYOUT: "is there"}.get(
        facts.layout, f"has layout {facts.layout}, and will be upgraded to {LAYOUT}"
    )
    findings.append(
        Finding(
            good=True,
            what=f"history {history.qualified} {state}; {facts.role} may write it",
        )
    )
    key = lock.lock_key(facts.database, settings.schema, settings.table)
    table = lease.lease_table(settings.schema, settings.table)
    who = lock.holder(session, key) or lease.live_holder(session, table)
    if who:
        findings.append(
            Finding(
                good=False,
                what=f"the lock is held by {who}",
                cure="wait for it; if it is dead: python -m migrate unlock",
                exit_code=ExitCode.LOCKED,
            )
        )
    else:
        findings.append(Finding(good=True, what="the lock is free"))
    return findings
