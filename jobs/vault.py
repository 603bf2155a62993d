"""The database's address in Secret Manager: shown without its password, rebuilt, rotated.

Called by `upkeep`, with the port. A value lives in an `Address` between one call and the
next: nothing is written to a disk, printed, or given to another program. A new version is
added before anything is disabled, and the one before stays enabled unless told otherwise.
"""

from collections.abc import Callable
from typing import NamedTuple

from jobs.address import Address, Change, Means, rebuilt
from jobs.config import Target
from jobs.errors import (
    BadAddress,
    CloudError,
    Denied,
    NotConnected,
    VersionUnusable,
)
from jobs.polling import again, took_effect
from jobs.ports import Clock, Secrets, SecretVersion

_ENABLED = "ENABLED"


class Shown(NamedTuple):
    """What a secret holds, as far as it may be shown."""

    secret: str
    version: SecretVersion
    address: Address | None
    versions: tuple[SecretVersion, ...]


class Stored(NamedTuple):
    """What was stored: the new version, the one before, and what became of it."""

    before: Address | None
    after: Address
    version: str
    previous: str
    added: bool
    disabled: bool
    connected: bool = False


def show(target: Target, secrets: Secrets) -> Shown:
    """Return the present address, hidden password and all."""
    name = target.secret_name
    found = secrets.version(name, target.database_secret_version)
    address = None
    if found.state == _ENABLED:
        address = Address.parse(secrets.access(name, found.version))
    return Shown(name, found, address, tuple(secrets.versions(name)))


def means_of(target: Target) -> Means:
    """Return how an environment's network settings say its job reaches the database."""
    if target.cloudsql_instance:
        return Means.SOCKET
    return Means.CONNECTOR if target.connector else Means.PRIVATE_IP


def changed(target: Target, change: Change, before: Address) -> Address:
    """Return the address as it is to be. Raises `BadAddress`."""
    if change.means is Means.SOCKET and not change.instance:
        change = change._replace(instance=target.cloudsql_instance)
    if change.means is Means.CONNECTOR and not target.connector:
        raise BadAddress(
            reason=f"--connection connector needs `connector` in {target.file}"
        )
    return rebuilt(before, change)


class Vault:
    """One secret, and how versions are added to it."""

    def __init__(
        self,
        target: Target,
        secrets: Secrets,
        clock: Clock,
        connects: Callable[[str], str] | None = None,
    ) -> None:
        """Take the port; nothing is asked yet.

        ``connects`` tries an address from here and says what was wrong, or nothing.
        """
        self._target, self._secrets, self._clock = target, secrets, clock
        self._name = target.secret_name
        self._connects = connects

    def change(
        self, make: Callable[[Address], Address], *, disable_previous: bool = False
    ) -> Stored:
        """Replace the address by what ``make`` makes of the present one."""
        newest = again(lambda: self._secrets.version(self._name, "latest"), self._clock)
        text = again(
            lambda: self._secrets.access(self._name, newest.version), self._clock
        )
        before = Address.parse(text)
        after = make(before)
        if after == before:
            return Stored(
                before, after, newest.version, "", added=False, disabled=False
            )
        return self._store(before, after, newest, disable_previous=disable_previous)

    def put(self, address: Address, *, disable_previous: bool = False) -> Stored:
        """Store a whole address; makes the secret when it is not there yet."""
        newest = None
        if not again(lambda: self._secrets.exists(self._name), self._clock):
            self._secrets.create(self._name)
        elif versions := self._secrets.versions(self._name):
            newest = versions[0]
        return self._store(None, address, newest, disable_previous=disable_previous)

    def _store(
        self,
        before: Address | None,
        after: Address,
        newest: SecretVersion | None,
        *,
        disable_previous: bool,
    ) -> Stored:
        old = newest.version if newest else ""
        url = after.url()

        def there() -> SecretVersion | None:
            """Look whether an addition whose answer was lost took effect."""
            top = self._secrets.versions(self._name)
            if not top or top[0].version == old:
                return None
            return (
                top[0]
                if self._secrets.access(self._name, top[0].version) == url
                else None
            )

        made = took_effect(
            lambda: self._secrets.add(self._name, url), there, self._clock
        )
        self._prove(made, url)
        self._try(made, old, url)
        if disable_previous and old:
            self._secrets.disable(self._name, old)
        return Stored(
            before,
            after,
            made.version,
            old,
            added=True,
            disabled=bool(disable_previous and old),
            connected=self._connects is not None,
        )

    def _try(self, made: SecretVersion, old: str, url: str) -> None:
        """Connect, if that was asked for; before anything is disabled."""
        if self._connects is None or not (said := self._connects(url)):
            return
        raise NotConnected(
            secret=self._target.database_secret,
            version=made.version,
            previous=old,
            reason=said,
        )

    def _prove(self, made: SecretVersion, url: str) -> None:
        """See that the new version is enabled, and that it is what was sent."""
        found = again(
            lambda: self._secrets.version(self._name, made.version), self._clock
        )
        if found.state != _ENABLED:
            raise VersionUnusable(
                secret=self._target.database_secret,
                version=found.version,
                state=found.state,
            )
        try:
            stored = self._secrets.access(self._name, made.version)
        except Denied:
            return  # whoever may add need not be allowed to read
        if stored != url:
            raise CloudError(
                call=f"reading back version {made.version}",
                reason="it is not what was sent",
            )
