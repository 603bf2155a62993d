"""The standard streams, made fit to write to, and what to do when they are not.

Called by the command line at its beginning and end. A stream that the caller closed is
replaced by one that fails, so that its number never becomes that of a database session's
socket. Decides nothing about the work: that goes on without a reader.
"""

import atexit
import contextlib
import errno
import io
import os
import sys
from typing import NoReturn

from migrate.errors import ExitCode

_READER_GONE = {errno.EPIPE}
_CANNOT_WRITE = {errno.ENOSPC, errno.EBADF, errno.EIO, errno.EDQUOT, errno.EFBIG}


def make_ready() -> None:
    """Open what is closed, and let no character that a terminal lacks end the output."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            # In this order each gets the number that is missing. Output opened for
            # reading fails when it is written, as it would have on the closed stream.
            how = os.O_WRONLY if name == "stderr" else os.O_RDONLY
            handle = os.open(os.devnull, how)
            setattr(sys, name, open(handle, mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flushed(code: int) -> int:
    """Write what is still held back; return the exit code that is true then."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        return lost(error, code)
    return code


def leave(code: int) -> NoReturn:
    """End the process, once everything is flushed and closed.

    Python would first take itself apart, object by object: a tenth of a run that finds
    nothing to do.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - what sys.exit would call
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
    os._exit(code)


def lost(error: OSError, code: int = ExitCode.OK) -> int:
    """Return the exit code when output failed; raises again what is another error.

    A reader that has gone had what it wanted. An answer that could not be written was not
    given: that is no success.
    """
    if error.errno not in _READER_GONE | _CANNOT_WRITE:
        raise error
    # Python flushes once more at exit, and would complain again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if error.errno in _READER_GONE:
        return code
    if sys.stderr is not None:
        sys.stderr.write(f"error: the answer could not be written: {error.strerror}\n")
    return code or int(ExitCode.FAILED)
