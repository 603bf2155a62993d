"""Prove that the prompt system's migration is there, whole and working.

Called by ``scripts/verify_prompt_system_migration.py``. The statements of ``checks.sql``
look objects up by name and put up with others; the triggers are exercised by the checks
that stand beside the migration, which undo what they do. It judges only what the migration
fixed: which version is active, and how a guardrail reacts, is for the owner to move.
"""

import contextlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from prompts.builtin import GUARDRAILS, PROMPTS
from prompts.errors import StatementFailedError
from prompts.store import Link, Row, statements

TITLE = "Enterprise Prompt System Migration - Verification Script"
RULE = "=" * 70
LABEL_WIDTH = 18
ANSWER_MS = 600_000  # a person waits, and may interrupt; a large log takes its time
CONNECT_S = 10

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


def verify(database_url: str) -> tuple[Section, ...]:
    """Check one database. Raises `errors.ConnectionFailedError`."""
    link = Link(
        database_url,
        answer_ms=ANSWER_MS,
        connect_s=CONNECT_S,
        retries=0,
        cool_down_s=0,
    )
    with contextlib.closing(link):
        return tuple(
            Section(
                title, label, tuple(c for name in names for c in _checks(link, name))
            )
            for title, label, names in _SECTIONS
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

_SECTIONS = (
    ("Verifying Tables", "Tables", ("tables",)),
    ("Verifying Indexes", "Indexes", ("indexes",)),
    ("Verifying Seed Data", "Seed Data", ("seed_prompts", "seed_guardrails")),
    ("Verifying Analytics Views", "Views", ("views",)),
    ("Verifying Triggers", "Triggers", ("triggers",)),
    ("Verifying Migration Record", "Migration Record", ("record",)),
    (
        "Testing Database Functionality",
        "Functionality",
        ("active_templates", "active_guardrails", "performance"),
    ),
)
# What is told of a statement that fails: a table may be missing, or a right to read it.
_UNREADABLE = {
    "seed_prompts": ([f"Seed prompt '{name}'" for name in PROMPTS], "not found: "),
    "seed_guardrails": (
        [f"Seed guardrail '{g.name}'" for g in GUARDRAILS],
        "not found: ",
    ),
    "record": (["Migration record 'enterprise_prompt_system_phase1'"], "not found: "),
    "active_templates": (["Query active templates:"], ""),
    "active_guardrails": (["Query active guardrails:"], ""),
    "performance": (["Query v_template_performance view:"], ""),
}
_HERE = Path(__file__).resolve()
#: The migration tries its triggers out before it commits: the same, by the checks' names.
_CHECKS = "migrations/0001_enterprise_prompt_system_phase1.verify.sql"
_EXERCISES = re.findall(
    r"^-- ([^\n]+)\n(DO \$\$\n.*?^END \$\$;)$",
    (_HERE.parent.parent / _CHECKS).read_text("utf-8"),
    re.DOTALL | re.MULTILINE,
)
_STATEMENTS = {**statements(_HERE.with_name("checks.sql")), **dict(_EXERCISES)}
_COMPARED = ("name", "category", "purpose", "variables", "content_hash")
_SEEDS = {
    "prompts": [
        {"place": place, **{field: getattr(seed, field) for field in _COMPARED}}
        for place, seed in enumerate(PROMPTS.values())
    ],
    "guardrails": [
        {"place": place, "name": seed.name, "type": seed.guardrail_type}
        for place, seed in enumerate(GUARDRAILS)
    ],
}


def _ask(link: Link, statement: str) -> list[Row]:
    sql = _STATEMENTS[statement]
    seeds = {name: json.dumps(rows) for name, rows in _SEEDS.items()}
    return link.rows(sql, seeds if "%(" in sql else None)


def _checks(link: Link, statement: str) -> Iterable[Check]:
    try:
        for row in _ask(link, statement):
            problems = row.get("problems") or _probe(link, row)
            details = tuple(row.get("details") or ())
            yield Check(row["subject"], row["success"], tuple(problems), details)
    except StatementFailedError as error:
        subjects, told = _UNREADABLE.get(
            statement, (["The check"], "could not be made: ")
        )
        yield from (Check(subject, "", (f"{told}{error}",)) for subject in subjects)


def _probe(link: Link, row: Row) -> Iterable[str]:
    """Try out what a row names; a failure is its problem."""
    try:
        if "probe" in row:
            _ask(link, row["probe"])
    except StatementFailedError as error:
        yield f"{row['failing']}: {error}"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "S")


def _failed(sections: Iterable[Section]) -> int:
    return sum(not check.passed for section in sections for check in section.checks)
