"""Finds the statements of an SQL file as ``psql -f`` does, one after another.

Called by whoever plans or applies a file. Reads a binary stream once, in blocks, and
holds no more than one statement and one block; COPY data pass through unheld. Never
talks to a server: that the two agree is proven by tests against real ones.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, NamedTuple, NoReturn

from migrate import patterns
from migrate.errors import UnterminatedText
from migrate.misfits import BackslashCommand
from migrate.tokens import (
    comment_end,
    dollar_end,
    dollar_tag,
    escaped_end,
    line_end,
    name_end,
    spans,
    string_end,
    tokens,
    words,
)
from migrate.window import BLOCK, CopyData, Window

__all__ = ["CopyData", "Splitter", "Statement", "tokens"]

_AHEAD: Final = 64  # bytes that a look at the beginning of a statement may need
_LETTERS: Final = bytes(range(128, 256)) + (
    b"$_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
_UNSURE: Final = _LETTERS + b"-/"  # what may go on in the next block
_SEMICOLON: Final = ord(";")
_OPENINGS: Final = b"'\"$-/\\"
_UNESCAPED: Final = frozenset({b"b", b"x", b"u&"})
#: Statements of which nobody asks more than what the server says of them.
_ROWS: Final = (b"INSERT", b"UPDATE", b"DELETE", b"insert", b"update", b"delete")
_RUN: Final = 1 << 16  # bytes: a message holds several runs

_ROUTINES: Final = frozenset({"FUNCTION", "PROCEDURE"})
_ENDS: Final = frozenset({"COMMIT", "END", "ROLLBACK", "ABORT"})
_WATCHED: Final = _ENDS | {"COPY", "SET", "RESET", "DISCARD", "SELECT", "WITH"}
_STRINGS: Final = "STANDARD_CONFORMING_STRINGS"
_LEXED_BY: Final = frozenset(
    {_STRINGS, "CLIENT_ENCODING", "NAMES", "BACKSLASH_QUOTE", "ALL"}
)
_OFF: Final = frozenset(
    {"OFF", "OF", "FALSE", "FALS", "FAL", "FA", "F", "NO", "N", "0"}
)


class Statement(NamedTuple):
    """One statement, as it is sent to the server."""

    text: bytes  # to its semicolon inclusive, without comments before or after it
    offset: int  # of its first byte in the file
    line: int
    column: int  # in characters
    words: tuple[str, ...]  # its leading bare words, upper-cased, at most eight
    copy: bool  # COPY data follow
    rescan: bool  # what follows is lexed differently: it must end its message
    many: int = 1  # with more of them it is a run, which `places` takes apart
    standard: bool = True  # standard_conforming_strings, after it


class Splitter:
    """Iterate, once, over the statements of a file.

    ``runs``: over INSERTs, UPDATEs and DELETEs that follow one another as one `Statement`.
    """

    def __init__(self, stream: BinaryIO, file: str, *, runs: bool = False) -> None:
        """Take a file opened for reading bytes, and its name for errors."""
        self._rows = _ROWS if runs else ()
        self._window = Window(stream, file)
        self._copy = CopyData(self._window, 0)
        self._standard = True  # standard_conforming_strings
        self._outer: bool | None = None  # what SET LOCAL gives back at the end
        self._lex = patterns.statement(standard=True)

    def copy_data(self) -> CopyData:
        """Return the data of the COPY just yielded; what is not read is skipped."""
        return self._copy

    def __iter__(self) -> Iterator[Statement]:
        """Yield each statement; raise a `SourceError` where the file is wrong."""
        window = self._window
        done = place = window.begin()  # verified; lexed
        while True:
            text = window.text
            found = self._lex(text, place)
            start, end = found.end(1), found.end()
            if len(text) - start < _AHEAD and not window.ended:
                window.verify(done, start)
                window.drop(start)
                done = place = 0
                window.grow()
                continue
            if start == len(text):
                window.verify(done, start)
                return
            first = text[start]
            if first in b"-/\\" and (after := self._passed(start)) > start:
                place = after
                continue
            if (
                end < len(text)
                and text[end] == _SEMICOLON
                and not (first in b"Cc" and b"begin" in text[start:end].lower())
            ):
                rows = text.startswith(self._rows, start)
                place, many = self._run(end + 1) if rows else (end + 1, 1)
                text = text[start:place]
            else:
                place, many = self._long_end(start), 1
                text = self._text(start, place)
            if not window.plain:
                window.verify(done, place)
            line, column = window.locate(start)
            offset = window.offset + start
            head = words(text)
            copy = rescan = False
            if head and head[0] in _WATCHED:
                copy = head[0] == "COPY" and _takes_data(text)
                rescan = self._rescans(head, text)
            rest = self._begin_copy(place) if copy else None
            yield Statement(
                *(text, offset, line, column, head, copy, rescan, many, self._standard)
            )
            if rest:
                place = self._end_copy(*rest)
            done = place
            if place > BLOCK and place > len(window.text) >> 1:
                window.drop(place)
                done = place = 0

    # --- the end of a statement -------------------------------------------------------

    def _run(self, place: int) -> tuple[int, int]:
        """Return the end of the run whose first statement ends here, and its statements."""
        lex, text, many = self._lex, self._window.text, 1
        limit = min(place + _RUN, len(text))
        while place < limit:
            found = lex(text, place)
            start, end = found.end(1), found.end()
            row = text.startswith(_ROWS, start) and text[end : end + 1] == b";"
            # None behind a comment: that may be a directive out of place.
            if not row or text[place:start].strip():
                break
            place, many = end + 1, many + 1
        return place, many

    def _long_end(self, start: int) -> int:
        """Find the end construct by construct, where one match does not reach it."""
        run = outer = inner = patterns.inside(standard=self._standard)
        if self._window.text[start : start + 6].lower() == b"create":
            run = outer = patterns.routine(standard=self._standard)
        depth = blocks = 0  # of parentheses; of BEGIN and CASE
        fresh = start  # after the last construct: no word reaches back over it
        place = run(self._window.text, start).end()
        while True:
            text = self._window.text
            sign = text[place : place + 1]
            if not sign:
                if not self._window.grow():
                    return place
                place = fresh + len(text[fresh:place].rstrip(_UNSURE))
            elif sign == b";":
                place += 1
                if not depth and not blocks:
                    return place
            elif sign == b"(":
                depth, run = depth + 1, inner
                place += 1
            elif sign == b")":
                depth = max(depth - 1, 0)
                run = inner if depth else outer
                place += 1
            elif sign in _OPENINGS:
                fresh = place = self._construct_end(place, fresh)
            else:
                blocks, place = self._word(start, place, blocks)
            place = run(self._window.text, place).end()

    def _word(self, start: int, place: int, blocks: int) -> tuple[int, int]:
        """Count a BEGIN, CASE or END; psql counts them where a routine is created."""
        end = self._run_end(_end_of(patterns.word()), place)
        text = self._window.text
        if _creates_routine(words(text, start)):
            word = text[place:end].lower()
            if word == b"begin" or (word == b"case" and blocks):
                blocks += 1
            elif word == b"end" and blocks:
                blocks -= 1
        return blocks, end

    def _text(self, start: int, end: int) -> bytes:
        """Return the statement's text; without what follows the last of a file."""
        window = self._window
        text = window.text[start:end]
        if end == len(window.text) and window.ended and not text.endswith(b";"):
            if b"--" in text or b"/*" in text:
                *_, (_, last, _) = spans(text, standard_strings=self._standard)
                text = text[:last]
            text = text.rstrip()
        return text

    # --- what is not statement text ---------------------------------------------------

    def _passed(self, start: int) -> int:
        """Return the end of the comment or accepted psql line here, or ``start``."""
        pair = self._window.text[start : start + 2]
        if pair in {b"--", b"/*"}:
            return self._construct_end(start, start)
        if pair[:1] != b"\\":
            return start
        self._line_end(start)
        found = patterns.accepted_command().match(self._window.text, start)
        return found.end() if found else self._refuse(start)

    def _construct_end(self, start: int, fresh: int) -> int:
        """Return the end of the quote, comment or dollar sign that begins here."""
        sign = self._window.text[start : start + 1]
        if sign == b"'":
            return self._quote_end(start, fresh)
        if sign == b'"':
            return self._closed(name_end, start, "quoted name")
        if sign == b"$":
            return self._dollar_end(start, fresh)
        if sign == b"-":
            return self._line_end(start)
        if sign == b"/":
            return self._closed(comment_end, start, "comment")
        return self._refuse(start)

    def _quote_end(self, start: int, fresh: int) -> int:
        before = self._window.text[max(fresh, start - 3) : start]
        prefix = patterns.string_prefix().search(before)
        letter = prefix.group().lower() if prefix else b""
        if letter == b"e" or (not self._standard and letter not in _UNESCAPED):
            return self._closed(self._escaped_end, start, "quoted string")
        return self._closed(string_end, start, "quoted string")

    def _escaped_end(self, text: bytes, start: int) -> int:
        """Find the end, unless what decides whether it is the end was not read yet."""
        end = escaped_end(text, start)
        cut = end + 1 >= len(text) or patterns.blank()(text, end).end() + 1 >= len(text)
        return -1 if cut and not self._window.ended else end

    def _dollar_end(self, start: int, fresh: int) -> int:
        """Pass over a dollar quote, a parameter, or the rest of a name."""
        end = self._run_end(_end_of(patterns.rest_of_name()), start)
        text = self._window.text
        word = text[fresh + len(text[fresh:start].rstrip(_LETTERS)) : start]
        if word and not word.replace(b"_", b"").isdigit():
            return end
        if tag := dollar_tag(text, start):
            shown = tag.decode(errors="replace")  # not yet known to be text
            return self._closed(dollar_end, start, f"dollar quote {shown}")
        return self._run_end(_end_of(patterns.parameter()), start)

    def _closed(self, find: Callable[[bytes, int], int], start: int, what: str) -> int:
        """Return the end of what must be closed, reading on until it is there."""
        window = self._window
        while (end := find(window.text, start)) < 0:
            if window.ended:
                window.verify(0, len(window.text))
                line, column = window.locate(_opening(window.text, start))
                raise UnterminatedText(
                    file=window.file, line=line, column=column, what=what
                )
            window.grow()
        return end

    def _run_end(self, find: Callable[[bytes, int], int], start: int) -> int:
        """Return the end of what also ends with the file."""
        window = self._window
        while (end := find(window.text, start)) == len(window.text) and window.grow():
            pass
        return end

    def _line_end(self, start: int) -> int:
        return self._run_end(line_end, start)

    def _refuse(self, start: int) -> NoReturn:
        """Name the psql command that begins here."""
        self._line_end(start)
        window = self._window
        window.verify(0, start)
        found = patterns.command()(window.text, start)
        command = found.group().decode(errors="replace")
        line, column = window.locate(start)
        raise BackslashCommand(
            file=window.file, line=line, column=column, command=command
        )

    # --- COPY -------------------------------------------------------------------------

    def _begin_copy(self, end: int) -> tuple[bytes, int, int, int]:
        """Prepare the data, from the next line on; return the rest of this one."""
        window = self._window
        start = self._run_end(_feed_end, end)
        rest = window.text[end:start]
        window.verify(end, start)
        offset, (line, column) = window.offset + end, window.locate(end)
        window.locate(start)
        self._copy = CopyData(window, start)
        if self._lex(rest, 0).end(1) == len(rest):
            rest = b""
        return rest, offset, line, column

    def _end_copy(self, rest: bytes, offset: int, line: int, column: int) -> int:
        place = self._copy.skip()
        if not rest:
            return place
        # psql has read the line of the COPY to its end and lexes the rest of it now.
        self._window.put_before(rest, (offset, line, column), place)
        return 0

    # --- settings ---------------------------------------------------------------------

    def _rescans(self, head: tuple[str, ...], text: bytes) -> bool:
        """Follow a change of standard_conforming_strings; tell if lexing changes."""
        if head[0] in _ENDS:
            if self._outer is None or "TO" in head:
                return False
            standard, self._outer = self._outer, None
            self._follow(standard=standard)
            return True
        if head[0] in {"SELECT", "WITH"} and b"set_config" not in text.lower():
            return False
        found = [
            token.strip("'\"").upper()
            for token in tokens(text, standard_strings=self._standard)
        ]
        changed = False
        for name, value in _settings(found):
            changed = changed or name in _LEXED_BY
            if name in {_STRINGS, "ALL"}:
                if found[1] == "LOCAL" and self._outer is None:
                    self._outer = self._standard
                self._follow(standard=value not in _OFF)
        return changed

    def _follow(self, *, standard: bool) -> None:
        self._standard = standard
        self._lex = patterns.statement(standard=standard)


def _settings(found: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the names and values that a statement's upper-cased tokens set."""
    padded = [*found, *[""] * 5]
    if found[0] == "SET":
        at = 2 if padded[1] in {"SESSION", "LOCAL"} else 1
        yield padded[at], padded[at + 2]
    elif found[0] in {"RESET", "DISCARD"}:
        yield padded[1], ""
    for at, name in enumerate(found):
        if name == "SET_CONFIG":
            yield padded[at + 2], padded[at + 4]


def _takes_data(text: bytes) -> bool:
    """Whether this COPY reads what follows it; psql takes STDOUT for STDIN there."""
    depth, before = 0, ""
    for sign in tokens(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            if before == "FROM":
                return sign in {"STDIN", "STDOUT"}
            before = sign
    return False


def _creates_routine(head: tuple[str, ...]) -> bool:
    after = 3 if head[1:3] == ("OR", "REPLACE") else 1
    return head[:1] == ("CREATE",) and not _ROUTINES.isdisjoint(head[after : after + 1])


def _opening(text: bytes, start: int) -> int:
    """Return where a literal begins, given the last half of a doubled quote in it."""
    quote = text[start : start + 1]
    while quote in {b"'", b'"'} and text[start - 1 : start] == quote:
        start = text.rfind(quote, 0, start - 1)
    return start


def _end_of(run: patterns.Run) -> Callable[[bytes, int], int]:
    return lambda text, start: run(text, start).end()


def _feed_end(text: bytes, start: int) -> int:
    return text.find(b"\n", start) + 1 or len(text)
