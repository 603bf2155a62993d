"""What may be typed: every command of ours that is given an address, or may get one by mistake.

Used by `secrets`. Runs nothing.
"""

from typing import NamedTuple

from tests.fix_cli import CHECKOUT


class Command(NamedTuple):
    """One command of ours; ``works``: it ends with 0 where all is well."""

    words: tuple[str, ...]
    works: bool = True
    bad_file: bool = False
    env: tuple[tuple[str, str], ...] = ()


CLOUD = (
    ("CLOUD_RUN_JOB", "dev-migration"),
    ("CLOUD_RUN_EXECUTION", "dev-migration-x7k2p"),
    ("CLOUD_RUN_TASK_ATTEMPT", "0"),
    ("BUILD_ID", "0e8f"),
)
_M = ("-m", "migrate")
RUNNER = ("-m", "migrate.run_migration")
ENGINE = (
    *(Command((*_M, verb)) for verb in ("status", "plan", "apply", "verify", "doctor")),
    Command((*_M, "status", "--check"), works=False),
    Command((*_M, "apply", "--dry-run")),
    Command((*_M, "apply", "--single-transaction")),
    Command((*_M, "apply", "--only", "0001_good.sql")),
    Command((*_M, "apply"), works=False, bad_file=True),
    Command((*_M, "apply", "--dry-run"), works=False, bad_file=True),
    Command((*_M, "rollback", "--yes"), works=False),
    Command((*_M, "rollback", "--to", "0", "--yes"), works=False),
    Command((*_M, "baseline", "0001", "--yes")),
    Command((*_M, "baseline", "0001"), works=False),
    Command((*_M, "repair", "0001", "--forget", "--yes"), works=False),
    Command((*_M, "unlock", "--yes"), works=False),
    Command(RUNNER, env=CLOUD),
    Command(RUNNER, works=False, bad_file=True, env=CLOUD),
    Command((*RUNNER, "--dry-run"), env=CLOUD[:1]),
    Command(RUNNER),
)
VERIFIES = str(CHECKOUT / "scripts" / "verify_prompt_system_migration.py")
PROMPTS = (
    Command(("-m", "prompts", "list"), works=False),
    Command(("-m", "prompts", "stats"), works=False),
    Command(("-m", "prompts", "show", "nothing"), works=False),
    Command(("-m", "prompts", "activate", "nothing", "1"), works=False),
    Command((VERIFIES,), works=False),
    Command((VERIFIES, "--json"), works=False),
)
_J = ("-m", "jobs")
ENV = "rehearsal"
SECRET = f"database-url-{ENV}"
ORCHESTRATOR = (
    Command((*_J, "secret", "show", ENV)),
    Command((*_J, "secret", "set-url", ENV, "--host", "10.1.2.3"), works=False),
    Command(
        (
            *_J,
            "secret",
            "set-url",
            ENV,
            "--connection",
            "socket",
            "--instance",
            "p:r:i",
        ),
        works=False,
    ),
    Command((*_J, "secret", "set-url", ENV, "--new", "--connect"), works=False),
    Command((*_J, "secret", "rotate", ENV), works=False),
    Command((*_J, "doctor", ENV), works=False),
    Command((*_J, "launch", ENV), works=False),
)
#: An address typed where something else belongs: {} is the address.
MISPLACED = (
    *((*_M, "{}"), (*_M, "apply", "{}"), (*_M, "apply", "--wait", "{}")),
    *((*_M, "status", "--output", "{}"), (*_M, "plan", "--dir", "{}", "--check-files")),
    *(
        (*_M, "apply", "--env", "{}"),
        (*_M, "new", "{}"),
        (*_M, "apply", "--only", "{}"),
    ),
    *((*_M, "apply", "--to", "{}"), (*_M, "apply", "--lock-tries", "{}")),
    *((*_M, "baseline", "{}"), (*_M, "apply", "--database_url", "{}")),
    *((*_M, "apply", "--{}"), (*RUNNER, "{}"), (*RUNNER, "--table", "{}" + "x" * 64)),
    *(("-m", "prompts", "{}"), ("-m", "prompts", "list", "{}")),
    *(
        ("-m", "prompts", "show", "x", "{}"),
        ("-m", "prompts", "--output", "{}", "list"),
    ),
    *(("-m", "jobs", "{}"), ("-m", "jobs", "doctor", "{}"), ("-m", "jobs", "--{}")),
    *(("-m", "jobs", "doctor", "dev", "{}"), ("-m", "jobs", "secret", "{}", "dev")),
    *(("-m", "jobs", "doctor", "dev", "--output", "{}"),),
    *(("-m", "jobs", "secret", "set-url", "dev", "--port", "{}"), (VERIFIES, "{}")),
    *(("-m", "jobs", "launch", "dev", "--commit", "{}"),),
)
