"""Errors after work has begun: a failed statement, a lost session, a doubt, a check.

Raised by `postgres`, `runner` and `repairs`; see `errors` for the rules. Fields are plain
values. What keeps work from beginning is in `refusals`.
"""

from migrate.errors import ExitCode, ExplainedError

#: How much of a failing line is shown, in characters.
_SHOWN = 200
#: How the name of a file ends that undoes: what it stops is begun anew, by another verb.
_UNDOES = ".down.sql"
_HIDDEN = r"(?is)\bpassword\s*(?:=\s*)?((?:e|u&)?'(?:[^']|'')*'?|(?<==)[^\s']+)"


def concealed(sql: str) -> str:
    """Return SQL, or words about it, with stars for the passwords that it sets.

    As many as there were characters: a caret below still points where it did.
    """
    if "password" not in sql.lower():
        return sql
    import re  # noqa: PLC0415 - a statement about passwords alone pays for it

    return re.sub(_HIDDEN, lambda m: m[0].removesuffix(m[1]) + "*" * len(m[1]), sql)


class _QuotesSql:
    """What makes an error repeat a statement without a secret in it."""

    def __init__(self, **fields: object) -> None:
        """Keep the fields, the texts among them concealed."""
        kept = {k: concealed(v) if isinstance(v, str) else v for k, v in fields.items()}
        super().__init__(**kept)


# --- failed, and nothing of the migration is left -------------------------------------


class Failed(ExplainedError):
    """A migration failed and was rolled back; earlier ones stay applied."""

    exit_code = ExitCode.FAILED


class StatementFailed(_QuotesSql, Failed):
    """The server refused a statement."""

    code = "statement-failed"
    hint = "correct the migration and apply again"

    file: str
    line: int
    column: int
    source: str
    sqlstate: str
    message: str
    detail: str = ""
    server_hint: str = ""
    context: str = ""
    note: str = ""

    def advice(self) -> str:
        """Return what to do: what others held is no fault of the migration's."""
        undoes = self.file.endswith(_UNDOES)
        if self.sqlstate in {"55P03", "40P01", "40001"}:
            return (
                f"{'run rollback' if undoes else 'apply'} again when those who blocked it "
                "are gone, or give it more: --lock-timeout, --lock-tries"
            )
        return f"correct {self.file} and run rollback again" if undoes else self.hint

    def shown(self) -> tuple[str, int]:
        """Return what is shown of the source line, and where in it the place is."""
        return _around(self.source, self.column - 1)

    def __str__(self) -> str:
        shown, at = self.shown()
        lead = "".join("\t" if c == "\t" else " " for c in shown[:at])
        lines = [
            f"{self.file}:{self.line}:{self.column}: {self.message} (SQLSTATE {self.sqlstate})",
            f"  {shown}",
            f"  {lead}^",
        ]
        named = {
            "DETAIL": self.detail,
            "HINT": self.server_hint,
            "CONTEXT": self.context,
        }
        lines += [f"  {name}: {text}" for name, text in named.items() if text]
        if self.note:
            lines.append(f"  {self.note}")
        return "\n".join(lines)


def _around(line: str, at: int) -> tuple[str, int]:
    """Return the part of a long line around a place, and the place within that part."""
    if len(line) <= _SHOWN:
        return line, at
    first = max(0, at - _SHOWN // 2)
    part = line[first : first + _SHOWN]
    left = "…" if first else ""
    right = "…" if first + _SHOWN < len(line) else ""
    return left + part + right, at - first + len(left)


class SessionLost(Failed):
    """The session ended in the middle; the server says that nothing was committed."""

    code = "session-lost"
    hint = "apply again; nothing of this migration is left"

    file: str
    reason: str

    def advice(self) -> str:
        """Return what to do: of a step back nobody asked the server what became of it."""
        if not self.file.endswith(_UNDOES):
            return self.hint
        return "python -m migrate status tells whether it is undone; if not, run rollback again"

    def __str__(self) -> str:
        return f"the session was lost while applying {self.file}: {self.reason}"


class Interrupted(Failed):
    """SIGTERM or SIGINT."""

    code = "interrupted"
    hint = "run the command again; what was in progress has been rolled back"

    signal: str
    file: str = ""

    def __str__(self) -> str:
        return f"stopped by {self.signal}" + (
            f" while applying {self.file}" if self.file else ""
        )


class RecordRefused(Failed):
    """The server refused what a migration needs to be recorded; it was not applied."""

    code = "record-refused"
    hint = "{cure}"

    file: str
    reason: str
    cure: str

    def __str__(self) -> str:
        return f"{self.file} was not applied: {self.reason}"


class HiddenSetting(Failed):
    """A migration changed where strings end, by DO, a function or the like."""

    code = "hidden-setting"
    hint = "set it by a SET statement of its own, which is followed"

    file: str
    line: int
    setting: str
    value: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: after this statement {self.setting} is {self.value}, "
            "but not by a SET statement of its own: strings below it would end elsewhere"
        )


class LockReleased(Failed):
    """A migration let go of the lock that keeps other runners out."""

    code = "lock-released"
    hint = "name the lock it means: pg_advisory_unlock(KEY); it is not alone in its session"

    file: str

    def __str__(self) -> str:
        return f"{self.file} released the lock of this run, as pg_advisory_unlock_all() does"


class LeaseLost(Failed):
    """The lease ran out, and another runner took it."""

    code = "lease-lost"
    hint = "run the command again; the migration in progress was rolled back"

    file: str

    def __str__(self) -> str:
        return (
            f"the lease was lost before {self.file}: this run was silent for too long"
        )


# --- a person, or a rerun, has to finish it -------------------------------------------


class NeedsRepair(ExplainedError):
    """A non-transactional migration stopped midway, or an outcome is in doubt."""

    exit_code = ExitCode.NEEDS_REPAIR


class StoppedMidway(NeedsRepair):
    """A statement of a non-transactional migration failed; those before it stay."""

    code = "stopped-midway"
    hint = "correct the statement and apply again: it resumes there"

    failure: str
    done: int
    total: int
    version: str
    at_fault: bool = True  # the statement; not a signal, nor a session that was lost
    check: str = ""  # the file of the check that failed, after all statements
    undo: str = ""  # the .down.sql, if it is one: nothing counts what that has done

    def advice(self) -> str:
        """Return what to do: what only stopped has nothing to correct."""
        if self.undo:
            return self._undo_advice()
        if self.check:
            return f"mend the data, or {self.check}, and apply again: only the checks are run then"
        return self.hint if self.at_fault else "apply again: it resumes there"

    def _undo_advice(self) -> str:
        steps = ["correct the statement"] if self.at_fault else []
        if self.done:
            steps.append("make those done repeatable (IF EXISTS), or remove them")
        steps.append("run rollback again")
        return f"{'; '.join(steps)}: {self.undo} begins anew at its first statement"

    def __str__(self) -> str:
        if self.undo:
            stay = f"statements 1 to {self.done} of {self.total} stay done"
            if not self.done:
                stay = f"none of its {self.total} statements is done"
            return (
                f"{self.failure}\n  {stay}; version {self.version} stays in the history"
            )
        stay = f"statements 1 to {self.done} of {self.total} stay applied"
        if not self.done:
            stay = f"none of its {self.total} statements is applied"
        return f"{self.failure}\n  {stay}"


class StatementInDoubt(_QuotesSql, NeedsRepair):
    """It cannot be told whether a statement took effect."""

    code = "in-doubt"
    hint = (
        "look whether it took effect, then: python -m migrate repair {version} "
        "--statement-done (it did) or --statement-again (it did not)"
    )

    version: str
    file: str
    line: int
    number: int
    statement: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: a run died while statement {self.number} was at work, "
            f"and the server cannot tell whether it took effect:\n  {self.statement}"
        )


class InvalidIndex(NeedsRepair):
    """An index of that name exists and is INVALID."""

    code = "invalid-index"
    hint = "DROP INDEX CONCURRENTLY {index}; then apply again"

    file: str
    line: int
    index: str
    whose: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: index {self.index} is INVALID, and {self.whose}"
        )


class EditedMidway(NeedsRepair):
    """The statements already applied of an unfinished migration were edited."""

    code = "edited-midway"
    hint = "restore the statements that were applied; edit only those after them"

    file: str
    done: int

    def __str__(self) -> str:
        return f"{self.file}: its first {self.done} statements are not those that were applied"


class OutcomeUnknown(NeedsRepair):
    """The server could not be asked whether a COMMIT took effect."""

    code = "outcome-unknown"
    hint = "apply again when the server is back: the history tells whether it was committed"

    file: str
    reason: str
    cure: str = ""  # what to do first, where it is not the server that is missing

    def advice(self) -> str:
        """Return what to do: where waiting cures nothing, what does."""
        then = "apply again: the history tells whether it was committed"
        return f"{self.cure}; then {then}" if self.cure else self.hint

    def __str__(self) -> str:
        return f"whether {self.file} was committed is not known yet: {self.reason}"


class CommitLost(NeedsRepair):
    """The server lacks what it had acknowledged: it is another one now, or was restored."""

    code = "commit-lost"
    hint = (
        "find out what became of the first server, and what else is missing; then apply "
        "again: what the history lacks is applied once more"
    )

    missing: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return (
            f"the server that answers now lacks what was committed before: "
            f"{', '.join(self.missing)}; it took over without the last transactions, as "
            f"a replica that was behind does ({self.reason})"
        )


# --- verification ---------------------------------------------------------------------


class Unverified(ExplainedError):
    """A check failed. When applying, the migration was rolled back."""

    exit_code = ExitCode.UNVERIFIED


class CheckFailed(Unverified):
    """A check of a ``.verify.sql`` failed inside the migration's transaction."""

    code = "check-failed"
    hint = "the migration was rolled back: correct it, or its check"

    file: str
    line: int
    check: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: check {self.check!r} failed: {self.reason}"


class NotAsApplied(Unverified):
    """``verify`` found that something is gone or no longer whole."""

    code = "not-as-applied"
    hint = "mend it with a new migration"

    problems: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.problems)
