"""The parser of our command lines: it repeats no secret of what was typed.

Called by ``cli`` and by scripts. An address typed where something else belongs is part of
the mistake that is told.
"""

import argparse
import re
from typing import NoReturn


def masked(text: str) -> str:
    """Return a text without what would be the secret of an address in it."""
    text = re.sub(r"(?s)://.*@", "://***@", text)
    return re.sub(r"(?is)(password\s*=).*", r"\1***", text)


class Parser(argparse.ArgumentParser):
    """Tells a mistake without the secret in it."""

    def error(self, message: str) -> NoReturn:
        """End with usage and the mistake."""
        super().error(masked(message))
