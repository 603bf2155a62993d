"""Carry the steps of `bootstrap` out: look, make what is missing, grant. An effect.

Called by scripts/bootstrap_gcp.py. Every command is a ``gcloud`` process. A secret value is
given to its standard input: never to an argument, a variable or a file. Deletes nothing and
changes nothing that is there.
"""

import getpass
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from jobs.address import Address
from jobs.bootstrap import NUMBER, Step, number_is_needed, number_words
from jobs.config import Target
from jobs.errors import LaunchError
from jobs.resources import command

#: A new service account is known everywhere after some seconds; a grant waits for it.
PAUSES_S = (2.0, 5.0, 10.0, 20.0)
_NEW_ACCOUNT = "does not exist"


class GcloudFailed(LaunchError):
    """A command of gcloud did not succeed; what was made before it stays."""

    code = "gcloud-failed"
    hint = (
        "mend what it says and run this again: what is there already is left as it is"
    )

    command: str
    reason: str

    def __str__(self) -> str:
        return f"{self.command}: {self.reason}"


def carry_out(
    target: Target,
    made: Sequence[Step],
    *,
    typed: Callable[[], str],
    tell: Callable[[str], None],
    pauses: Sequence[float] = PAUSES_S,
) -> None:
    """Make what is missing. ``typed`` returns the database's address, or nothing.

    Raises `GcloudFailed` at the first command that fails, and `BadAddress`.
    """
    number = ""
    if number_is_needed(made):
        number = _gcloud(number_words(target)).strip()
    for step in made:
        words = tuple(word.replace(NUMBER, number) for word in step.make)
        if step.look and _is_there(step.look):
            tell(f"  there: {step.what}")
        elif not step.typed:
            _patiently(words, pauses)
            tell(f"✓ {'made' if step.look else 'in force'}: {step.what}")
        elif text := typed():
            Address.parse(text)
            _gcloud(words, typed=text)
            tell(f"✓ made: {step.what}")
        else:
            tell(
                f"! not made: {step.what}: nothing was typed; "
                f"python -m jobs secret set-url {target.env} --new"
            )


def typed() -> str:
    """Return the address as it is typed, unseen, or piped; empty when it is not."""
    if sys.stdin.isatty():
        return getpass.getpass("the database's address: ").strip()
    return sys.stdin.readline().strip()


def _is_there(words: Sequence[str]) -> bool:
    """Tell whether a question is answered with a line; gcloud says no by failing."""
    ran = _ran(words)
    return ran.returncode == 0 and bool(ran.stdout.strip())


def _patiently(words: Sequence[str], pauses: Sequence[float]) -> None:
    for pause in pauses:
        ran = _ran(words)
        if ran.returncode == 0:
            return
        if _NEW_ACCOUNT not in ran.stderr:
            break
        time.sleep(pause)
    _gcloud(words)


def _gcloud(words: Sequence[str], typed: str | None = None) -> str:
    """Run a command that must succeed; return what it printed."""
    ran = _ran(words, typed)
    if ran.returncode != 0:
        reason = ran.stderr.strip() or f"exit code {ran.returncode}"
        raise GcloudFailed(command=command(words), reason=reason)
    return ran.stdout


def _ran(
    words: Sequence[str], typed: str | None = None
) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            ["gcloud", *words, "--quiet"],  # noqa: S607 - the reader's own gcloud
            input=typed,
            stdin=subprocess.DEVNULL if typed is None else None,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    except OSError as error:
        reason = f"gcloud cannot be run: {error.strerror}"
        raise GcloudFailed(command=command(words), reason=reason) from None
