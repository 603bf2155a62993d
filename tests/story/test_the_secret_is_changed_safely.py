"""`secret show`, `set-url`, `rotate`: the address is rebuilt, never shown, and not lost."""

import io
import json
import uuid

import pytest

from jobs.cli import main
from jobs.gcp.cloud import connect
from tests.fix_emulator import PROJECT, REGION
from tests.fix_story import PERSON

INSTANCE = "vividly-dev-rich:us-central1:dev-vividly-db"
SOCKET = f"postgresql://vividly:s3cret@/vividly?host=/cloudsql/{INSTANCE}"
PRIVATE = "postgresql://vividly:s3cret@10.240.0.3:5432/vividly"


class Secret:
    """The secret of an environment of its own, and the verb."""

    def __init__(self, story, address, monkeypatch, capfd, **settings):
        env = f"e{uuid.uuid4().hex[:8]}"
        self.made = story.checkout(env, address, **settings)
        self.name = self.made.target.secret_name
        self.secrets = connect(PROJECT, REGION, "", self.made.environment).secrets
        self._patch, self._capfd = monkeypatch, capfd
        monkeypatch.chdir(self.made.root)
        for name, value in self.made.environment.items():
            monkeypatch.setenv(name, value)

    def __call__(self, action, *options, typed=""):
        """Run the verb; return its exit code and what it printed."""
        self._patch.setattr("sys.stdin", io.StringIO(typed))
        self._capfd.readouterr()
        code = main(["secret", action, self.made.env, *options])
        said = "".join(self._capfd.readouterr())
        assert "s3cret" not in said
        return code, said

    def values(self):
        """Return state and value of each version, oldest first."""
        found = sorted(self.secrets.versions(self.name), key=lambda v: int(v.version))
        return [
            self.secrets.access(self.name, v.version)
            if v.state == "ENABLED"
            else v.state
            for v in found
        ]


@pytest.fixture
def secret(story, monkeypatch, capfd):
    """Give a function that makes a secret with an address."""
    return lambda address=SOCKET, **settings: Secret(
        story, address, monkeypatch, capfd, **settings
    )


def test_it_is_shown_without_its_password(secret):
    """Which version, which way it leads, and nothing that opens the door."""
    code, said = secret()("show")

    assert 0 == code
    assert "version:   1\n" in said
    assert f"postgresql://vividly:***@/vividly?host=/cloudsql/{INSTANCE}" in said
    assert "leads:     a Cloud SQL socket" in said


def test_a_disabled_version_is_told_and_not_opened(secret):
    """Its state is shown; there is no address to show."""
    changed = secret()
    changed.secrets.disable(changed.name, "1")

    assert "state:     disabled" in changed("show")[1]


def test_the_seeds_repair_is_one_command(secret):
    """Taken apart, rebuilt for the private IP, added, enabled; the one before stays."""
    changed = secret(connector="ready-connector")

    code, said = changed("set-url", "--host", "10.240.0.3", "--output", "json")

    told = json.loads(said)
    assert 0 == code
    assert [SOCKET, PRIVATE] == changed.values()
    assert ("2", "added, enabled and read back") == (told["version"], told["result"])
    assert "version 1, still enabled" == told["previous"]


def test_the_environments_network_says_which_form(secret):
    """With an instance the socket, and the old version goes when that is asked for."""
    changed = secret(PRIVATE, cloudsql_instance=INSTANCE)

    _, said = changed("set-url", "--disable-previous")

    assert ["DISABLED", SOCKET] == changed.values()
    assert "version 1, disabled" in said


def test_an_address_is_tried_before_anything_is_disabled(secret, blank_database):
    """With --connect: one that does not do keeps the version before as it was."""
    options = ("--new", "--connect", "--disable-previous")
    wrong = "postgresql://u:s3cret@127.0.0.1:1/d"

    good = secret(PRIVATE)
    code, said = good("set-url", *options, typed=f"{blank_database.url}\n")
    bad = secret(PRIVATE)
    refused, why = bad("set-url", *options, typed=f"{wrong}\n")

    assert (0, ["DISABLED", blank_database.url]) == (code, good.values())
    assert "read back, and it connects" in said
    assert (6, [PRIVATE, wrong]) == (refused, bad.values())
    assert "Connection refused" in why
    assert "version 1 is as it was" in why
    assert "→" in why


def test_nothing_is_added_when_nothing_changes(secret):
    """Asked twice, it is done once."""
    changed = secret(PRIVATE)

    code, said = changed("set-url", "--connection", "private-ip")

    assert 0 == code
    assert [PRIVATE] == changed.values()
    assert "nothing to change" in said


def test_a_pinned_version_is_pointed_out(secret):
    """A new version that no launch would take is no repair."""
    changed = secret(database_secret_version="1")

    _, said = changed("set-url", "--host", "10.240.0.3")

    assert "still says database_secret_version: 1" in said


def test_a_password_is_piped_in_and_encoded(secret):
    """Whatever is in it; the rest of the address stays."""
    changed = secret(PRIVATE)

    code, _ = changed("rotate", typed="n@w/s3cret:?#\n")

    assert 0 == code
    assert [
        PRIVATE,
        "postgresql://vividly:n%40w%2Fs3cret%3A%3F%23@10.240.0.3:5432/vividly",
    ] == changed.values()


def test_a_whole_address_is_piped_in(secret):
    """For a secret that holds none."""
    changed = secret("not an address, s3cret")

    unread, _ = changed("show")
    code, _ = changed("set-url", "--new", typed=f"{PRIVATE}\n")

    assert (2, 0) == (unread, code)
    assert PRIVATE == changed.values()[1]


def test_a_secret_that_is_not_there_is_made(secret, story):
    """By whoever may; without the role it is refused, and nothing is there."""
    changed = secret()
    text = changed.made.target.database_secret
    changed.made.edit(changed.made.target.file, text, f"{text}-other")
    admin = {"principal": PERSON, "role": "roles/secretmanager.admin", "on": "project"}

    refused, _ = changed("set-url", "--new", typed=f"{PRIVATE}\n")
    story.grant(admin=admin)
    code, said = changed("set-url", "--new", typed=f"{PRIVATE}\n")

    found = changed.secrets.access(f"{changed.name}-other", "1")
    story.grant()
    assert (21, 0, PRIVATE) == (refused, code, found)
    assert "previous" not in said


@pytest.mark.parametrize(
    ("arguments", "typed", "says"),
    [
        (("rotate",), "", "no password was given"),
        (("set-url",), "", "name it with --host"),
        (("set-url", "--connection", "connector"), "", "needs `connector`"),
        (("set-url", "--new"), "mysql://u:s3cret@h/d\n", "postgresql://"),
    ],
)
def test_what_cannot_be_done_adds_nothing(secret, arguments, typed, says):
    """A usage error: exit 2, one version as before."""
    changed = secret()

    code, said = changed(*arguments, typed=typed)

    assert 2 == code
    assert says in said
    assert [SOCKET] == changed.values()


def test_an_answer_that_is_lost_adds_one_version(secret, story):
    """AddSecretVersion is not safe to repeat: its effect is looked for instead."""
    changed = secret()
    fault = {"at": "rpc", "method": "SecretManagerService.AddSecretVersion"}
    story.emulator.faults({**fault, "do": "lose_reply", "times": 1})

    code, _ = changed("set-url", "--host", "10.240.0.3")
    story.emulator.faults()

    assert 0 == code
    assert [SOCKET, PRIVATE] == changed.values()


def test_whoever_adds_need_not_be_able_to_read(secret, story):
    """Then it is not read back; that it is enabled is still proven."""
    changed = secret()
    story.grant((PERSON, "roles/secretmanager.secretAccessor"))

    added, said = changed("set-url", "--new", typed=f"{PRIVATE}\n")
    refused, why = changed("set-url", "--host", "10.240.0.3")

    story.grant()
    assert (0, 21) == (added, refused)
    assert "added" in said
    assert "secretmanager.versions.access" in why
    assert [SOCKET, PRIVATE] == changed.values()
