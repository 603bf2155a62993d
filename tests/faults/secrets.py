"""Fault 10: a password in every form of an address, in every command, working and failing.

Each case draws a password, the way it is given, what is wrong with it, and one command of
ours; then looks for the password in all that was printed, in the arguments of every process
while it ran, in what the history keeps, and in every file that is left.
"""

import contextlib
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.faults import addresses
from tests.faults.addresses import Given, Place, metadata_server, spoiled
from tests.faults.bench import Bench, Ended
from tests.faults.case import Found
from tests.faults.check import holds
from tests.faults.commands import (
    ENGINE,
    ENV,
    MISPLACED,
    ORCHESTRATOR,
    PROMPTS,
    RUNNER,
    SECRET,
    VERIFIES,
    Command,
)
from tests.faults.leaks import shown
from tests.fix_cli import CHECKOUT, process_environment
from tests.fix_emulator import Emulator, launch
from tests.fix_postgres import Database
from tests.machine import LOOPBACK, free_port

NUMBER = 10
TITLE = "a password in every form of an address, in every command, working and failing"
TIMES = 1500
FOUND = """\
A secret that holds a line of an `.env` file, `DATABASE_URL=` and all, was shown with its
password by the orchestrator: it took for a parameter what libpq does not know.

`new` wrote an address that was given as a name into the file.

Where an address was typed in the wrong place, argument errors of the prompts' and the
orchestrator's command lines quoted it; the engine's did where the password holds a line end.

A metadata server that answers with other JSON than a token, a piped password that the locale
cannot read, and a launch on a terminal without our characters ended in tracebacks.
"""

_SECONDS = 90
_LETTERS = "abcXYZ0189" + "'\"@/\\:?#%&=+;$ ()[]{}<>|!*~`^,._-" + "äßñ€中𝄞é\u0301"
_RARE = "\n\t\r\x01\x7f"
_SHORT = 8  # below, what looks like it may be anything
_EVERY = 8
_SPOILED = 3  # one case in so many has an address that is wrong somewhere

#: What is wrong with the place: nothing, most often.
_PLACES = ("good", "good", "another", "no role", "no host", "refused", "no database")
_FILES = {
    "0001_good.sql": "CREATE TABLE good (n int);\n",
    "0001_good.down.sql": "DROP TABLE good;\n",
    "0001_good.verify.sql": "-- it is there\nSELECT count(*) = 0 FROM good;\n",
}
_BAD = (
    "SELECT wrong;\n",
    "DO $$ BEGIN RAISE EXCEPTION '% at %', current_user, inet_server_addr(); END $$;\n",
    "SET ROLE nobody_at_all;\n",
    "CREATE TABLE good (n int);\n",
    "SELECT pg_terminate_backend(pg_backend_pid());\n",
    "VACUUM;\nSELECT 1/0;\n",
    "\\connect other\n",
)


_CHECKED_OUT = (
    "Dockerfile.migrate",
    "cloudbuild.migrate.yaml",
    "pyproject.toml",
    "environments/rehearsal.yaml",
)


def attempt(bench: Bench, seed: int) -> Found:
    """Run one command with a password that it must not show."""
    chance = random.Random(seed)
    secret = a_secret(chance)
    home = bench.scratch / f"secrets-{seed}"
    home.mkdir()
    with bench.case(0) as case, _entered(case.database, secret) as role:
        server = bench.server
        place = Place(
            LOOPBACK, server.port, str(server.socket_dir), case.database.name, role
        )
        draw = _Draw(chance, secret, place, home)
        try:
            if seed % _EVERY == 0:
                point = draw.misplaced()
            elif seed % _EVERY == 1:
                cloud = bench.beside("emulator", lambda: _cloud(bench.scratch))
                point = draw.by_the_orchestrator(cloud)
            else:
                point = draw.any_command()
            _kept_nothing(draw, case.database)
        finally:
            shutil.rmtree(home)
    return Found(point)


def a_secret(chance: random.Random) -> str:
    """Draw a password; a few are short, and a few hold what no keyboard has."""
    letters = _LETTERS + (_RARE if not chance.randrange(8) else "")
    size = chance.randint(1, 3) if not chance.randrange(20) else chance.randint(12, 30)
    return "".join(chance.choice(letters) for _ in range(size)) or "x"


@contextlib.contextmanager
def _entered(database: Database, secret: str) -> Iterator[str]:
    """Make a role with this password, which owns the database."""
    role = f"keeper_{database.name}"
    with contextlib.closing(database.connect()) as session, session.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD %s", (secret,))
        cursor.execute(f'ALTER DATABASE "{database.name}" OWNER TO {role}')
        session.commit()
    try:
        yield role
    finally:
        database.psql(
            f'ALTER DATABASE "{database.name}" OWNER TO postgres; '
            f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}"
        )


class _Draw:
    """One case: what was drawn, and what is done with it."""

    def __init__(
        self, chance: random.Random, secret: str, place: Place, home: Path
    ) -> None:
        self._chance = chance
        self._secret = secret
        self._place = place
        self._home = home
        #: Below, the password itself may stand by chance in anything.
        self.counts = secret if len(secret.strip()) >= _SHORT else ""

    def any_command(self) -> str:
        """Run a command, given the address in one of the forms."""
        chance = self._chance
        command = chance.choice(chance.choice((ENGINE, ENGINE, PROMPTS)))
        of_the_engine = command in ENGINE
        if of_the_engine and not chance.randrange(10):
            return self._by_token(command)
        forms = addresses.WRITTEN + (addresses.ELSEWHERE if of_the_engine else ())
        form = chance.choice([f for f in forms if addresses.carries(f, self._secret)])
        where = chance.choice(_PLACES)
        given = form(self._secret, self._spoiled_place(where), self._home)
        wrong = ""
        if given.address and not chance.randrange(_SPOILED):
            wrong = spoiled(given.address, chance)
            given = given._replace(env={"DATABASE_URL": wrong})
        good = not wrong and where == "good"
        output = self._run(command, given, good=good and command.works)
        told = "spoiled" if wrong else where
        return f"{form.__name__[1:]}, {told}, {' '.join(command.words[1:])}, {output}"

    def _spoiled_place(self, where: str) -> Place:
        changed: dict[str, dict[str, Any]] = {
            "another": {"user": "postgres_not"},
            "no role": {"user": "nobody_at_all"},
            "no host": {"host": "no-such-host.invalid"},
            "refused": {"port": free_port()},
            "no database": {"database": "no_such_database"},
        }
        return self._place._replace(**changed.get(where, {}))

    def _by_token(self, command: Command) -> str:
        at, way = self._place, self._chance.randrange(8)
        bare = (
            f"postgresql://{at.user}@{at.host}:{at.port}/{at.database}?sslmode=disable"
        )
        with metadata_server(self._secret, way) as token:
            given = Given({**token.env, "DATABASE_URL": bare})
            good = way % 5 == 0 and command.works
            output = self._run(command, given, good=good)
        return f"a token, answer {way % 5}, {' '.join(command.words[1:])}, {output}"

    def misplaced(self) -> str:
        """Type an address where something else belongs."""
        chance = self._chance
        forms = [f for f in addresses.WRITTEN if addresses.carries(f, self._secret)]
        form, words = chance.choice(forms), chance.choice(MISPLACED)
        address = form(self._secret, self._place, self._home).address
        given = Given(dict.fromkeys(("DATABASE_URL",), address))
        typed = tuple(word.replace("{}", address) for word in words)
        self._look(self._process(typed, given.env), typed, good=False)
        return f"{form.__name__[1:]}, misplaced in {' '.join(words[1:])}"

    def by_the_orchestrator(self, cloud: Emulator) -> str:
        """Keep the address in a secret of the cloud, and let a verb work with it."""
        chance = self._chance
        forms = [f for f in addresses.WRITTEN if addresses.carries(f, self._secret)]
        form, where = chance.choice(forms), chance.choice(_PLACES)
        address = form(self._secret, self._spoiled_place(where), self._home).address
        wrong = not chance.randrange(_SPOILED)
        if wrong:
            address = spoiled(address, chance)
        (*few, whole) = ORCHESTRATOR
        command = chance.choice(few) if chance.randrange(10) else whole
        typed = self._secret if "rotate" in command.words else address
        cloud.data(secrets={SECRET: [address]})
        self._check_out()
        output = chance.choice(("text", "json"))
        words = (*command.words, "--output", output)
        ended = self._process(words, cloud.environment(), typed + "\n")
        self._look(ended, (), good=False)
        told = "spoiled" if wrong else where
        return f"{form.__name__[1:]}, {told}, {' '.join(command.words[1:])}, {output}"

    def _check_out(self) -> None:
        """Make a directory that can be launched."""
        (self._home / "environments").mkdir()
        for name in ("jobs", "migrate", "requirements"):
            (self._home / name).symlink_to(CHECKOUT / name)
        for name in _CHECKED_OUT:
            (self._home / name).write_bytes((CHECKOUT / name).read_bytes())
        self._write_migrations()

    # --- running ----------------------------------------------------------------------

    def _run(self, command: Command, given: Given, *, good: bool) -> str:
        chance = self._chance
        directory = self._write_migrations()
        if command.bad_file:
            (directory / "0002_bad.sql").write_text(chance.choice(_BAD))
        output = chance.choice(("text", "json"))
        args = given.args if command in ENGINE else ()
        asked = () if command.words[0] == VERIFIES else ("--output", output)
        env = {**given.env, **dict(command.env), "MIGRATE_WAIT": "0"}
        if RUNNER == command.words[:2] and command.env:
            asked, output = (), "lines of the cloud"
        typed = (*command.words, *args, *asked)
        self._look(self._process(typed, env), given.args, good=good)
        return output

    def _write_migrations(self) -> Path:
        directory = self._home / "migrations"
        directory.mkdir()
        for name, text in _FILES.items():
            (directory / name).write_text(text)
        return directory

    def _process(
        self, words: tuple[str, ...], env: dict[str, str], typed: str = ""
    ) -> Ended:
        """Run it to its end; no process of it has the secret in its arguments."""
        out, err, keys = (self._home / name for name in ("out", "err", "typed"))
        keys.write_text(typed, newline="")
        with (
            out.open("wb") as stdout,
            err.open("wb") as stderr,
            keys.open("rb") as stdin,
        ):
            process = subprocess.Popen(
                [sys.executable, *words],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                cwd=self._home,
                env={
                    **process_environment(self._home, env),
                    "PYTHONIOENCODING": self._chance.choice(("utf-8", "ascii")),
                },
            )
            seen = "".join(_arguments_until_the_end(process, words))
        leaks = shown(self.counts, seen) if self.counts else []
        holds("no argument list holds it", when=not leaks, seen=(leaks, seen))
        texts = [file.read_text(errors="surrogateescape") for file in (out, err)]
        for file in (out, err, keys):
            file.unlink()
        return Ended(process.returncode, *texts)

    def _look(self, ended: Ended, typed: tuple[str, ...], *, good: bool) -> None:
        said = ended.out + ended.err
        holds("no traceback", when="Traceback" not in said, seen=ended)
        leaks = shown(self.counts, said) if self.counts else []
        holds("nothing printed holds it", when=not leaks, seen=(leaks, typed, ended))
        if good:
            holds("it is let in", when=ended.exit == 0, seen=(self._secret, ended))


def _cloud(scratch: Path) -> Emulator:
    """Start an emulated project in which a launch is possible."""
    home = scratch / "cloud"
    home.mkdir()
    cloud = launch(home, "--project", f"{ENV}-project", "--region", "us-central1")
    accounts = ["migration-build", "migration-job"]
    cloud.data(service_accounts=accounts, repositories=["migrations"])
    return cloud


def _arguments_until_the_end(
    process: "subprocess.Popen[bytes]", own: tuple[str, ...]
) -> Iterator[str]:
    """Yield what ``ps`` would show of its children, again and again, and of itself.

    What was typed at it is not its doing.
    """
    told: set[str] = set()
    while True:
        try:
            process.wait(0.01)
        except subprocess.TimeoutExpired:
            ended = False
        else:
            ended = True
        for pid in _family(process.pid):
            with contextlib.suppress(OSError):
                found = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                words = [word.decode(errors="replace") for word in found]
                typed = own if pid == process.pid else ()
                told |= {word for word in words if word not in typed}
        if ended:
            yield from sorted(told)
            return


def _family(pid: int) -> list[int]:
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += _family(int(child))
    return found


def _kept_nothing(draw: _Draw, database: Database) -> None:
    """Neither the history nor a file that we wrote holds it."""
    if not draw.counts:
        return
    kept = ""
    if database.rows("SELECT to_regclass('schema_migrations') IS NOT NULL") == [
        (True,)
    ]:
        kept = str(database.rows("SELECT * FROM schema_migrations"))
    leaks = shown(draw.counts, kept)
    holds("the history does not hold it", when=not leaks, seen=(leaks, kept))
    theirs = {"passwords", "services", "own.yaml"}  # where somebody put it
    for file in draw._home.rglob("*"):
        if file.is_file() and file.name not in theirs:
            leaks = shown(draw.counts, file.read_text(errors="surrogateescape"))
            holds("no file holds it", when=not leaks, seen=(leaks, file))
