"""Read and write lengths of time as people and PostgreSQL write them.

Called by `config` and `parse`. A unit is required: a bare number is seconds to most
programs and milliseconds to PostgreSQL.
"""

_UNITS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}


def milliseconds(text: str) -> int:
    """Return how many milliseconds ``500ms``, ``1.5s``, ``2min`` or ``1h`` are; ``0`` is 0.

    Raises ValueError that says what is allowed.
    """
    if text == "0":
        return 0
    # Without a pattern: to compile one is more than all the durations of a run.
    number = text.rstrip("minsh")
    unit = text[len(number) :]
    whole, dot, part = number.rstrip().partition(".")
    digits = (whole + part).isdecimal() and (whole + part).isascii()
    if not (digits and whole and unit in _UNITS and bool(part) == bool(dot)):
        raise ValueError("it is a number with a unit: ms, s, min or h (or 0)")
    value = float(number) * _UNITS[unit]
    if value > 2**31 - 1:
        raise ValueError("it is longer than PostgreSQL can count (about 24 days)")
    return round(value)


def readable(ms: float) -> str:
    """Return a length of time for people: ``12 ms``, ``3.4 s``, ``2 min 5 s``."""
    if round(ms) < _UNITS["s"]:
        return f"{ms:.0f} ms"
    if round(ms, -2) < _UNITS["min"]:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes} min {seconds} s"
