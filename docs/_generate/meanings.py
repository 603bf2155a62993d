"""Sentences for the tables that the code has no sentence for.

Used by ``reference``; tests/docs sees to it that none is missing and none is left over.
"""

from jobs.errors import LaunchCode
from migrate.errors import ExitCode

#: For each exit code: what is true afterwards, and what to do.
EXIT_CODES = {
    ExitCode.OK: (
        "the plan was carried out and verified, or there was nothing to do",
        "nothing",
    ),
    ExitCode.BUG: (
        "not known: the program met something it did not foresee, and left a traceback",
        "run `status`; then report the traceback",
    ),
    ExitCode.USAGE: (
        "nothing was contacted: the command line or a setting is wrong",
        "correct the command",
    ),
    ExitCode.SOURCE: (
        "a file or the directory is wrong; the database was not changed",
        "correct the file named",
    ),
    ExitCode.BLOCKED: (
        "the database was only read: history and directory disagree, or the role may not write",
        "follow the advice printed below the error",
    ),
    ExitCode.LOCKED: (
        "another runner is at work; this one changed nothing",
        "wait and run again",
    ),
    ExitCode.UNREACHABLE: (
        "no session could be had; nothing was done",
        "`doctor` says what the address needs",
    ),
    ExitCode.FAILED: (
        (
            "a migration failed and was rolled back whole; those before it stay applied. Or: "
            "the answer could not be written (see below)"
        ),
        "correct it and run again",
    ),
    ExitCode.NEEDS_REPAIR: (
        (
            "a non-transactional migration stopped midway, or an outcome is not known yet: "
            "the history says where"
        ),
        "read the advice; most often: correct the statement and run again",
    ),
    ExitCode.PENDING: (
        "only from `status --check`: something is pending",
        "`apply`",
    ),
    ExitCode.UNVERIFIED: (
        (
            "a check failed. From `apply`: its migration was rolled back. From `verify`: nothing "
            "was changed"
        ),
        "correct the migration or its check; mend the schema with a new migration",
    ),
}

#: For each exit code of a launch that is not the engine's.
LAUNCH_CODES = {
    LaunchCode.BUILD_FAILED: (
        "the build failed before a job was made; no migration was run",
        "read the build's last lines, which are printed above the verdict",
    ),
    LaunchCode.REFUSED: (
        "Google refused a call, in the words printed; what had been made is gone again",
        "`doctor ENV` names the role or the setting",
    ),
    LaunchCode.EXECUTION_FAILED: (
        (
            "the task failed without a word of the engine: killed, out of memory, no "
            "image. A transaction that was open is rolled back"
        ),
        "read the reason; the next launch continues, or tells what is in doubt",
    ),
    LaunchCode.TIMED_OUT: (
        (
            "a deadline passed: of the task, the build, the queue, or of one call. What "
            "ran was cancelled"
        ),
        "raise the timeout that is named, or split the migration",
    ),
    LaunchCode.CANCELLED: (
        (
            "somebody cancelled: Ctrl-C, `cancel`, the console. The engine rolled back "
            "what was in progress; what it had committed stays"
        ),
        "`python -m migrate status` tells; launch again when it is time",
    ),
    LaunchCode.LEFT_BEHIND: (
        "the migration is over (or was cancelled), and something of ours is still there",
        "`cancel ENV`, or the next launch, removes it",
    ),
    LaunchCode.UNCERTAIN: (
        "not known: the end was not seen, or platform and engine tell it differently",
        "ask the database, `python -m migrate status`, before anything is run again",
    ),
}

#: For each column of the history table.
COLUMNS = {
    "version": "the digits before the file's first `_`; for a repeatable, `R__name`",
    "name": "the rest of the file's name",
    "description": "the directive `description`, or the name in words",
    "checksum": "of the file as applied; NULL for a baseline",
    "executed_at": "when it was recorded, or, for an unfinished one, when it began",
    "duration_ms": "how long it took, by the server's clock",
    "executed_by": "the role that logged in",
    "state": "`applied`, `baseline`, `running` or `failed`",
    "tool_version": "the release that applied it",
    "build_id": "the Cloud Build build, if known",
    "commit_sha": "the commit, if known",
    "image_digest": "the image, if known",
    "execution": "the Cloud Run execution, if known",
    "run_id": "the run that applied it; answers whether a COMMIT in doubt took effect",
    "statements_done": "how many of the file's statements are done",
    "statements_chain": "hash over those statements while a non-transactional file is unfinished",
    "at_work": "the statement that was announced and has not been reported done",
    "created": "what the migration created, as `kind name`",
    "removed": "what it dropped or renamed of that which earlier ones created",
    "highest_oid": "the highest oid of what it created: where the next one's begin",
}

#: Lines that are no events of the runner: (event, severity, when, fields).
NOT_EVENTS = (
    (
        "Error",
        "ERROR",
        "The error that ended the run, with its advice in the message.",
        "`code` and the [fields of the error](errors.md)",
    ),
    (
        "End",
        "INFO or ERROR",
        "The end marker: always the last line.",
        "the outcome, below",
    ),
)
