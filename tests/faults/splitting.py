"""Fault 9: texts in which the splitter might not see what the server sees.

Four things must hold of any text:

- pieces and gaps, joined, give the text back;
- the server finds nothing to do in a gap;
- it finds one command at most in a piece;
- where it can read the whole text it can read each piece, and where the splitter refuses
  a text the server cannot read it either.

psql is the truth for where a statement ends (docs/design.md); so where the server finds
two commands in a piece, psql is asked whether it would have sent the same.
"""

import contextlib
import io
import re
from collections.abc import Callable
from typing import NamedTuple

import hypothesis

from migrate.errors import SourceError
from migrate.places import apart
from migrate.statements import Splitter, Statement
from tests.corpora.splitter_agreement import (
    HARMLESS,
    Sent,
    alike,
    heard,
    neutral,
    uncommented,
)
from tests.faults import sql_texts
from tests.faults.bench import Bench
from tests.faults.case import Found
from tests.faults.preparing import Answer, Preparing
from tests.postgres_process import Server

NUMBER = 9
TITLE = "Generated SQL, and real SQL with changes, split as the server reads it"
TIMES = 400
FOUND: tuple[str, ...] = ()

#: How many texts one case judges: a hundred thousand in a campaign.
_TEXTS = 250
_MARK = b"\xef\xbb\xbf"
_ACCEPTED = re.compile(rb"^\\(?:un)?restrict[ \t]+\w+[ \t\r]*$", re.MULTILINE)
_SETTING = b"standard_conforming_strings"


class Split(NamedTuple):
    """A text taken apart: pieces, what lies between them, and why it was refused.

    ``copies``: data stand in the text, for which nothing but psql has an eye.
    """

    pieces: tuple[Statement, ...]
    gaps: tuple[bytes, ...]
    refused: str
    copies: bool


def split(script: bytes) -> Split:
    """Take a text apart."""
    pieces: list[Statement] = []
    gaps: list[bytes] = []
    refused = ""
    end = len(_MARK) if script.startswith(_MARK) else 0
    try:
        for one in Splitter(io.BytesIO(script), "script.sql"):
            pieces.append(one)
            gaps.append(script[end : one.offset])
            end = one.offset + len(one.text)
    except SourceError as error:
        refused = str(error)
    else:
        gaps.append(script[end:])
    copies = any(one.copy for one in pieces)
    return Split(tuple(pieces), tuple(gaps), refused, copies)


def judge(script: bytes, found: Split, preparing: Preparing, server: Server) -> str:
    """Return what is wrong with how a text was taken apart, or nothing."""
    wrong = _not_the_runs(script, found)
    if not wrong and not found.copies:
        wrong = _not_the_text(script, found, preparing)
    if wrong:
        return wrong
    answers = _of_pieces(found.pieces, preparing)
    for piece, answer in zip(found.pieces, answers, strict=True):
        if answer.many and not _psql_sends(piece, script, server):
            return f"a piece holds two commands: {piece.text!r}"
    if found.copies or _SETTING in script.lower():
        return ""
    (whole,) = preparing.answers([script.removeprefix(_MARK)])
    if whole.broken:
        return ""
    if found.refused:
        return f"refused, and the server can read it: {found.refused}"
    for piece, answer in zip(found.pieces, answers, strict=True):
        if answer.broken:
            return f"a command was cut: {piece.text!r}: {answer.message}"
    return ""


def attempt(bench: Bench, seed: int) -> Found:
    """Judge some texts: every second case is generated, the others are mutated."""
    with Preparing(bench.server) as preparing:

        def wrong(script: bytes) -> str:
            return judge(script, split(script), preparing, bench.server)

        if seed % 2:
            mutated(seed, _TEXTS, bench.server.version, wrong)
        else:
            generated(seed, _TEXTS, wrong)
    return Found(f"texts of seed {seed}", times=_TEXTS)


def _not_the_runs(script: bytes, found: Split) -> str:
    """Found in runs, and taken out of them again, they are the same."""
    taken: list[Statement] = []
    with contextlib.suppress(SourceError):
        taken += apart(Splitter(io.BytesIO(script), "script.sql", runs=True))
    return "" if found.refused or tuple(taken) == found.pieces else f"in runs: {taken}"


def _not_the_text(script: bytes, found: Split, preparing: Preparing) -> str:
    """Pieces are slices of the text, in order, and between them there is nothing."""
    parts = [
        part
        for gap, piece in zip(found.gaps, found.pieces, strict=False)
        for part in (gap, piece.text)
    ]
    joined = b"".join([*parts, *found.gaps[len(found.pieces) :]])
    whole = script.removeprefix(_MARK)
    if joined != whole[: len(joined) if found.refused else None]:
        return f"joined it is {joined!r}"
    # A gap that holds a command makes two of it and another one.
    gaps = [_ACCEPTED.sub(b"", gap) + b"\n;SELECT 1" for gap in found.gaps]
    for gap, answer in zip(gaps, preparing.answers(gaps), strict=True):
        if answer.sqlstate:
            return f"between two pieces stands {gap!r}: {answer.message}"
    return ""


def _of_pieces(pieces: tuple[Statement, ...], preparing: Preparing) -> list[Answer]:
    """Ask about the pieces in order; obey those that change how the next ones are read."""
    if not any(_SETTING in piece.text.lower() for piece in pieces):
        return preparing.answers([piece.text for piece in pieces])
    answers = []
    for piece in pieces:
        answers += preparing.answers([piece.text])
        if HARMLESS.match(uncommented(piece.text)):
            preparing.run(piece.text)
    preparing.run(b"RESET standard_conforming_strings")
    return answers


def _psql_sends(piece: Statement, script: bytes, server: Server) -> bool:
    theirs = heard(server, neutral(script))
    return any(alike(Sent(piece.text, one.data), one) for one in theirs)


def generated(seed: int, times: int, wrong: Callable[[bytes], str]) -> None:
    """Judge texts that hypothesis chooses; what it finds is made as short as it can be."""

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=times,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(sql_texts.scripts)
    def each(script: bytes) -> None:
        if what := wrong(script):
            raise AssertionError(f"{what}\n{script!r}")

    each()


def mutated(seed: int, times: int, version: int, wrong: Callable[[bytes], str]) -> None:
    """Judge pieces of real SQL with a few changes."""
    texts = sql_texts.real_sql(version)
    for number in range(seed * times, (seed + 1) * times):
        script = sql_texts.mutated(texts, number)
        if what := wrong(script):
            raise AssertionError(f"{what}\n{script!r}")
