"""Texts for the splitter: valid SQL that hypothesis chooses, and real SQL, mutated.

Used by `splitting`. What is generated is meant to be valid, since a server says nothing of
use about nonsense; what is mutated may be anything. Real SQL is what the servers of the
tests bring along: the scripts of their catalogs and extensions.
"""

import functools
import random
import re
from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

from tests.postgres_programs import binaries


def _parted(text: str) -> list[str]:
    return text.split(" ")


# --- generated ------------------------------------------------------------------------

_GAPS = [
    *([" "] * 16),
    *("\n", "\t", "\r\n", "\f", " -- ; '\n", "--\r", " /* ; */ ", "/* ' /* ; */ \" */"),
]
_NAMES = _parted(
    'a t é 名 a$b a$1$ _ "a" "semi;colon" "do""uble" "dol$$lar" "--" "/*" U&"\\0061;"'
    ' "begin" "CASE" beginning end1 case_ x$case$'
)
_LITERALS = [
    *_parted("1 0x1F 1_000 .5 1e3 $1 NULL TRUE b'01' x'1F' X'AB' ''"),
    *_parted("';' 'it''s' 'a\n;b' '\\' 'a--b' '/*' 'a' '$$' '\"'"),
    *_parted(r"E'\';' e'\\' E'\n''' E'a' U&'\0041;' U&'\\' n'é;' N'𝄞'"),
    *_parted("$$;$$ $é$;$é$ $_1$--$_1$ $$'$$ $$$$"),
    *("$a$ $$;$$ ' $a$", "'a'\n';b'", "'a' -- c\n  ';'", "E'\\''\n'\\';'"),
]
_OPERATORS = _parted("+ - * / || <> = <-> ~ !~ % ^ << AND OR @-@ *- #>>")
_TAGS = ["$$", "$body$", "$é_1$"]
#: %n a name, %l a literal, %e an expression, %o an operator, %s any statement, %b plain
#: statements with their semicolons, %q the same in dollar quotes, %i one of them.
_EXPRESSIONS = """
%n
%l
( %e )
%e %o %e
CASE WHEN %e THEN %e ELSE %e END
CASE %e WHEN %e THEN %e END
%n ( %e , %e )
ARRAY[ %e , %e ]
( %e )::text
( SELECT %e )
"""
_PLAIN = """
SELECT %e
INSERT INTO %n VALUES ( %e )
UPDATE %n SET a = %e WHERE %e
DELETE FROM %n WHERE %e
"""
_STATEMENTS = """
VALUES ( %e ), ( %e )
CREATE TABLE %n ( %n text DEFAULT ( %e ) )
CREATE VIEW %n AS SELECT %e
COMMENT ON TABLE %n IS 'it''s;--/*$$'
CREATE RULE r AS ON DELETE TO %n DO ALSO ( %b )
DO %q
CREATE FUNCTION %n () RETURNS int LANGUAGE sql AS %q
create or replace function %n () RETURNS int LANGUAGE sql RETURN %e
CREATE OR REPLACE FUNCTION %n () RETURNS int LANGUAGE sql BEGIN ATOMIC %b END
create procedure %n () begin atomic %b end
PREPARE t AS SELECT %e
DECLARE c CURSOR FOR SELECT %e
BEGIN
COMMIT
END
SAVEPOINT a
SHOW ALL
"""
_SCRIPT = ["%s ;", "%s ; %s ;", ";", "--;\n", "/*;*/"]
_RARE = [
    "SET standard_conforming_strings = off;",
    "SET SESSION standard_conforming_strings TO 'on';",
    "RESET standard_conforming_strings;",
    "COPY t FROM stdin;\n1;'\t\"\n\\\\.\n\\.\n",
]
_ONE_IN = 40
_DEEPEST = 3


class _Writer:
    """Writes SQL by a grammar; each byte it is given is one choice, none is the first."""

    def __init__(self, choices: bytes) -> None:
        self._choices = iter(choices)
        self._depth = 0
        plain, every = _PLAIN.strip().splitlines(), _STATEMENTS.strip().splitlines()
        self._forms = {
            "%e": _EXPRESSIONS.strip().splitlines(),
            "%i": plain,
            "%s": plain + every,
        }
        self._words = {"%n": _NAMES, "%l": _LITERALS, "%o": _OPERATORS}

    def script(self) -> str:
        """Return a script; its last statement may lack its semicolon."""
        text = self._choose(["", "", "", "\ufeff"])
        for _ in range(1 + self._number(5)):
            rare = self._number(_ONE_IN) == _ONE_IN
            text += self._choose(_RARE) if rare else self._write(self._choose(_SCRIPT))
        return text + self._write(self._choose([";", "%s"]))

    def _choose(self, options: Sequence[str]) -> str:
        return options[next(self._choices, 0) % len(options)]

    def _number(self, most: int) -> int:
        return next(self._choices, 0) % (most + 1)

    def _write(self, form: str) -> str:
        return "".join(
            self._choose(_GAPS) + self._word(word) for word in form.split(" ")
        )

    def _word(self, word: str) -> str:
        if word in self._words:
            return self._choose(self._words[word])
        if word == "%b":
            return "".join(self._write("%i ;") for _ in range(self._number(3)))
        if word == "%q":
            tag = self._choose(_TAGS)
            return tag + self._word("%b").replace("$", "") + tag
        if word not in self._forms:
            return word
        deep = word == "%e" and self._depth >= _DEEPEST
        self._depth += 1
        text = self._write(self._choose(self._forms[word][: 2 if deep else None]))
        self._depth -= 1
        return text


#: Scripts: what a file of migrations may hold.
scripts = st.binary(min_size=40, max_size=400).map(
    lambda choices: _Writer(choices).script().encode()
)

# --- real, mutated --------------------------------------------------------------------

_BITS = [
    bit.encode()
    for bit in _parted(
        "' '' \" ; ;; -- /* */ $$ $a$ ( ) [ ] \\ E' U&' BEGIN END CASE ATOMIC COPY CREATE"
        " FUNCTION OR REPLACE : :: := , . $1 $ é 名 \n \r \r\n \t 1"
    )
]
_CUTS = re.compile(rb"[A-Za-z_\x80-\xff]+|\s+|[^\w\s]|\d+")
_LARGEST = 4000


@functools.cache
def real_sql(version: int) -> tuple[bytes, ...]:
    """Return the SQL that comes with a server, without psql's own commands."""
    share = binaries(version).parent / "share"
    debian = Path("/usr/share/postgresql")
    found = []
    for path in sorted([*share.rglob("*.sql"), *debian.rglob("*.sql")]):
        text = re.sub(rb"(?m)^\\.*$", b"", path.read_bytes())
        if b"\0" not in text:
            found.append(text)
    return tuple(found)


def mutated(texts: Sequence[bytes], seed: int) -> bytes:
    """Return a piece of one of the texts with a few changes, the same for each seed."""
    chance = random.Random(seed)
    text = chance.choice(texts)
    if len(text) > _LARGEST:
        start = chance.randrange(len(text) - _LARGEST // 4)
        text = text[start : start + chance.randrange(100, _LARGEST)]
    pieces = _CUTS.findall(text.decode(errors="ignore").encode())
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3, 6])):
        _mutate(pieces, chance)
    return b"".join(pieces)


def _mutate(pieces: list[bytes], chance: random.Random) -> None:
    at = chance.randrange(len(pieces) + 1)
    near = chance.randrange(at, min(at + 8, len(pieces)) + 1)
    match chance.randrange(6):
        case 0 | 1:
            pieces.insert(at, chance.choice(_BITS))
        case 2:
            del pieces[at:near]
        case 3:
            pieces[at:at] = pieces[at:near]
        case 4:
            there = chance.randrange(len(pieces) + 1)
            pieces[there:there] = pieces[at:near]
        case 5:
            pieces[at : at + 1] = [chance.choice(_BITS)]
