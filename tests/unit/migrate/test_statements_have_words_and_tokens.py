"""Leading words, for classification, and tokens, for a closer look."""

import io

import pytest

from migrate.statements import Splitter, tokens


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "create unique index concurrently if not exists idx on t",
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS IDX",
        ),
        ("Select\n\t*", "SELECT"),
        ("alter table s.t", "ALTER TABLE S"),
        ("drop /* a */ table -- b\n t;", "DROP TABLE T"),
        ("a b c d /**/ e f g h i j", "A B C D E F G H"),
        ('create table "T"', "CREATE TABLE"),
        ("select E'a'", "SELECT"),
        ("select n'a'", "SELECT"),
        ("select u&'a'", "SELECT"),
        ('select u&"a"', "SELECT"),
        ("select a&b", "SELECT A"),
        ("select date'today'", "SELECT DATE"),
        ("select a$1 b", "SELECT A$1 B"),
        ("select é b", "SELECT é B"),
        ("(select 1)", ""),
        ("1 a", ""),
        ("$$a$$", ""),
        ("*", ""),
    ],
)
def test_words_lead_up_to_the_first_token_that_is_none(text, words):
    """Bare words, in ASCII's upper case, past comments, eight at most."""
    script = io.BytesIO(text.encode())

    found = next(iter(Splitter(script, "a.sql"))).words

    assert words == " ".join(found)


def test_a_letter_that_looks_like_a_blank_divides_no_word():
    """A no-break space is part of a name, to the server and so to us."""
    script = io.BytesIO("select a\u00a0b".encode())

    found = next(iter(Splitter(script, "a.sql"))).words

    assert ("SELECT", "A\u00a0B") == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "Select 1.5, a.b::int",
            ["SELECT", "1.5", ",", "A", ".", "B", ":", ":", "INT"],
        ),
        ("a -- b\n/* c /* d */ */ e /", ["A", "E", "/"]),
        ("'it''s' \"No\"\"Name\"", ["'it''s'", '"No""Name"']),
        (r"E'a\'b' e'''' n'c'", [r"E'a\'b'", "e''''", "n'c'"]),
        ("u&'a\\' U&\"b\" b'1' x'f'", ["u&'a\\'", 'U&"b"', "b'1'", "x'f'"]),
        ("$1 $$a;$$ $é$ $$ $é$ a$b$ $", ["$1", "$$a;$$", "$é$ $$ $é$", "A$B$", "$"]),
        ("é->>'ü';", ["é", "-", ">", ">", "'ü'", ";"]),
        ("", []),
        ("  -- a", []),
        ("'never", ["'never"]),
        ("/* never", []),
        ("$$ never", ["$$ never"]),
        ("E'never", ["E'never"]),
    ],
)
def test_tokens_are_what_means_something(text, found):
    """Words upper-cased, quoted things whole, signs one by one, no comments."""
    statement = text.encode()

    actual = list(tokens(statement))

    assert found == actual


def test_tokens_can_be_told_that_strings_have_escapes():
    """Without standard_conforming_strings a backslash escapes in a plain string."""
    statement = rb"SELECT 'a\'b', b'1', U&'\'"

    found = list(tokens(statement, standard_strings=False))

    assert ["SELECT", r"'a\'b'", ",", "b'1'", ",", r"U&'\'"] == found
