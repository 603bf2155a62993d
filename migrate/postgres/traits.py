"""What the text of a file may have done to the database and to the session.

Gathered by `transaction` while it sends the file. Errs towards yes: a yes costs a query.
"""

import re

from migrate.classify import altered_table
from migrate.postgres.sweep import may_stay
from migrate.statements import Statement

_MAY_DO_ANYTHING = re.compile(
    rb"\b(?:do|call|select|perform|execute|search_path|extension|inherits?|of)\b"
)
_NOT_PLAIN = re.compile(
    rb"\b(?:schema|type|domain|function|procedure|routine|aggregate|trigger|extension)\b"
)
_MAY_REMOVE = re.compile(
    rb"\b(?:drop|rename|schema|do|call|execute|replace)\b", re.IGNORECASE
)


class Traits:
    """Facts about the statements sent so far."""

    def __init__(self) -> None:
        """Begin with nothing sent."""
        self.altered: set[str] = set()
        self.alters_anything = False
        self.plain = True
        self.removed = False
        self.stays = False
        self.last: Statement | None = None
        self.sent = 0

    def add(self, statements: tuple[Statement, ...], text: bytes) -> None:
        """Take statements into account that are sent as ``text``."""
        lowered = text.lower()
        # Rows make and remove nothing by themselves, whatever words stand in them.
        others = b"\n".join(s.text for s in statements if s.many == 1).lower()
        anything = self.alters_anything or _found(_MAY_DO_ANYTHING, lowered)
        self.alters_anything = anything
        self.plain = self.plain and not anything and not _found(_NOT_PLAIN, others)
        if not anything:  # else they are found without their names
            self.altered.update(
                altered_table(statement)
                for statement in statements
                if statement.words[:2] == ("ALTER", "TABLE")
            )
        self.removed = self.removed or _found(_MAY_REMOVE, others)
        self.stays = self.stays or (
            (b"prepare" in lowered or b"advisory" in lowered) and may_stay(lowered)
        )
        self.last = statements[-1]
        self.sent += sum(statement.many for statement in statements)


def _found(pattern: re.Pattern[bytes], lowered: bytes) -> bool:
    """Search for a word of the pattern, where one of them stands at all.

    Most texts have none, and to rule that out without the pattern is far quicker.
    """
    words = pattern.pattern.removeprefix(rb"\b(?:").removesuffix(rb")\b").split(b"|")
    return any(word in lowered for word in words) and bool(pattern.search(lowered))
