"""Time and ids: the only place that reads the clock or draws a random number.

Called wherever something is created. Never sleeps.
"""

import datetime as dt
import re
import secrets
import time
import uuid

_FRACTION = re.compile(r"\.(\d+)")
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_NANO = 1_000_000_000


def now() -> dt.datetime:
    """The time, in UTC."""
    return dt.datetime.now(dt.UTC)


def now_ns() -> int:
    """The time in nanoseconds since 1970."""
    return time.time_ns()


def moment(nanoseconds: int) -> dt.datetime:
    """Nanoseconds as a time; below a microsecond nothing is kept."""
    seconds, rest = divmod(nanoseconds, _NANO)
    whole = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return whole.replace(microsecond=rest // 1000)


def text(when: dt.datetime) -> str:
    """A time as RFC 3339, as Google writes it."""
    return when.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def parse_ns(written: str) -> int:
    """Read an RFC 3339 time (or a date) as nanoseconds; ValueError when it is none."""
    fraction = _FRACTION.search(written)
    digits = fraction.group(1)[:9].ljust(9, "0") if fraction else "0"
    whole = dt.datetime.fromisoformat(_FRACTION.sub("", written, count=1))
    if whole.tzinfo is None:
        whole = whole.replace(tzinfo=dt.UTC)
    return int(whole.timestamp()) * _NANO + int(digits)


def new_uuid() -> str:
    """An id as builds and resources carry it."""
    return str(uuid.uuid4())


def short_id(length: int = 5) -> str:
    """The letters and digits behind an execution's name."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def insert_id(number: int) -> str:
    """An insert id that sorts as it was given."""
    return f"e{number:015x}"
