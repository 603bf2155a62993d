"""The regular expressions of SQL's lexical rules, over bytes.

Used by ``tokens`` and ``statements``. What every file needs is compiled at the first
call, the rest when it is met: start-up counts. All repetition is possessive, so that no
text, however long or broken, costs more than linear time.
"""

import functools
import re
from collections.abc import Callable
from typing import Final, TypeAlias, cast

# The pattern always matches, if only nothing: `None` is ruled out.
Run: TypeAlias = Callable[[bytes, int], re.Match[bytes]]

# Python before 3.11.5 resumes a possessive group where its last try failed, not where that
# began. An atomic group means the same and costs memory for each turn.
_POSSESSIVE: Final = re.match(rb"(?:a|b(?!c))*+bc", b"abc") is not None
_ALL: Final = rb"(?:%b)%b+" if _POSSESSIVE else rb"(?>(?:%b)%b)"


def _all(group: bytes, times: bytes = b"*") -> bytes:
    """Repeat a group as often as it matches, and never less."""
    return _ALL % (group, times)


SPACE: Final = rb"[ \t\n\r\f\v]"
# A byte above 127 is part of a letter of some script: the server asks no further.
WORD: Final = rb"[A-Za-z_\x80-\xff][\w$\x80-\xff]*+"
# With backslash escapes, after a letter that is a whole word; and surely at its end, for it
# would go on behind a quote on the next line.
_ESCAPED: Final = (
    rb"'(?<=[^\w$\x80-\xff][Ee]')" + _all(rb"[^'\\]++|\\.|''") + rb"'(?= *+[^\s'/-])"
)
_TAG: Final = rb"\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*+)?\$"
_COMMENT: Final = rb"--[^\n\r]*+"
_REMARK: Final = rb"--[^\n\r]*+[\n\r]|/\*" + _all(rb"[^*/]++|\*(?!/)|/(?!\*)") + rb"\*/"
_GAP: Final = rb"[ \t\n\r\f\v;]*+" + _all(rb"(?:%b)[ \t\n\r\f\v;]*+" % _REMARK)
# A parameter or whole dollar quote that touches no letter, and so is no part of a name.
_DOLLARS: Final = (
    rb"(?<![\w$\x80-\xff])"
    rb"(?:\$[0-9]++|(?P<tag>%b)%b(?P=tag))"
    rb"(?![\w$\x80-\xff])" % (_TAG, _all(rb"[^$]++|(?!(?P=tag))\$"))
)


def _run_of(pattern: bytes) -> Run:
    return cast("Run", re.compile(pattern, re.DOTALL).match)


@functools.cache
def statement(*, standard: bool) -> Run:
    """Swallow all up to a statement (group 1) and most of it up to its semicolon."""
    return _run_of(rb"(%b)" % _GAP + _most(standard=standard))


@functools.cache
def inside(*, standard: bool) -> Run:
    """Swallow the same, from within a statement."""
    return _run_of(_most(standard=standard))


@functools.cache
def routine(*, standard: bool) -> Run:
    """Swallow the same, but stop at BEGIN, CASE and END: for a routine's statement."""
    word = (
        rb"(?!(?:[Bb][Ee][Gg][Ii][Nn]|[Cc][Aa][Ss][Ee]|[Ee][Nn][Dd])"
        rb"(?![\w$\x80-\xff]))" + WORD
    )
    text = rb"[^'\"$;()/\-\\\w\x80-\xff]++|[0-9]\w*+"
    marks = _marks(standard=standard) + rb"|" + _DOLLARS
    return _run_of(_all(rb"%b|%b|%b" % (text, word, marks)))


def _most(*, standard: bool) -> bytes:
    text = rb"[^'\"$;()/\-\\]*+"
    marks = _marks(standard=standard) + rb"|" + _DOLLARS
    return text + _all(rb"(?:%b)%b" % (marks, text))


def _marks(*, standard: bool) -> bytes:
    """Return the pattern of a quoted thing, comment, sign or pair of parentheses.

    No nested comment, no string with escapes that may go on in another line, no
    parentheses nested more than thrice, nothing that does not end in the text at hand.
    """
    text = rb"[^'\"$()/\-\\]*+"
    marks = rb"-(?!-)|/(?!\*)|\"[^\"]*+\"|" + _REMARK
    marks = _ESCAPED + rb"|" + marks
    if standard:
        marks = rb"'(?<![Ee]')[^']*+'|" + marks
    nested = rb"\(%b\)" % text
    for _ in range(2):
        turns = _all(rb"(?:%b|%b)%b" % (marks, nested, text))
        nested = rb"\(%b%b\)" % (text, turns)
    return marks + rb"|" + nested


def head() -> re.Pattern[bytes]:
    """Match up to eight words (group 1).

    With group 2, a string's prefix or a comment follows, and the words are to be found
    by tokens.
    """
    words = WORD + _all(rb"%b++%b" % (SPACE, WORD), b"{0,7}")
    return re.compile(rb"(%b)('|&['\"]|%b*+(?:--|/\*))?" % (words, SPACE))


@functools.cache
def lexeme() -> re.Pattern[bytes]:
    """Match white space, line comments and the beginning of a token, named by kind.

    E'…', N'…', B'…', X'…' and U&'…' are strings: their first letters are no words.
    """
    return re.compile(
        rb"%b(?:(?P<comment>/\*)|(?P<escaped>[Ee]')|(?P<string>[Nn]?')"
        rb"|(?P<fixed>[BbXx]'|[Uu]&')|(?P<name>(?:[Uu]&)?\")|(?P<dollar>%b)"
        rb"|(?P<word>%b)|(?P<number>[0-9][\w.]*+|\$[0-9]+|\.[0-9]\w*+)|(?P<sign>.))"
        % (_all(rb"%b++|%b" % (SPACE, _COMMENT)), _TAG, WORD),
        re.DOTALL,
    )


@functools.cache
def escaped_string() -> re.Pattern[bytes]:
    """Match a string with backslash escapes from its quote, and its continuations."""
    same_line = _all(rb"[ \t\f\v]|%b" % _COMMENT)
    more_lines = _all(rb"%b|%b[\n\r]" % (SPACE, _COMMENT))
    joint = rb"'" + same_line + rb"[\n\r]" + more_lines + rb"'"
    text = _all(rb"[^'\\]++|\\.|''|%b" % joint)
    return re.compile(rb"'%b'" % text, re.DOTALL)


@functools.cache
def string_prefix() -> re.Pattern[bytes]:
    """Match, at the end of what is before a quote, the letter that says its kind."""
    return re.compile(rb"(?<![\w$\x80-\xff])(?:[BbEeXx]|[Uu]&)\Z")


@functools.cache
def comment_edges() -> re.Pattern[bytes]:
    """Match runs of what opens or closes comments: a wall of them costs one match."""
    return re.compile(_all(rb"/\*", b"+") + rb"|" + _all(rb"\*/", b"+"))


@functools.cache
def line_ends() -> re.Pattern[bytes]:
    """Match the end of a line comment: LF or CR, as in the server."""
    return re.compile(rb"[\n\r]")


@functools.cache
def dollar_tag() -> re.Pattern[bytes]:
    """Match the tag of a dollar quote."""
    return re.compile(_TAG)


@functools.cache
def blank() -> Run:
    """Swallow white space and line comments."""
    return _run_of(_all(rb"%b++|%b" % (SPACE, _COMMENT)))


@functools.cache
def word() -> Run:
    """Swallow a word; used where one begins."""
    return _run_of(WORD)


@functools.cache
def rest_of_name() -> Run:
    """Swallow letters, digits and dollar signs."""
    return _run_of(rb"[\w$\x80-\xff]*+")


@functools.cache
def parameter() -> Run:
    """Swallow a dollar sign, and its number if it has one; used at a dollar sign."""
    return _run_of(rb"\$(?:[0-9]++(?:%b)?)?" % WORD)


@functools.cache
def accepted_command() -> re.Pattern[bytes]:
    """Match the lines pg_dump writes for psql alone."""
    return re.compile(rb"\\(?:un)?restrict[ \t]++[A-Za-z0-9]++[ \t\r]*+(?:\n|\Z)")


@functools.cache
def command() -> Run:
    """Swallow a psql command's name; used at a backslash."""
    return _run_of(rb"\\(?:[;:.]|[^\s\\]{0,63})")
