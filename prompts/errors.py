"""Every foreseen error of the prompt system; the caller of the service sees no other.

Raised everywhere in ``prompts``, told to a person only by ``cli``. The texts are safe to
print: they hold names and numbers, never a value, a matched text or a password.
"""

from collections.abc import Iterable
from typing import ClassVar


class PromptError(Exception):
    """Something that was foreseen; the exit code is the command line's."""

    exit_code: ClassVar[int] = 3


class UnknownPromptError(PromptError):
    """No version to serve: none is active, and none of this name is in the code."""

    def __init__(self, name: str, version: int | None = None) -> None:
        wanted = f"version {version} of" if version else "an active version of"
        super().__init__(f"there is not {wanted} prompt {name!r}, and none in the code")
        self.name = name


class MissingVariableError(PromptError):
    """The text asks for a variable that was not given, or was given as None."""

    def __init__(self, name: str, variable: str) -> None:
        super().__init__(f"prompt {name!r} needs the variable {variable!r}")
        self.variable = variable


class InconsistentPromptError(PromptError):
    """The variables a prompt declares are not those its text uses."""

    def __init__(
        self, name: str, version: int, used: set[str], declared: Iterable[str]
    ) -> None:
        told = f"prompt {name!r} version {version}"
        if undeclared := sorted(used.difference(declared)):
            told += f": its text uses {', '.join(undeclared)} undeclared"
        if unused := sorted(set(declared) - used):
            told += f": it declares {', '.join(unused)} and does not use it"
        super().__init__(told)


class PromptTooLongError(PromptError):
    """The rendered prompt would pass the limit; nothing was scanned or built."""

    def __init__(self, name: str, length: int, limit: int) -> None:
        super().__init__(
            f"prompt {name!r} would be {length} characters long, the limit is {limit}"
        )
        self.length = length


class GuardrailBlockedError(PromptError):
    """A guardrail with action ``block`` found something, or could not look."""

    def __init__(self, guardrail: str, entity_types: tuple[str, ...]) -> None:
        super().__init__(f"guardrail {guardrail!r} blocked: {', '.join(entity_types)}")
        self.guardrail = guardrail
        self.entity_types = entity_types


class RefusedError(PromptError):
    """A command that would do harm, or makes no sense as things stand."""


class ConnectionFailedError(PromptError):
    """There is no session, or no longer one; the text is safe to print."""

    exit_code = 6


class StatementFailedError(PromptError):
    """The server refused a statement; the text is its message, on one line."""

    exit_code = 7

    def __init__(self, reason: str, sqlstate: str = "", constraint: str = "") -> None:
        super().__init__(reason)
        self.sqlstate = sqlstate
        self.constraint = constraint
