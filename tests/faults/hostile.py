"""Fault 11: a server that is full, forbids, or shadows; names made to break quoting.

The disk is a small file system of its own, as the case's tablespace, filled but for so
many kilobytes as the seed says: each case meets the end somewhere else. A role loses a
privilege while a message is held, at another one in each case. Names are drawn by the
seed.
"""

import contextlib
import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection

from tests.faults import names, scenario
from tests.faults.bench import Bench, Case, finish
from tests.faults.case import Found, spread
from tests.faults.check import afterwards, holds, left_nothing
from tests.faults.shadows import FILES, USED, VERBS, shadow, words_of_the_engine
from tests.fix_postgres import Database
from tests.machine import account
from tests.observing import OURS
from tests.proxy import Fault

NUMBER = 11
TITLE = (
    "a server that is full, read-only, in haste, takes a privilege away midway, or shadows "
    "our names; names of objects and files made to break quoting"
)
TIMES = 400
FOUND: tuple[str, ...] = (
    "an error of the server about the history itself, midway, ended in a traceback",
    "a search_path that shadows the server's names reached three statements of ours",
    "a history whose name has braces, or 63 bytes in long letters, broke progress and lease",
    "a pipe among the migrations was waited for without end",
)

_DISK_BYTES = 64 << 20
_STEP_BYTES = 16 << 10
_REACHED_S = 30


def attempt(bench: Bench, seed: int) -> Found:
    """Meet one of them; when it is over, the next run finishes."""
    variant = seed // len(_KINDS) % scenario.VARIANTS
    with bench.case(variant) as case:
        return _KINDS[seed % len(_KINDS)](case, seed)


def _full_disk(case: Case, seed: int) -> Found:
    left = (seed % 97) * _STEP_BYTES
    name = f"small_{case.database.name}"
    with _small_disk(case.bench.scratch / name) as place:
        _admin(case, f"CREATE TABLESPACE {name} LOCATION '{place}'")
        _admin(case, f"ALTER DATABASE {case.database.name} SET TABLESPACE {name}")
        with _filled(place, left):
            run = case.run()
        said = run.exit == 0 or re.search("53100|No space left", run.said)
        holds("the full disk is named", when=bool(said), seen=run)
        if run.exit == 4:
            holds("exit 4: nothing was done", when=not run.outcome["done"], seen=run)
            holds("exit 4: no history is there", when=not case.state().history)
        afterwards(case, None if run.exit == 4 else run)
        _admin(case, f"ALTER DATABASE {case.database.name} SET TABLESPACE pg_default")
        _admin(case, f"DROP TABLESPACE {name}")
    return Found(f"variant {case.variant}, {left >> 10} kB left")


@contextlib.contextmanager
def _small_disk(place: Path) -> Iterator[Path]:
    """Mount a file system of its own, which asks for root."""
    place.mkdir()
    size = f"size={_DISK_BYTES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", place], check=True)
    try:
        account().own(place)
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@contextlib.contextmanager
def _filled(place: Path, left: int) -> Iterator[None]:
    filling = place / "filling"
    with filling.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * (1 << 20)):
            pass
    with filling.open("r+b") as file:
        file.truncate(max(filling.stat().st_size - left, 0))
    try:
        yield
    finally:
        filling.unlink()


# --- a server that has nothing left, or does not let ----------------------------------


def _no_connection(case: Case, _seed: int) -> Found:
    taken: list[connection] = []
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(psycopg2.OperationalError):
            while True:
                taken.append(stack.enter_context(_open(case.database)))
        refused = case.run("apply", "--wait", "0")
        waiting = case.start("apply", "--wait", "60s")
        assert waiting.stdout is not None
        said = ""
        while "StillConnecting" not in said:
            said = waiting.stdout.readline()
    told = (refused.exit, refused.outcome["error"])
    holds("it is refused by name", when=told == (6, "too-many-connections"), seen=told)
    ended = finish(waiting)
    holds("who waits is let in", when=ended.exit == 0, seen=ended)
    afterwards(case, ended)
    return Found(f"variant {case.variant}, no connection left")


@contextlib.contextmanager
def _open(database: Database) -> Iterator[connection]:
    with contextlib.closing(database.connect()) as session:
        yield session


def _read_only(case: Case, _seed: int) -> Found:
    name = case.database.name
    _admin(case, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    run = case.run()
    _admin(case, f"ALTER DATABASE {name} RESET default_transaction_read_only")
    told = (run.exit, run.outcome["error"])
    holds("it is refused by name", when=told == (4, "read-only"), seen=run)
    afterwards(case, None)
    return Found(f"variant {case.variant}, read-only")


_HASTE = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


def _in_haste(case: Case, seed: int) -> Found:
    """A time-out of the database's or the role's own is not the run's."""
    with _as_a_role(case) as role:
        of_the_role = seed // len(_KINDS) % 2
        what = f"ROLE {role}" if of_the_role else f"DATABASE {case.database.name}"
        for name in _HASTE:
            _admin(case, f"ALTER {what} SET {name} = '1ms'")
        run = case.run()
        _admin(case, f"ALTER {what} RESET ALL")
        holds("it does not concern us", when=run.exit == 0, seen=run)
        afterwards(case, run)
    whose = "the role's" if of_the_role else "the database's"
    return Found(f"variant {case.variant}, {whose} timeouts of one millisecond")


_IF_THERE = "DO $$ BEGIN IF to_regclass('schema_migrations') IS NOT NULL THEN {}; END IF; END $$"
#: What a role may lose, and how it gets it back; the first ends its sessions, too.
_LOSSES = {
    "the right to log in": ("ALTER ROLE {role} NOLOGIN", "ALTER ROLE {role} LOGIN"),
    "the right to create": (
        "REVOKE CREATE ON SCHEMA public FROM {role}",
        "GRANT CREATE ON SCHEMA public TO {role}",
    ),
    "the right to the rows": (
        "REVOKE ALL ON effects FROM {role}",
        "GRANT ALL ON effects TO {role}",
    ),
    "the right to the history": (
        _IF_THERE.format("REVOKE ALL ON schema_migrations FROM {role}"),
        _IF_THERE.format("GRANT ALL ON schema_migrations TO {role}"),
    ),
}


def _privilege_lost(case: Case, seed: int) -> Found:
    """The role loses something while a message is held; the run says what it lacks."""
    places = case.bench.undisturbed(case.variant).places
    place, what = spread(seed, places, list(_LOSSES))
    with _as_a_role(case) as role, case.proxy() as proxy:
        taken, given = (sql.format(role=role) for sql in _LOSSES[what])
        armed = proxy.arm(place.met, Fault.HOLD)
        process = case.start(through=proxy)
        holds("the point is reached", when=armed.reached.wait(_REACHED_S))
        case.database.psql(taken)
        ends = what == "the right to log in"
        if ends:
            sql = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}"
            case.database.rows(sql)
        armed.release()
        run = finish(process)
        case.database.psql(given)
        if run.exit == 8 and run.outcome["error"] == "outcome-unknown":
            cure = "LOGIN" if ends else "GRANT"
            holds("the advice is the cure", when=cure in run.said, seen=run)
        if run.exit == 4:
            holds("exit 4: nothing was done", when=not run.outcome["done"], seen=run)
        afterwards(case, None if run.exit == 4 else run)
    return Found(f"variant {case.variant}, {what} lost at {place}")


@contextlib.contextmanager
def _as_a_role(case: Case) -> Iterator[str]:
    """Run as a role that owns what is there, and needs its password."""
    role = f"guest_{case.database.name}"
    case.database.psql(
        f"CREATE ROLE {role} LOGIN PASSWORD 'pw'; GRANT ALL ON SCHEMA public TO {role};"
        f"ALTER TABLE base OWNER TO {role}; ALTER TABLE effects OWNER TO {role}"
    )
    case.login = f"{role}:pw"
    try:
        yield role
    finally:
        case.close()
        case.database.psql(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


# --- what stands in the way of our names ----------------------------------------------


def _shadowed(case: Case, seed: int) -> Found:
    """Functions, operators, types, catalogs, and a history, in a schema in front."""
    words = sorted(words_of_the_engine())
    some = set(random.Random(seed).sample(words, len(words) * 2 // 3))
    shadow(case.database, "evil", some)
    case.directory = case.bench.scratch / f"shadowed-{seed}"
    case.directory.mkdir()
    for file, text in FILES.items():
        (case.directory / file).write_text(text)
    for verb in VERBS:
        run = case.run(*verb)
        holds(
            "no shadow was used", when=USED not in run.out + run.err, seen=(verb, run)
        )
        holds("it succeeds", when=run.exit == 0, seen=(verb, run))
    _admin(case, f"ALTER DATABASE {case.database.name} RESET ALL")
    left_nothing(case)
    shutil.rmtree(case.directory)
    return Found(f"a path that shadows {len(some)} words, seed {seed}")


def _named(case: Case, seed: int) -> Found:
    """Everything that is created, and the history itself, is called the same."""
    name = names.a_name(random.Random(seed))
    case.directory = case.bench.scratch / f"named-{seed}"
    case.directory.mkdir()
    for file, text in names.files(name).items():
        (case.directory / file).write_text(text, newline="")
    of_the_history = seed // len(_KINDS) % 2
    where = (f"--schema={name[:15]}s", f"--table={name}") if of_the_history else ()
    for verb in ("apply", "apply", "verify", "status"):
        run = case.run(verb, *where)
        holds(f"{verb} succeeds", when=run.exit == 0, seen=(name, run))
    left_nothing(case)
    shutil.rmtree(case.directory)
    return Found(f"objects called {name!r}{', the history too' if where else ''}")


def _file_named(case: Case, seed: int) -> Found:
    """A file whose name is none is refused before anything is contacted."""
    chance = random.Random(seed)
    case.directory = case.bench.scratch / f"files-{seed}"
    case.directory.mkdir()
    (case.directory / "0001_good.sql").write_text("CREATE TABLE good (n int);")
    file = os.fsencode(f"0002_{names.a_name(chance)}.sql".replace("/", "\\"))
    file = bytes(b if chance.randrange(9) else 0xFF for b in file[:-4]) + b".sql"
    Path(os.fsdecode(bytes(case.directory) + b"/" + file)).write_text("SELECT 1;")
    run, shown = case.run(), case.run("apply", output="text")
    told = (run.exit, run.outcome.get("error"), shown.exit)
    holds("it is refused", when=told == (3, "bad-file-name", 3), seen=(file, run))
    controls = re.findall(r"[\0-\x09\x0b-\x1f\x7f]", shown.out + shown.err)
    holds("what is printed cannot move a terminal", when=not controls, seen=shown)
    holds("nothing was contacted", when=not case.state().history)
    shutil.rmtree(case.directory)
    return Found(f"a file called {file!r}")


def _admin(case: Case, sql: str) -> None:
    with case.bench.server.admin().cursor() as cursor:
        cursor.execute(sql)


#: The disk counts for most: where it ends is another place in each case.
_KINDS = (
    *(_no_connection, _read_only, _in_haste, _shadowed, _named, _file_named),
    *(_privilege_lost,) * 5,
    *(_full_disk,) * 9,
)
