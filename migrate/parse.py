"""Turn the text of one migration file into decisions about how to apply it.

Called by the runner for pending files. Pure but for the stream it is given: it reads that
once, in blocks, and holds no more than one statement.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from migrate import classify
from migrate.classify import Control, transaction_modes
from migrate.duration import milliseconds
from migrate.errors import (
    BadDirective,
    EmptyFile,
    UnknownDirective,
    UnterminatedText,
)
from migrate.migration import Directives, Migration, Mode, Script
from migrate.misfits import CannotBeTransactional, CopyToClient
from migrate.statements import Splitter, Statement
from migrate.tokens import comment_end, line_end

_REPEATABLE = re.compile(r"R__[A-Za-z0-9_-]+\Z")
_DIRECTIVE = re.compile(rb"--[ \t]*migrate:([^\r\n]*)")
_KNOWN = ("description", "transaction", "lock_timeout", "statement_timeout", "requires")
_MISPLACED = rb"(?m)^[ \t]*--[ \t]*migrate:[ \t]*(%b)[ \t]*=[ \t]*([^\r\n]*)"
_HEAD_BYTES = 65536
#: A file up to this size is split once, for the plan, and its statements are kept.
_HELD_BYTES = 4 << 20


def parse_directives(head: bytes, file: str) -> Directives:
    """Read the ``-- migrate: key=value`` comments before the first statement.

    Raises `UnknownDirective` and `BadDirective`, with the line.
    """
    found: dict[str, object] = {}
    for number, text in _directive_lines(head):
        key, equals, value = (p.strip() for p in text.partition("="))
        if key not in _KNOWN:
            raise UnknownDirective(file=file, line=number, directive=key, known=_KNOWN)
        try:
            field, parsed = _directive(key, value if equals else None)
        except ValueError as error:
            raise BadDirective(
                file=file, line=number, directive=key, value=value, reason=str(error)
            ) from None
        if field in found:
            raise BadDirective(
                file=file,
                line=number,
                directive=key,
                value=value,
                reason="it stands twice",
            )
        found[field] = parsed
    return Directives(**found)  # type: ignore[arg-type]


def _directive_lines(head: bytes) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each directive; other comments may stand between."""
    at = len(head) - len(head.removeprefix(b"\xef\xbb\xbf").lstrip())
    while at < len(head):
        if head.startswith(b"/*", at):
            end = comment_end(head, at)
        elif head.startswith(b"--", at):
            end = line_end(head, at)
        else:
            return
        if end < 0:
            return
        if match := _DIRECTIVE.match(head, at):
            # What is not UTF-8 is refused, with its place, when the file is split.
            yield head.count(b"\n", 0, at) + 1, match[1].decode(errors="replace")
        at = end + len(head[end:]) - len(head[end:].lstrip())


def _directive(key: str, value: str | None) -> tuple[str, object]:
    """Return the field and the parsed value; ValueError says what is wrong with it."""
    if value is None:
        raise ValueError("it has no value")
    if key == "description":
        return key, value
    if key == "transaction":
        if value not in {"true", "false"}:
            raise ValueError("it is true or false")
        return key, value == "true"
    if key == "requires":
        wanted = tuple(part.strip() for part in value.split(","))
        if not all(w.isdecimal() or _REPEATABLE.match(w) for w in wanted):
            raise ValueError("it is a list of versions, with commas")
        return key, wanted
    return f"{key}_ms", milliseconds(value)


def _refuse_misplaced(head: bytes, statements: list[Statement], file: str) -> None:
    """Raise for a directive below the first statement: there it is a mere comment."""
    known = "|".join(_KNOWN).encode()
    for found in re.finditer(_MISPLACED % known, head):
        place = found.start()
        within = (s.offset <= place < s.offset + len(s.text) for s in statements)
        if place > statements[0].offset and not any(within):
            raise BadDirective(
                file=file,
                line=head.count(b"\n", 0, place) + 1,
                directive=found[1].decode(),
                value=found[2].decode(errors="replace").strip(),
                reason="it stands below the first statement, where it has no effect",
            )


class _Shape:
    """What one pass over the statements learns; fed statement by statement."""

    def __init__(self) -> None:
        self.count = 0
        self.copies = 0
        self.reasons: list[str] = []
        self.controls: list[tuple[int, Control, int]] = []
        self.open: Statement | None = None  # the BEGIN whose end has not come
        self.modes = ""  # what the first BEGIN asks of its transaction, and its line

    def add(self, statement: Statement) -> None:
        """Take one statement into account."""
        self.count += statement.many
        if not statement.words or statement.words[0] not in classify.WATCHED:
            return
        kind = classify.control(statement)
        if kind is not Control.NONE:
            self.controls.append((self.count - 1, kind, statement.line))
            self._follow(kind, statement)
        elif found := classify.alone(statement):
            self.reasons.append(f"line {statement.line}: {found.reason}")
        self.copies += statement.copy

    def _follow(self, kind: Control, statement: Statement) -> None:
        if kind is Control.BEGIN:
            self.open = self.open or statement
            if len(self.controls) == 1 and (asked := transaction_modes(statement)):
                self.modes = f"line {statement.line}: its own BEGIN {asked}"
        elif kind is not Control.OTHER or statement.words[:1] == ("PREPARE",):
            self.open = None

    def wrapped(self) -> bool:
        """Whether the whole file is one BEGIN … COMMIT."""
        return [(i, kind) for i, kind, _ in self.controls] == [
            (0, Control.BEGIN),
            (self.count - 1, Control.COMMIT),
        ]


def parse_script(migration: Migration, stream: BinaryIO) -> Script:
    """Read a migration's text and decide how it is applied.

    Raises `SourceError`: unterminated text, a backslash command, a bad directive, a file
    without statements.
    """
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    directives = (
        parse_directives(head, migration.file) if b"migrate:" in head else Directives()
    )
    shape = _Shape()
    held: list[Statement] | None = [] if migration.size <= _HELD_BYTES else None
    for statement in Splitter(stream, migration.file, runs=True):
        if classify.copies_to_client(statement):
            raise CopyToClient(file=migration.file, line=statement.line)
        shape.add(statement)
        if held is not None:
            held.append(statement)
    if not shape.count:
        raise EmptyFile(file=migration.file)
    if held and not shape.copies and b"migrate:" in head:
        _refuse_misplaced(head, held, migration.file)
    if begin := shape.open:
        # psql would undo the statements after it at its end, and say nothing.
        raise UnterminatedText(
            file=migration.file,
            line=begin.line,
            column=begin.column,
            what="transaction",
        )
    wrapped = shape.wrapped()
    reasons = list(shape.reasons)
    if shape.controls and not wrapped:
        _, kind, line = shape.controls[0]
        reasons.append(f"line {line}: its own {kind.value.upper()}")
    if directives.transaction is False:
        reasons.insert(0, "directive transaction=false")
    if reasons and directives.transaction is True:
        raise CannotBeTransactional(file=migration.file, reason=reasons[0])
    mode = Mode.NON_TRANSACTIONAL if reasons else Mode.TRANSACTIONAL
    return Script(
        migration=migration,
        directives=directives,
        mode=mode,
        reasons=tuple(reasons),
        statements=shape.count,
        wrapped=wrapped and not reasons,
        held=tuple(held) if held is not None and not shape.copies else None,
        modes=shape.modes,
    )
