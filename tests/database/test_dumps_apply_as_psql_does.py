"""Files as pg_dump writes them leave what ``psql -f`` would leave."""

import subprocess

DUMP = r"""--
-- PostgreSQL database dump
--

\restrict hJ3kd92LsmA0

-- Dumped from database version 16.4

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;

CREATE TABLE public.people (
    id integer NOT NULL,
    name text,
    note text DEFAULT 'a\b'::text
);

COPY public.people (id, name, note) FROM stdin;
1	Zoë	\N
2	a\tb	c:\\temp

3	\\.	end
\.

ALTER TABLE ONLY public.people ADD CONSTRAINT people_pkey PRIMARY KEY (id);

\unrestrict hJ3kd92LsmA0
"""
BROKEN_LINE = "\n3\t"
GOOD = DUMP.replace("temp\n" + BROKEN_LINE, "temp\n3\t")
ROWS = "SELECT id, name, note FROM public.people ORDER BY id"


def schema(database):
    """Return the database as pg_dump shows it, our history left out."""
    server = database.server
    ran = subprocess.run(
        [server.program("pg_dump"), "-d", database.dsn, "-T", "schema_migrations*"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = ran.stdout.splitlines()
    return [line for line in lines if not line.startswith(("\\restrict", "\\unrestr"))]


def test_a_dump_leaves_what_psql_leaves(project):
    """Settings, COPY data and restrict lines included, the databases are equal."""
    other = project.database._replace(name=project.database.server.create_database())
    project.write(
        {"0001_dump.sql": GOOD, "0002_next.sql": "CREATE TABLE here (x int);"}
    )

    finished = project("apply")
    other.psql(
        GOOD.replace("\\restrict hJ3kd92LsmA0", "").replace(
            "\\unrestrict hJ3kd92LsmA0", ""
        )
        + "CREATE TABLE public.here (x int);"
    )
    same = schema(project.database) == schema(other)
    project.database.server.drop_database(other.name)

    assert 0 == finished.exit, finished.err
    assert same
    assert [
        (1, "Zoë", None),
        (2, "a\tb", "c:\\temp"),
        (3, "\\.", "end"),
    ] == project.database.rows(ROWS)


def test_an_empty_line_in_the_data_is_an_error_with_its_line(project):
    """What psql would refuse is refused, and the data line is named."""
    project.write({"0001_dump.sql": DUMP})

    failed = project("apply")

    line = DUMP[: DUMP.index(BROKEN_LINE)].count("\n") + 1
    assert 7 == failed.exit
    assert f"0001_dump.sql:{line}:1:" in failed.err
    assert [] == project.history()
    assert "people" not in project.tables()


def test_strings_with_backslashes_follow_standard_conforming_strings(project):
    """With the setting off, a backslash escapes, for the splitter as for the server."""
    project.write(
        {
            "0001_old.sql": "SET standard_conforming_strings = off;\n"
            "SET escape_string_warning = off;\n"
            "CREATE TABLE t AS SELECT 'it\\'s; here' AS v;\n",
            "0002_new.sql": "INSERT INTO t VALUES ('back\\slash');\n",
        }
    )

    finished = project("apply")

    assert 0 == finished.exit, finished.err
    assert {("it's; here",), ("back\\slash",)} == set(
        project.database.rows("SELECT v FROM t")
    )


def test_a_file_in_another_client_encoding_is_sent_as_it_is_said(project):
    """A file must be UTF-8; SET client_encoding in it must not garble what it stores."""
    project.write(
        {
            "0001_a.sql": "SET client_encoding = 'UTF8';\nCREATE TABLE t (v text);\n"
            "INSERT INTO t VALUES ('Füße');\n",
            "0002_b.sql": "INSERT INTO t VALUES ('größer');\n",
        }
    )

    finished = project("apply")

    assert 0 == finished.exit, finished.err
    assert [("Füße",), ("größer",)] == project.database.rows("SELECT v FROM t")
