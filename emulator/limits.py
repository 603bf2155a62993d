"""Quantities of memory and of processors, as Cloud Run writes them. Pure.

Called by `container_mode` for a task's limits.
"""

import re

_MEMORY = re.compile(r"(?P<number>[0-9]+)(?P<unit>[KMGT]i?)?\Z")
_UNITS = {"": 1} | {
    unit + i: base ** (power + 1)
    for power, unit in enumerate("KMGT")
    for i, base in (("", 1000), ("i", 1024))
}


def memory_of(text: str) -> int:
    """Bytes of ``512Mi`` or ``2Gi``. Raises ValueError."""
    match = _MEMORY.match(text)
    if match is None:
        raise ValueError(f"not a size of memory: {text}")
    return int(match["number"]) * int(_UNITS[match["unit"] or ""])


def cpus_of(text: str) -> float:
    """Processors of ``2`` or ``1000m``. Raises ValueError."""
    if text.endswith("m"):
        return int(text[:-1]) / 1000
    return float(text)
