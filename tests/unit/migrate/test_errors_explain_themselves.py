"""Every foreseen error says what, where, and what to do next; the texts are golden."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from migrate import errors, faults, misfits, refusals
from migrate.drift import Disagreement
from migrate.errors import ExitCode, ExplainedError

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "errors"

EMAIL = "0002_add_email.sql"
PLACE: dict[str, Any] = {"file": EMAIL, "line": 3, "column": 14}
NO_SESSION = {"target": "app@10.0.0.3:5432/shop", "reason": "the server said no"}

#: One example of each error, filled in as a run would fill it in.
SAMPLES: list[ExplainedError] = [
    errors.UnterminatedText(**PLACE, what="quoted string"),
    misfits.NulByte(**PLACE),
    misfits.BackslashCommand(**PLACE, command=r"\connect"),
    errors.NotUtf8(**PLACE, byte=0xE9),
    errors.UnreadableDirectory(directory="migrations", reason="Permission denied"),
    errors.UnreadableFile(file=EMAIL, reason="Permission denied"),
    errors.NoMigrations(directory="migrations"),
    errors.BadFileName(file="add email.sql"),
    errors.DuplicateVersion(
        version="0002", first="0002_add_email.sql", second="2_x.sql"
    ),
    errors.OrphanFile(file="0003_gone.down.sql"),
    errors.EmptyFile(file=EMAIL),
    misfits.CopyToClient(file=EMAIL, line=3),
    misfits.CheckEndsTransaction(file=EMAIL, line=3, statement="ROLLBACK;"),
    errors.UnknownDirective(
        file=EMAIL, line=1, directive="timeout", known=("lock_timeout", "requires")
    ),
    errors.BadDirective(
        file=EMAIL,
        line=1,
        directive="transaction",
        value="no",
        reason="it is true or false",
    ),
    misfits.CannotBeTransactional(file=EMAIL, reason="line 3: VACUUM"),
    errors.UnmetRequirement(file=EMAIL, required="0001"),
    errors.BadArguments(
        reason="unrecognized arguments: --wiat",
        usage="usage: python -m migrate apply [-h] [--env NAME]",
    ),
    errors.BadDatabaseUrl(reason="its percent-encoding is not UTF-8"),
    errors.NoDatabaseUrl(),
    errors.BadSetting(origin="--wait", value="5", reason="it is a number with a unit"),
    errors.UnknownEnvironment(name="produktion", known="dev, local, prod"),
    errors.EnvironmentFileWrong(
        file="environments/dev.yaml", line=7, reason="unknown setting 'wiat'"
    ),
    errors.UnknownVersion(version="7", newest="0002"),
    errors.ConfirmationNeeded(verb="rollback"),
    errors.EmbeddedMissing(),
    refusals.ServerUnreachable(**NO_SESSION),
    refusals.SocketMissing(**NO_SESSION),
    refusals.LoginRefused(**NO_SESSION),
    refusals.ConnectDenied(**NO_SESSION),
    refusals.DatabaseMissing(**NO_SESSION),
    refusals.ServerFull(**NO_SESSION),
    refusals.ServerTooOld(**NO_SESSION),
    refusals.StringsNotStandard(**NO_SESSION),
    refusals.StatementPooling(**NO_SESSION),
    refusals.ConnectionLost(**NO_SESSION),
    refusals.TokenRefused(**NO_SESSION),
    refusals.DriftBlocks(
        found=(
            ("edited", "0001", "0001_users.sql is not the text that was applied"),
            ("missing", "0002", "version 0002 (b) is applied, its file is gone"),
            ("out of order", "0003", "0003_c.sql is older than version 4"),
            ("unfinished", "0004", "0004_d.sql began and did not finish"),
        )
    ),
    refusals.NotTogether(file=EMAIL, version="0002", reason="line 3: VACUUM"),
    refusals.ForeignHistory(
        table="public.schema_migrations", owner="golang-migrate", versions="at 7"
    ),
    refusals.NewerHistory(table="public.schema_migrations", layout=9, known=3),
    refusals.ReadOnlyServer(why="the server is in recovery"),
    refusals.PrivilegeMissing(
        privilege="CREATE",
        target="schema public",
        role="app",
        grant="GRANT CREATE ON SCHEMA public TO app;",
    ),
    refusals.HistoryRefused(
        table="public.schema_migrations", reason="disk full (SQLSTATE 53100)"
    ),
    refusals.NothingToUndo(version="0002", reason="it has no .down.sql"),
    refusals.NothingToRepair(reason="version 0002 is not in the history"),
    refusals.PooledSessionState(file=EMAIL, line=3),
    refusals.LockHeld(holder="pid 4711 (cloudrun-migrate) from 10.0.0.9"),
    faults.StatementFailed(
        **PLACE,
        source="\tALTER TABLE\tuser ADD email text;",
        sqlstate="42601",
        message='syntax error at or near "user"',
        detail="the detail",
        server_hint="the hint",
        context="the context",
        note="the note",
    ),
    faults.SessionLost(file=EMAIL, reason="the server closed the connection"),
    faults.Interrupted(signal="SIGTERM", file=EMAIL),
    faults.RecordRefused(
        file=EMAIL,
        reason="role app lacks INSERT on table public.schema_migrations",
        cure="GRANT INSERT ON public.schema_migrations TO app;",
    ),
    faults.HiddenSetting(
        file=EMAIL, line=3, setting="standard_conforming_strings", value="off"
    ),
    faults.LockReleased(file=EMAIL),
    faults.LeaseLost(file=EMAIL),
    faults.StoppedMidway(
        failure=f"{EMAIL}:3:14: no such table", done=2, total=5, version="0002"
    ),
    faults.StatementInDoubt(
        version="0002", file=EMAIL, line=3, number=2, statement="ALTER TYPE mood …"
    ),
    faults.InvalidIndex(
        file=EMAIL, line=3, index="users_email", whose="it is not ours"
    ),
    faults.EditedMidway(file=EMAIL, done=2),
    faults.OutcomeUnknown(file=EMAIL, reason="the server does not answer"),
    faults.CommitLost(missing=("0002", "0003"), reason="the session was lost"),
    faults.CheckFailed(
        file=EMAIL, line=3, check="no user lacks one", reason="it is false"
    ),
    faults.NotAsApplied(
        problems=("table users is gone", "index users_email is INVALID")
    ),
]
# The orchestrator's errors have the same base, and may be loaded in the same process.
CLASSES = [k for k in ExplainedError.all() if k.__module__.startswith("migrate.")]


def words(error: ExplainedError) -> str:
    return f"{error}\n\n{error.advice()}\n"


def test_every_class_has_an_example():
    """An error that nobody wrote an example of cannot be read by a reviewer."""
    exemplified = {type(sample) for sample in SAMPLES}

    forgotten = [kind.__name__ for kind in CLASSES if kind not in exemplified]

    assert [] == forgotten


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.code)
def test_the_text_is_the_golden_one(sample, golden):
    """What an error says changes only when somebody has read the change."""
    text = words(sample)

    golden(text, f"errors/{sample.code}.txt")


def test_no_golden_text_is_left_over():
    """A golden file belongs to an error that exists."""
    codes = {kind.code for kind in CLASSES}

    files = {file.stem for file in GOLDEN.iterdir()}

    assert codes == files


def test_codes_are_unique():
    """A code names one error: scripts and searches rely on it."""
    codes = [kind.code for kind in CLASSES]

    assert sorted(set(codes)) == sorted(codes)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.code)
def test_an_error_ends_a_run_with_a_status_of_its_family(kind):
    """No foreseen error is a bug, and none is a success."""
    status = kind.exit_code

    assert isinstance(status, ExitCode)
    assert status not in {ExitCode.OK, ExitCode.BUG}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.code)
def test_an_error_survives_pickling(sample):
    """An error that crosses a process says the same on the other side."""
    copy = pickle.loads(pickle.dumps(sample))

    assert type(sample) is type(copy)
    assert vars(sample) == vars(copy)
    assert words(sample) == words(copy)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.code)
def test_a_hint_is_filled_in(sample):
    """No brace of a hint's template is left for the reader."""
    advice = sample.advice()

    assert advice
    assert "{" not in advice


def test_exit_codes_are_a_contract():
    """They are never renumbered: jobs and scripts compare them."""
    numbers = {code.name: int(code) for code in ExitCode}

    assert {
        "OK": 0,
        "BUG": 1,
        "USAGE": 2,
        "SOURCE": 3,
        "BLOCKED": 4,
        "LOCKED": 5,
        "UNREACHABLE": 6,
        "FAILED": 7,
        "NEEDS_REPAIR": 8,
        "PENDING": 9,
        "UNVERIFIED": 10,
    } == numbers


def failed(source: str, column: int) -> list[str]:
    error = faults.StatementFailed(
        file=EMAIL, line=1, column=column, source=source, sqlstate="42601", message="no"
    )
    return str(error).splitlines()


def test_the_caret_stands_below_the_place_also_after_tabs():
    """Tabs above the caret are tabs before it: no width is assumed."""
    _, line, caret = failed("\ta\tb", 4)

    assert "  \ta\tb" == line
    assert "  \t \t^" == caret


@pytest.mark.parametrize("column", [1, 99, 100, 101, 500, 900, 950, 1000, 1001])
def test_a_long_line_is_shown_around_its_place(column):
    """Of a line of a thousand characters the part that matters is shown."""
    source = "".join(chr(0x4E00 + i) for i in range(1000))

    _, line, caret = failed(source, column)

    assert len(line) < 250
    assert (source + " ")[column - 1] == (line + " ")[caret.index("^")].replace(
        "…", " "
    )


def test_what_the_server_did_not_say_takes_no_line():
    """Neither DETAIL nor HINT nor CONTEXT is announced empty."""
    lines = failed("SELECT", 1)

    assert 3 == len(lines)


def test_a_run_can_be_stopped_between_files():
    """An interruption before any file names none."""
    text = str(faults.Interrupted(signal="SIGINT"))

    assert "stopped by SIGINT" == text


@pytest.mark.parametrize("sqlstate", ["55P03", "40P01", "40001"])
def test_what_others_held_is_no_fault_of_the_file(sqlstate):
    """A lock timeout, a deadlock or a conflict asks for patience, not for an edit."""
    error = faults.StatementFailed(
        **PLACE, source="ALTER TABLE users", sqlstate=sqlstate, message="no"
    )

    advice = error.advice()

    assert "correct" not in advice
    assert "--lock-tries" in advice


def test_what_was_only_stopped_has_nothing_to_correct():
    """After a signal the same file is applied again; none done is said in words."""
    error = faults.StoppedMidway(
        failure="stopped by SIGTERM", done=0, total=5, version="0002", at_fault=False
    )

    text = words(error)

    assert (
        "stopped by SIGTERM\n  none of its 5 statements is applied\n\n"
        "apply again: it resumes there\n"
    ) == text


@pytest.mark.parametrize(
    ("done", "at_fault", "advice"),
    [
        (2, True, "correct the statement; make those done repeatable (IF EXISTS), or "),
        (
            2,
            False,
            "make those done repeatable (IF EXISTS), or remove them; run rollback",
        ),
        (0, True, "correct the statement; run rollback again: 2.down.sql begins anew"),
        (0, False, "run rollback again: 2.down.sql begins anew at its first statement"),
    ],
)
def test_what_undoes_begins_anew(done, at_fault, advice):
    """No history counts the statements of a .down.sql: nothing is said to resume."""
    error = faults.StoppedMidway(
        failure="no",
        done=done,
        total=3,
        version="2",
        at_fault=at_fault,
        undo="2.down.sql",
    )

    text = words(error)

    stay = "statements 1 to 2 of 3 stay" if done else "none of its 3 statements is"
    assert f"no\n  {stay} done; version 2 stays in the history\n\n{advice}" in text
    assert "apply" not in text


@pytest.mark.parametrize("sqlstate", ["42P01", "55P03"])
def test_what_undoes_is_run_again_by_its_own_verb(sqlstate):
    """To apply after a rollback that failed would do the opposite of what was meant."""
    place = {**PLACE, "file": "0002_add_email.down.sql"}
    failed = faults.StatementFailed(
        **place, source="DROP TABLE x", sqlstate=sqlstate, message="no"
    )
    lost = faults.SessionLost(file="0002_add_email.down.sql", reason="gone")

    advice = [failed.advice(), lost.advice()]

    assert all("run rollback again" in one for one in advice)
    assert not any("apply" in one for one in advice)
    assert "status tells whether it is undone" in advice[1]


def test_every_disagreement_has_a_cure():
    """Whatever directory and history disagree about, the advice can be written."""
    kinds = {kind.value for kind in Disagreement}

    assert kinds == set(refusals.DriftBlocks._CURES)


PASSWORDS = {
    "ALTER ROLE a PASSWORD 'se''cret' VALID": "ALTER ROLE a PASSWORD ********** VALID",
    "create user b password E'x": "create user b password ***",
    "OPTIONS (user 'a', password 'b c')": "OPTIONS (user 'a', password *****)",
    "dblink('host=a password=abc x')": "dblink('host=a password=*** x')",
    "SELECT password FROM users": "SELECT password FROM users",
    "SELECT 'abc'": "SELECT 'abc'",
}


@pytest.mark.parametrize(("sql", "shown"), PASSWORDS.items())
def test_a_password_that_a_statement_sets_is_not_repeated(sql, shown):
    """Neither in its line nor in the server's words; the caret stays where it was."""
    error = faults.StatementFailed(
        file=EMAIL,
        line=1,
        column=1,
        source=sql,
        sqlstate="22007",
        message="no",
        context=sql,
    )

    said = str(error).splitlines()

    assert [f"  {shown}", "  ^", f"  CONTEXT: {shown}"] == said[1:]
    assert len(sql) == len(shown)


def test_what_keeps_a_question_from_its_answer_is_cured_first():
    """Where the server is there and refuses us, waiting for it is no advice."""
    error = faults.OutcomeUnknown(file=EMAIL, reason="no login", cure="ALTER ROLE")

    advice = error.advice()

    assert "ALTER ROLE; then apply again: the history tells whether" in advice
