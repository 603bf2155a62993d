"""A clock that jumps: libfaketime before a server, or before one run.

Called by `overlapping`. The wall clock reads an offset from a file, each time it is asked;
the monotonic clock goes on as it does, since no machine's does otherwise.
"""

from pathlib import Path

from tests.postgres_process import Server

MISSING = "libfaketime is not installed: apt-get install libfaketime"


def faked(offset: Path) -> dict[str, str]:
    """Return the variables that make a process read its clock with the file's offset."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        raise FileNotFoundError(MISSING)
    return {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }


def jump(offset: Path, by: str) -> None:
    """Let the clock be wrong by so much from now on, as ``+1d``."""
    fresh = offset.with_suffix(".new")
    fresh.write_text(f"{by}\n")
    fresh.chmod(0o644)
    fresh.replace(offset)


class JumpingServer(Server):
    """A server whose clock can be told to jump."""

    def _initialise(self) -> None:
        self.offset = self._base / "offset"
        jump(self.offset, "+0")
        super()._initialise()
        self._environment |= faked(self.offset)
