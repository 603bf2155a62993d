"""From a container's start to its first knock at the database, measured on this machine.

    python benchmarks/container_start.py IMAGE [TIMES]

A listener on loopback takes the place of the server and never answers. The clock starts
when the container's first process is made (the kernel's own record, to 10 ms), and stops
when the connection arrives. Used by the container tests; needs Linux, and the engine that
DOCKER_HOST names.
"""

import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

_SAFE = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
_STARTED = 21  # field 22 of /proc/PID/stat, counted from its name in brackets: 21 - 2


def docker(*words: str) -> str:
    """Run a docker command that has to succeed."""
    ran = subprocess.run(
        ["docker", *words], check=True, stdout=subprocess.PIPE, text=True
    )
    return ran.stdout.strip()


def first_knock(image: str) -> float:
    """Return the milliseconds from the start of a container to its first connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        port = listener.getsockname()[1]
        address = f"DATABASE_URL=postgresql://u@127.0.0.1:{port}/d"
        name = docker("run", "-d", "--network=host", *_SAFE, "--env", address, image)
        try:
            with listener.accept()[0]:
                came = time.clock_gettime(time.CLOCK_BOOTTIME)
                pid = docker("inspect", "--format={{.State.Pid}}", name)
                stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        finally:
            docker("rm", "--force", name)
    ticks = int(stat.rpartition(")")[2].split()[_STARTED - 2])
    return (came - ticks / os.sysconf("SC_CLK_TCK")) * 1000


def main() -> None:
    """Measure, and print the fastest, the middle and the slowest."""
    image, times = sys.argv[1], int(sys.argv[2] if len(sys.argv) > 2 else 20)  # noqa: PLR2004
    found = sorted(first_knock(image) for _ in range(times))
    middle = statistics.median(found)
    print(
        f"{times} starts: {found[0]:.0f} ms, middle {middle:.0f} ms, {found[-1]:.0f} ms"
    )


if __name__ == "__main__":
    main()
