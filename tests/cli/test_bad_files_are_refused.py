"""Every wrong file or directory: its own error, exit 3, and nothing was contacted."""

import pytest

GOOD = {"0001_good.sql": "CREATE TABLE good ();"}
SOURCE = 3
#: name: (files beside a good first one, what is said)
WRONG: dict[str, tuple[dict[str, str | bytes], list[str]]] = {
    "two files with one version": (
        {"0002_a.sql": "SELECT 1;", "2_b.sql": "SELECT 1;"},
        ["version 2 stands twice: 0002_a.sql and 2_b.sql", "next free version"],
    ),
    "a name without number": (
        {"users.sql": "SELECT 1;"},
        ["'users.sql' is not a migration's name", "NNNN_name.sql"],
    ),
    "a name with a blank": (
        {"0002_a b.sql": "SELECT 1;"},
        ["'0002_a b.sql' is not a migration's name"],
    ),
    "a name that is no text, and would forge a line": (
        {"0002_\udcff\x1b[31m\nerror.sql": "SELECT 1;"},
        [r"'0002_\udcff\x1b[31m\nerror.sql' is not a migration's name"],
    ),
    "a role that does not exist": (
        {"0002_a.up.sql": "SELECT 1;"},
        ["'0002_a.up.sql' is not a migration's name"],
    ),
    "a down file of nothing": (
        {"0002_gone.down.sql": "SELECT 1;"},
        ["0002_gone.down.sql belongs to no migration"],
    ),
    "checks of nothing": (
        {"0002_gone.verify.sql": "SELECT 1;"},
        ["0002_gone.verify.sql belongs to no migration"],
    ),
    "not UTF-8": (
        {"0002_a.sql": "SELECT 1;\nSELECT 'größer';".encode("latin-1")},
        ["0002_a.sql:2:11: byte 0xf6 is not UTF-8", "iconv"],
    ),
    "UTF-16": (
        {"0002_a.sql": "SELECT 1;".encode("utf-16")},
        ["0002_a.sql:1:1: byte 0xff is not UTF-8"],
    ),
    "a NUL byte": (
        {"0002_a.sql": b"SELECT 1;\nSELECT '\0';"},
        ["0002_a.sql:2:9: a NUL byte, which PostgreSQL takes in no text", "UTF-16LE"],
    ),
    "an empty file": ({"0002_a.sql": ""}, ["0002_a.sql holds no statement"]),
    "comments alone": (
        {"0002_a.sql": "-- later\n/* perhaps */\n;\n"},
        ["0002_a.sql holds no statement"],
    ),
    "an unterminated quote": (
        {"0002_a.sql": "SELECT 1;\n\nINSERT INTO t\n  VALUES ('it''s);\nSELECT 2;\n"},
        ["0002_a.sql:4:11: quoted string begins here and is never closed"],
    ),
    "an unterminated dollar quote": (
        {"0002_a.sql": "SELECT 1;\nDO $body$\nBEGIN\nEND $bodi$;\n"},
        ["0002_a.sql:2:4: dollar quote $body$ begins here and is never closed"],
    ),
    "an unterminated comment": (
        {"0002_a.sql": "SELECT 1;\n/* a /* nested */ one\nSELECT 2;\n"},
        ["0002_a.sql:2:1: comment begins here and is never closed"],
    ),
    "an unterminated name": (
        {"0002_a.sql": 'SELECT 1;\nSELECT "name FROM t;\n'},
        ["0002_a.sql:2:8: quoted name begins here and is never closed"],
    ),
    "a backslash command": (
        {"0002_a.sql": "SELECT 1;\n\\i other.sql\n"},
        ["0002_a.sql:2:1: psql command \\i cannot be applied"],
    ),
    "a backslash command after a statement": (
        {"0002_a.sql": "SELECT 1 \\gexec\n"},
        ["0002_a.sql:1:10: psql command \\gexec cannot be applied"],
    ),
    "a directive that does not exist": (
        {"0002_a.sql": "-- a file\n-- migrate: lock_timout=5s\nSELECT 1;"},
        ["0002_a.sql:2: unknown directive 'lock_timout'", "lock_timeout"],
    ),
    "a directive without value": (
        {"0002_a.sql": "-- migrate: transaction\nSELECT 1;"},
        ["0002_a.sql:1: directive transaction='': it has no value"],
    ),
    "a directive with a bad value": (
        {"0002_a.sql": "-- migrate: statement_timeout=30\nSELECT 1;"},
        ["0002_a.sql:1: directive statement_timeout='30'", "unit: ms, s, min or h"],
    ),
    "a directive that is neither true nor false": (
        {"0002_a.sql": "-- migrate: transaction=no\nSELECT 1;"},
        ["0002_a.sql:1: directive transaction='no': it is true or false"],
    ),
    "a directive twice": (
        {
            "0002_a.sql": "-- migrate: lock_timeout=1s\n-- migrate: lock_timeout=2s\n"
            "SELECT 1;"
        },
        ["0002_a.sql:2: directive lock_timeout='2s': it stands twice"],
    ),
}


@pytest.fixture
def run_migrate(migrate_inside):
    """Run a case in this process: it differs from the next by a file or a name."""
    return migrate_inside


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_stops_the_run_before_the_first(project, what):
    """Exit 3, file, line and cure; the good file before it was not applied either."""
    files, expected = WRONG[what]
    project.write({**GOOD, **files})

    refused = project("apply")

    assert SOURCE == refused.exit
    assert [] == [text for text in expected if text not in refused.err]
    assert "  → " in refused.err
    assert [] == project.tables()


@pytest.mark.parametrize(
    "what", ["two files with one version", "an empty file", "a backslash command"]
)
def test_a_wrong_file_is_refused_by_plan_too(project, what):
    """What apply will refuse is seen before; the database is only read."""
    files, expected = WRONG[what]
    project.write({**GOOD, **files})

    refused = project("plan")

    assert SOURCE == refused.exit
    assert expected[0] in refused.err
    assert [] == project.tables()


def test_a_directory_that_is_not_there_is_refused(project, tmp_path):
    """The directory and the system's reason are named, and the option to set."""
    refused = project("apply", "--dir", tmp_path / "nowhere")

    assert SOURCE == refused.exit
    assert "nowhere' cannot be read: No such file or directory" in refused.err
    assert "--dir or MIGRATE_DIR" in refused.err


def test_a_file_is_no_directory(project, tmp_path):
    """Naming a file where a directory is wanted says so."""
    project.write(GOOD)

    refused = project("apply", "--dir", project.directory / "0001_good.sql")

    assert SOURCE == refused.exit
    assert "cannot be read: Not a directory" in refused.err


def test_a_directory_without_migrations_is_refused(project):
    """An empty directory is never "nothing pending": it is most likely the wrong one."""
    project.write({"README.md": "notes"})

    refused = project("apply")

    assert SOURCE == refused.exit
    assert "there is no migration in" in refused.err
    assert "python -m migrate new" in refused.err


def test_a_link_to_nowhere_is_a_file_that_cannot_be_read(project):
    """A file that cannot be opened is named with the reason; nothing is applied."""
    project.write(GOOD)
    (project.directory / "0002_gone.sql").symlink_to("nowhere")

    refused = project("apply")

    assert SOURCE == refused.exit
    assert "0002_gone.sql cannot be read: No such file or directory" in refused.err
    assert [] == project.tables()


def test_the_json_of_a_refusal_ends_with_an_end_marker(project):
    """A machine learns of a wrong file as of any other outcome."""
    import json

    project.write({"0001_a.sql": "SELECT '"})

    refused = project("apply", "--output", "json")
    last = json.loads(refused.out.splitlines()[-1])

    assert SOURCE == refused.exit
    assert ("End", SOURCE, "unterminated") == (
        last["event"],
        last["fields"]["exit_code"],
        last["fields"]["error"],
    )
