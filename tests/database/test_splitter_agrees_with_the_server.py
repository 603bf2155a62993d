"""The splitter against psql and a real server, with psql as the truth.

What psql sends is recorded on its way to the server and compared with what our splitter
finds: the statements, and the COPY data that go with them.
"""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.corpora.splitter_agreement import compare, found, heard, neutral

EXECUTED = r"""
CREATE TABLE t (a text); -- one; two
/* ; /* ; */ */ INSERT INTO t VALUES ('a;''b'), (E'\';'), ($$;$$), ($a$ $$;$$ $a$), (
  '1;'
  '2;');;
COPY t FROM stdin; SELECT 'beside the COPY';
x;
'y
\N
\\.

\.
COPY t (a) FROM STDOUT WITH (FORMAT csv) WHERE a <> '';
"1;
2",
\.
CREATE FUNCTION f(x int) RETURNS int LANGUAGE sql
BEGIN ATOMIC
  SELECT CASE WHEN x > 1 THEN 1 ELSE 2 END;
  SELECT x + 1;
END;
CREATE OR REPLACE PROCEDURE "p;"() LANGUAGE plpgsql AS $body$
BEGIN PERFORM 1; CASE WHEN true THEN NULL; END CASE; END $body$;
CREATE RULE r AS ON DELETE TO t DO ALSO (SELECT 1; SELECT ';)');
SELECT 1 AS "semi;""colon", U&'\0041;', b'1', x'f', n'é𝄞;', 2 +-- ;
  3 */* ; */ 4, ARRAY[1, 2], '12:30'::time;
SET standard_conforming_strings = off;
SELECT '\';';
SET standard_conforming_strings TO DEFAULT;
SELECT set_config('standard_conforming_strings', 'off', false);
SELECT '\'', b'1', ';';
RESET standard_conforming_strings;
BEGIN;
SET LOCAL standard_conforming_strings = off;
SELECT '\';';
COMMIT;
SELECT '\';
COPY t TO STDOUT;
COPY nowhere_to_be_found TO STDOUT;
SELECT 1 -- no semicolon; here
"""

WORDS = (  # noqa: SIM905
    "select create function or replace procedure begin atomic case end a$b$ é 𝄞 1 $1"
    " '' ' 'a;' e'\\'' u&' u&\" \" \"a;\" n' b' x'f' $$ $a$ $$;$$ $é$ $ -- --a; - /"
    " /* */ /**/ /*/ //*a;*/ * + -/* ( ) (; [ ] ; ; : :: := :'a' , . #- ?| 1$$ 0x1F"
).split()
LINES = [
    "SET standard_conforming_strings = off;\n",
    "RESET standard_conforming_strings;\n",
    "COPY t FROM stdin;\n1;'\t\"\n\\.\n",
    "--\n",
    "\r",
]
scripts = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(WORDS), st.sampled_from(LINES)),
        st.sampled_from([" ", " ", "\n"]),
    ),
    max_size=30,
).map(lambda pairs: "".join(map("".join, pairs)).encode())


def difference(theirs, script):
    """Return what differs, or nothing."""
    _, _, text = compare(theirs, script)
    return text


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_script_is_executed_in_the_same_pieces(any_version_database, end):
    """The server receives from psql the statements and data that the splitter finds."""
    script = EXECUTED.replace("\n", end).encode()
    server, name = any_version_database

    theirs = heard(server, script, database=name, execute=True)

    assert "" == difference(theirs, script)
    assert len(theirs) == len(list(found(script)))


@pytest.mark.parametrize(
    "script",
    [
        b"\xef\xbb\xbfSELECT 1;",
        b"SELECT (1;\nSELECT 2",
        b"CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;\nSELECT 2;",
        b"CREATE FUNCTION begin() RETURNS int LANGUAGE sql RETURN 1; SELECT 2; END;",
        b"CREATE TEMP TABLE t (a text);\nCOPY t FROM stdin;\na\nno end\n",
        b"CREATE TEMP TABLE t (a text);\nCOPY t FROM stdin",
        b"\\restrict agreement\nSELECT 1;\n\\unrestrict agreement\nSELECT 2;",
        b"-- nothing\n/* at; all */ ;;",
    ],
)
def test_odd_scripts_are_read_alike(postgres_server, script):
    """Files that are broken, or end too early, reach the server in the same pieces."""
    theirs = heard(postgres_server, script, execute=True)

    assert "" == difference(theirs, script)


@given(scripts)
@example(b"create function f() begin atomic case end ; ; end ; select ';' ;")
def test_any_text_is_split_alike(postgres_server, script):
    """However fragments are put together, psql and the splitter see the same ends."""
    script = neutral(script)

    theirs = heard(postgres_server, script)

    assert "" == difference(theirs, script)
