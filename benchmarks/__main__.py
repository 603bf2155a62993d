"""``python -m benchmarks``: choose, measure, print.

Called by a person and by ``make bench``. Measures on an embedded server of its own, unless
another is named; makes and drops databases there, and touches no others.
"""

import argparse
import contextlib
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import server as servers
from benchmarks.contenders import contenders
from benchmarks.measure import Result, WorkUndone, measure
from benchmarks.report import circumstances, table, write_page
from benchmarks.workloads import GROUPS, make


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure apply and status beside psql and a bare psycopg2 script.",
    )
    groups = [*GROUPS, []]
    parser.add_argument(
        "group", nargs="*", choices=groups, help="default: all but memory"
    )
    parser.add_argument("--rounds", type=int, help="how often each process is run")
    parser.add_argument(
        "--size",
        type=int,
        action="append",
        default=[],
        help="number of migrations (W1, W2) or megabytes (memory); may be repeated",
    )
    parser.add_argument(
        "--server",
        metavar="URL",
        help="measure on this server, whose role may make databases",
    )
    parser.add_argument(
        "--most",
        type=float,
        metavar="TIMES",
        help="end with 1 where ours takes more than this many times the minimum",
    )
    parser.add_argument("--no-peers", action="store_true", help="leave peers out")
    parser.add_argument(
        "--write", action="store_true", help="write docs/benchmarks.md as well"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for; 1 if a contender left work undone."""
    options = _parser().parse_args(arguments)
    # The server is stopped on this way out as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by SIGTERM"))
    tables, slow = [], []
    with contextlib.ExitStack() as stack:
        if options.server:
            server = servers.named(options.server)
        else:
            server = stack.enter_context(servers.embedded())
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        admin = stack.enter_context(contextlib.closing(server.admin()))
        version = admin.info.parameter_status("server_version") or "?"
        tables.append(circumstances(version))
        print(tables[0], flush=True)
        everyone = contenders(server.psql, peers=not options.no_peers)
        for group in options.group or [name for name in GROUPS if name != "memory"]:
            for workload in make(group, scratch, tuple(options.size)):
                rounds = options.rounds or workload.rounds
                try:
                    results = measure(server, workload, everyone, rounds, scratch)
                except WorkUndone as error:
                    sys.stderr.write(f"{workload.name}: {error}\n")
                    return 1
                tables.append(table(workload.name, results))
                print(tables[-1], flush=True)
                slow += _too_slow(workload.name, results, options.most)
    if options.write:
        print(f"written: {write_page(chr(10).join(tables))}")
    sys.stderr.write("".join(f"{line}\n" for line in slow))
    return int(bool(slow))


def _too_slow(name: str, results: Sequence[Result], most: float | None) -> list[str]:
    """Say where ours takes more than so many times the minimum of the same rounds."""
    found = {result.contender: result for result in results}
    times = found["ours"].ratio(found["minimum"])
    if most is None or times <= most:
        return []
    return [f"{name}: ours takes {times:.1f} times the minimum, more than {most:g}"]


if __name__ == "__main__":
    sys.exit(main())
