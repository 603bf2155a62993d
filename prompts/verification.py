"""Prove that the prompt system's migration is there, whole and working.

Called by ``scripts/verify_prompt_system_migration.py``. It looks objects up by name and
puts up with others; it exercises the triggers and undoes that. It changes nothing, and
it judges only what the migration fixed: which version is active, and how a guardrail
reacts, is for the owner to move.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from prompts.builtin import GUARDRAILS, PROMPTS
from prompts.errors import StatementFailedError
from prompts.manifest import (
    INDEXES,
    RECORD,
    TABLES,
    TRIGGERS,
    VIEWS,
    Index,
    Trigger,
)
from prompts.store import Row, Session, connect, statements

TITLE = "Enterprise Prompt System Migration - Verification Script"
RULE = "=" * 70
LABEL_WIDTH = 18

# --- what was found -------------------------------------------------------------------


class Check(NamedTuple):
    """One line of the report: right when it has no problems."""

    subject: str
    success: str
    problems: tuple[str, ...] = ()
    details: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Tell whether nothing was found wrong."""
        return not self.problems

    def __str__(self) -> str:
        if self.passed:
            return f"✓ {self.subject} {self.success}"
        return f"✗ {self.subject} {'; '.join(self.problems)}"


class Section(NamedTuple):
    """A numbered part of the report, and the name it has in the summary."""

    title: str
    label: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Tell whether every check passed."""
        return all(check.passed for check in self.checks)


class FoundIndex(NamedTuple):
    """A row of the statement ``indexes``, without the name."""

    table: str
    valid: bool
    unique: bool
    columns: str
    condition: str | None


class FoundTrigger(NamedTuple):
    """A row of the statement ``triggers``, without name and table."""

    enabled: bool
    fires: int
    function: str
    as_owner: bool


def verify(database_url: str) -> tuple[Section, ...]:
    """Check one database. Raises `errors.ConnectionFailedError`."""
    with contextlib.closing(connect(database_url)) as session:
        return tuple(
            Section(title, label, _checks(function, session))
            for title, label, function in _SECTIONS
        )


def as_text(sections: Iterable[Section]) -> str:
    """Return the report a person reads."""
    sections = tuple(sections)
    failed = _failed(sections)
    lines = [RULE, TITLE, RULE, ""]
    for number, section in enumerate(sections, start=1):
        lines.append(f"{number}. {section.title}")
        for check in section.checks:
            lines += [str(check), *(f"   {detail}" for detail in check.details)]
        lines.append("")
    lines += [RULE, "VERIFICATION SUMMARY", RULE]
    for section in sections:
        verdict = "✓ PASS" if section.passed else "✗ FAIL"
        lines.append(f"{section.label + ':':<{LABEL_WIDTH}}{verdict}")
    if failed:
        banner, outcome = f"✗ {_many(failed, 'VERIFICATION CHECK')} FAILED", "FAILURE"
    else:
        banner, outcome = "✓ ALL VERIFICATION CHECKS PASSED", "SUCCESS"
    closing = f"  Enterprise Prompt System Migration: {outcome}"
    return "\n".join([*lines, "", RULE, banner, closing, RULE])


def as_json(sections: Iterable[Section]) -> str:
    """Return the report a program reads: one object, the same sections."""
    sections = tuple(sections)
    return json.dumps(
        {
            "title": TITLE,
            "passed": not _failed(sections),
            "failed_checks": _failed(sections),
            "sections": [
                {
                    "number": number,
                    "title": section.title,
                    "label": section.label,
                    "passed": section.passed,
                    "checks": [
                        {"passed": check.passed, "line": str(check), **check._asdict()}
                        for check in section.checks
                    ],
                }
                for number, section in enumerate(sections, start=1)
            ],
        },
        ensure_ascii=False,
    )


# --- the sections ---------------------------------------------------------------------

_STATEMENTS = statements(Path(__file__).with_name("checks.sql"))


def _ask(session: Session, statement: str, **parameters: object) -> list[Row]:
    with session.undone():
        return session.rows(_STATEMENTS[statement], parameters or None)


def _checks(
    function: Callable[[Session], Iterable[Check]], session: Session
) -> tuple[Check, ...]:
    """Return a section's checks; a catalog that cannot be read is a failed check."""
    try:
        return tuple(function(session))
    except StatementFailedError as error:
        return (Check("The check", "", (f"could not be made: {error}",)),)


def _tables(session: Session) -> Iterable[Check]:
    found: dict[str, Any] = dict(_ask(session, "tables", names=list(TABLES)))
    for name in TABLES:
        problem = "is not a table" if name in found else "does not exist"
        yield Check(f"Table '{name}'", "exists", () if found.get(name) else (problem,))


def _indexes(session: Session) -> Iterable[Check]:
    names = [index.name for index in INDEXES]
    rows = _ask(session, "indexes", names=names)
    found = {row[0]: FoundIndex(*row[1:]) for row in rows}
    for index in INDEXES:
        problems: tuple[str, ...] = ("does not exist",)
        if index.name in found:
            problems = tuple(_index_problems(index, found[index.name]))
        yield Check(f"Index '{index.name}'", "exists", problems)


def _index_problems(index: Index, found: FoundIndex) -> Iterable[str]:
    if found.table != index.table:
        yield f"is on table '{found.table}', not '{index.table}'"
    if not found.valid:
        yield "is not valid: the server does not use it; drop it and create it again"
    if index.unique and not found.unique:
        yield "is not unique"
    if found.columns != index.columns:
        yield f"is over ({found.columns}), not ({index.columns})"
    if _bare(found.condition or "") != _bare(index.condition):
        yield f"has {_where(found.condition)}, not {_where(index.condition)}"


def _where(condition: str | None) -> str:
    return f"WHERE {condition}" if condition else "no condition"


def _bare(condition: str) -> str:
    """Strip casts, brackets and spaces: a restored index is written otherwise."""
    text = re.sub(r"::[a-z][a-z ]*(\[\])?|ARRAY|[()\[\]]", "", condition)
    return "".join(text.split())


def _seeds(session: Session) -> Iterable[Check]:
    yield from _each(_seed_prompts, session, "Seed prompt", PROMPTS)
    names = [rule.name for rule in GUARDRAILS]
    yield from _each(_seed_guardrails, session, "Seed guardrail", names)


def _each(
    function: Callable[[Session], Iterable[Check]],
    session: Session,
    kind: str,
    names: Iterable[str],
) -> Iterable[Check]:
    """Name every row when its table cannot be read: none of them was found."""
    try:
        yield from tuple(function(session))
    except StatementFailedError as error:
        yield from (Check(f"{kind} '{n}'", "", (f"not found: {error}",)) for n in names)


def _seed_prompts(session: Session) -> Iterable[Check]:
    found = {row[0]: row for row in _ask(session, "seed_prompts", names=list(PROMPTS))}
    for seed in PROMPTS.values():
        problems = ["not found"]
        if row := found.get(seed.name):
            own = [seed.name, seed.category, seed.purpose, [*seed.variables]]
            problems = [
                f"has {field} {value}, not {wanted}"
                for field, value, wanted in zip(
                    _SEEDED, row, [*own, seed.content_hash], strict=True
                )
                if value != wanted
            ]
        yield Check(f"Seed prompt '{seed.name}'", "found", tuple(problems))


_SEEDED = ("name", "category", "purpose", "variables", "content_hash")


def _seed_guardrails(session: Session) -> Iterable[Check]:
    names = [rule.name for rule in GUARDRAILS]
    found: dict[str, Any] = dict(_ask(session, "seed_guardrails", names=names))
    for name, _, kind, *_ in GUARDRAILS:
        problems = () if found.get(name) == kind else ("not found",)
        if name in found and problems:
            problems = (f"has type {found[name]}, not {kind}",)
        yield Check(f"Seed guardrail '{name}'", "found", problems)


def _views(session: Session) -> Iterable[Check]:
    found: dict[str, Any] = dict(_ask(session, "views", names=list(VIEWS)))
    for name in VIEWS:
        problems: tuple[str, ...] = ()
        if not found.get(name):
            problems = ("is not a view" if name in found else "does not exist",)
        else:
            try:
                _ask(session, name)
            except StatementFailedError as error:
                problems = (f"exists but cannot be queried: {error}",)
        yield Check(f"View '{name}'", "exists and is queryable", problems)


def _triggers(session: Session) -> Iterable[Check]:
    names = [trigger.name for trigger in TRIGGERS]
    rows = _ask(session, "triggers", names=names)
    found = {(row[0], row[1]): FoundTrigger(*row[2:]) for row in rows}
    [(read_only,)] = _ask(session, "read_only")
    for trigger in TRIGGERS:
        where = f"on table '{trigger.table}'"
        problems: tuple[str, ...] = (f"does not exist {where}",)
        if row := found.get((trigger.name, trigger.table)):
            problems = tuple(_trigger_problems(trigger, row))
            if not problems and read_only:
                problems = (f"{where} cannot be exercised: the session is read-only",)
            if not problems:
                problems = tuple(_exercise(session, trigger, where))
        yield Check(f"Trigger '{trigger.name}'", f"exists {where}", problems)


def _trigger_problems(trigger: Trigger, found: FoundTrigger) -> Iterable[str]:
    if not found.enabled:
        yield f"is disabled on table '{trigger.table}'"
    if found.function != trigger.function:
        yield f"calls {found.function}, not {trigger.function}"
    elif not found.as_owner:
        yield f"calls {found.function}, which is no longer SECURITY DEFINER"
    if found.fires != trigger.fires:
        yield f"fires at the wrong time: type {found.fires}, not {trigger.fires}"


def _exercise(session: Session, trigger: Trigger, where: str) -> Iterable[str]:
    try:
        _ask(session, trigger.exercise)
    except StatementFailedError as error:
        yield f"{where} does not work: {error}"


def _record(session: Session) -> Iterable[Check]:
    subject = f"Migration record '{RECORD}'"
    try:
        rows = _ask(session, "record", name=RECORD)
    except StatementFailedError as error:
        yield Check(subject, "", (f"not found: {error}",))
        return
    if not rows:
        yield Check(subject, "", ("not found",))
        return
    description, executed_at = rows[0]
    details = (f"Description: {description}", f"Executed at: {executed_at}")
    yield Check(subject, "found", (), details)


def _functionality(session: Session) -> Iterable[Check]:
    yield _query(
        "Query active templates:",
        lambda: _listing(
            "template",
            _ask(session, "active_templates", names=list(PROMPTS)),
            "{} (v{}, {})",
        ),
    )
    yield _query(
        "Query active guardrails:",
        lambda: _listing(
            "guardrail", _ask(session, "active_guardrails"), "{} ({}, {})"
        ),
    )
    yield _query(
        "Query v_template_performance view:",
        lambda: (_many(_ask(session, "v_template_performance")[0][0], "row"), ()),
    )


def _query(subject: str, ask: Callable[[], tuple[str, tuple[str, ...]]]) -> Check:
    try:
        success, details = ask()
    except StatementFailedError as error:
        return Check(subject, "", (str(error),))
    return Check(subject, success, (), details)


def _listing(noun: str, rows: list[Row], form: str) -> tuple[str, tuple[str, ...]]:
    details = tuple(f"- {form.format(*row)}" for row in rows)
    return f"{_many(len(rows), noun)} found", details


def _many(count: int, noun: str) -> str:
    ending = "" if count == 1 else "S" if noun.isupper() else "s"
    return f"{count} {noun}{ending}"


def _failed(sections: Iterable[Section]) -> int:
    return sum(not check.passed for section in sections for check in section.checks)


_SECTIONS: tuple[tuple[str, str, Callable[[Session], Iterable[Check]]], ...] = (
    ("Verifying Tables", "Tables", _tables),
    ("Verifying Indexes", "Indexes", _indexes),
    ("Verifying Seed Data", "Seed Data", _seeds),
    ("Verifying Analytics Views", "Views", _views),
    ("Verifying Triggers", "Triggers", _triggers),
    ("Verifying Migration Record", "Migration Record", _record),
    ("Testing Database Functionality", "Functionality", _functionality),
)
