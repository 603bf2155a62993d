"""The lexical rules of SQL over bytes: where a quote, comment or word ends.

``statements`` finds the ends of statements with them; ``tokens`` serves whoever looks
into one statement. Reads no file and does not know what a statement means.

The functions named ``*_end`` take the place where something begins and return the
place after it, or -1 when the text ends first (only a line may end with the text).
"""

import functools
from collections.abc import Iterator
from typing import Final

from migrate import patterns

_MOST_WORDS: Final = 8
_HEAD: Final = patterns.head().match  # every statement has one


def string_end(text: bytes, start: int) -> int:
    """Return the end of '…' without escapes; of a doubled quote, its first half."""
    return text.find(b"'", start + 1) + 1 or -1


def name_end(text: bytes, start: int) -> int:
    """Return the end of a quoted name; of a doubled quote, its first half."""
    return text.find(b'"', start + 1) + 1 or -1


def escaped_end(text: bytes, start: int) -> int:
    """Return the end of a string with backslash escapes that begins at this quote.

    A string continued on the next line keeps its escapes, as in the server.
    """
    found = patterns.escaped_string().match(text, start)
    return found.end() if found else -1


def dollar_end(text: bytes, start: int) -> int:
    """Return the end of $tag$…$tag$."""
    tag = dollar_tag(text, start)
    end = text.find(tag, start + len(tag))
    return -1 if end < 0 else end + len(tag)


def dollar_tag(text: bytes, start: int) -> bytes:
    """Return the tag with which a dollar quote begins here, or nothing."""
    found = patterns.dollar_tag().match(text, start)
    return found.group() if found else b""


def line_end(text: bytes, start: int) -> int:
    """Return the end of this line, a line end included: LF or CR, as in the server."""
    found = patterns.line_ends().search(text, start)
    return found.end() if found else len(text)


def comment_end(text: bytes, start: int) -> int:
    """Return the end of a block comment; they nest."""
    depth = 0
    for edge in patterns.comment_edges().finditer(text, start):
        first, last = edge.span()
        count = (last - first) // 2
        if text[first] == ord("/"):
            depth += count
        elif count >= depth:
            return first + 2 * depth
        else:
            depth -= count
    return -1


def words(text: bytes, start: int = 0) -> tuple[str, ...]:
    """Return the leading run of bare words, upper-cased, at most eight."""
    head = _HEAD(text, start)
    if not head:
        return ()
    if head.lastindex == 1:
        return _split(head.group(1))
    return tuple(_words_among_comments(text, start))


@functools.lru_cache(maxsize=64)
def _split(head: bytes) -> tuple[str, ...]:
    # Remembered, for the statements of a file begin alike. Bytes know no other upper
    # case than ASCII's, and no other white space; so does the server.
    return tuple(word.decode(errors="replace") for word in head.upper().split())


def _words_among_comments(text: bytes, start: int) -> Iterator[str]:
    for (first, end, kind), _ in zip(
        spans(text, start), range(_MOST_WORDS), strict=False
    ):
        if kind != "word":
            return
        yield text[first:end].upper().decode(errors="replace")


def tokens(text: bytes, *, standard_strings: bool = True) -> Iterator[str]:
    """Yield the significant tokens of a statement: no comments, no white space.

    Bare words are upper-cased; names and strings keep their quotes and prefixes,
    numbers are whole, anything else comes character by character.
    """
    for start, end, kind in spans(text, standard_strings=standard_strings):
        piece = text[start:end]
        yield (piece.upper() if kind == "word" else piece).decode()


def spans(
    text: bytes, start: int = 0, *, standard_strings: bool = True
) -> Iterator[tuple[int, int, str]]:
    """Yield the start, end and kind of each token; one that is never closed is last."""
    pattern = patterns.lexeme()
    while found := pattern.match(text, start):
        kind = found.lastgroup or ""
        first, start = found.span(kind)
        if kind == "comment":
            start = comment_end(text, first)
        elif kind == "dollar":
            start = dollar_end(text, first)
        elif kind == "escaped" or (kind == "string" and not standard_strings):
            start = escaped_end(text, start - 1)
        elif kind in {"string", "fixed", "name"}:
            start = _doubled_end(text, start - 1)
        if start < 0:
            start = len(text)
        if kind != "comment":
            yield first, start, kind


def _doubled_end(text: bytes, start: int) -> int:
    quote = text[start]
    end_of = name_end if quote == ord('"') else string_end
    end = end_of(text, start)
    while 0 < end < len(text) and text[end] == quote:
        end = end_of(text, end)
    return end
