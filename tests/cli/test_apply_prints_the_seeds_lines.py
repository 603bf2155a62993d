"""What a person reads: the lines of the seeds' own logs, in their order."""

import re

SHIPPED_LINES = [
    "[Migration] Connecting to database...",
    "  Host: 127.0.0.1",
    "  Port: ",
    "  Database: ",
    "  User: postgres",
    "  Migration file: ",
    "",
    "[Migration] Loaded SQL file (",
    "[Migration] Connected successfully",
    "[Migration] Executing SQL migration...",
    "[Migration] ✓ Migration executed successfully",
    "",
    "[Verification] Checking migration results...",
    "[Verification] Created tables:",
    "  ✓ prompt_templates",
    "  ✓ prompt_executions",
    "  ✓ prompt_guardrails",
    "  ✓ ab_test_experiments",
    "",
    "=" * 60,
    "✓ MIGRATION COMPLETED SUCCESSFULLY",
    "=" * 60,
]


def steady(text, project):
    """Return the output with what differs between runs made equal."""
    text = text.replace(f"Port: {project.database.server.port}", "Port: 5432")
    text = text.replace(project.database.name, "vividly")
    return re.sub(r"\d+(\.\d+)? m?s\b", "N ms", text)


def test_the_shipped_migration_prints_the_seeds_lines_in_order(project):
    """Every line of the seeds' "Cloud Run Job Execution Logs" appears, in that order."""
    from tests.fix_cli import CHECKOUT

    finished = project("apply", "--dir", CHECKOUT / "migrations")
    lines = iter(finished.out.splitlines())

    assert 0 == finished.exit
    missing = [
        wanted
        for wanted in SHIPPED_LINES
        if not any(
            line == wanted or (wanted and line.startswith(wanted)) for line in lines
        )
    ]
    assert [] == missing
    assert "" == finished.err


def test_one_file_prints_this(project, golden, tmp_path):
    """One migration from an empty database, to the letter."""
    project.write(
        {
            "0001_users.sql": "CREATE TABLE users (id int PRIMARY KEY);\n"
            "CREATE INDEX users_id ON users (id);\n",
            "0001_users.verify.sql": "-- users can be read\n"
            "SELECT count(*) = 0 FROM users;\n",
        }
    )

    finished = project("apply", "--dir", "migrations", cwd=tmp_path)

    assert 0 == finished.exit
    golden(steady(finished.out, project), "cli/apply_one_file.txt")


def test_several_files_and_a_failure_print_this(project, golden, tmp_path):
    """Three migrations of which the second fails, to the letter, errors included."""
    project.write(
        {
            "0001_users.sql": "CREATE TABLE users (id int);\n",
            "0002_teams.sql": "CREATE TABLE teams (id int);\n"
            "INSERT INTO teams VALUES (1),\n    ('many');\n",
            "0003_roles.sql": "CREATE TABLE roles (id int);\n",
        }
    )

    finished = project("apply", "--dir", "migrations", cwd=tmp_path)

    assert 7 == finished.exit
    golden(
        steady(finished.out + "--- stderr\n" + finished.err, project),
        "cli/apply_second_of_three_fails.txt",
    )


def test_nothing_pending_prints_this(project, golden, tmp_path):
    """A run without work, to the letter."""
    project.write({"0001_users.sql": "CREATE TABLE users (id int);\n"})
    assert 0 == project("apply").exit

    finished = project("apply", "--dir", "migrations", cwd=tmp_path)

    assert 0 == finished.exit
    golden(steady(finished.out, project), "cli/apply_nothing_pending.txt")


def test_the_password_is_printed_nowhere(project):
    """Host, port, database and user are shown; the password never is."""
    url = project.database.server.url(project.database.name, password="s3cr3t-w0rd")
    project.write({"0001_a.sql": "SELECT 1;"})

    finished = project("apply", "--output", "json", env={"DATABASE_URL": url})

    assert 0 == finished.exit
    assert "s3cr3t-w0rd" not in finished.out + finished.err
